// A thousand peers in the ordinary tests, ten thousand on request (WEFT_SIM_PEERS=10000): what it
// takes to start, to stay, to tell everybody something, to lose many. The figures are printed
// beside the published ones; the limits that are asserted are the targets of docs/SIMULATION.md.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/sim/mesh/cluster.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::size_t scale() {
  const char* text = std::getenv("WEFT_SIM_PEERS");
  return text == nullptr ? 1000 : std::strtoull(text, nullptr, 0);
}

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::size_t rss_mib() {
  rusage usage{};
  (void)getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) / 1024;
}

double to_seconds(Duration duration) {
  return static_cast<double>(duration / milliseconds(1)) / 1000;
}

// Bytes sent and received by all so far, per peer.
double bytes_per_peer(const Cluster& cluster) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    bytes += cluster.node(i).running() ? cluster.node(i).mesh().stats().bytes_out : 0;
  }
  return static_cast<double>(bytes) / static_cast<double>(cluster.size());
}

class MeshScale : public ::testing::Test {
 protected:
  static Cluster::Options options(std::size_t peers) {
    Cluster::Options options{.peers = peers, .seed = seed_or(11)};
    options.watch = MeshNode::Watch::Counts;
    options.latency = milliseconds(20);
    // Deflating takes half as much CPU again; what it saves is told by mesh_cost.
    options.deflates = false;
    return options;
  }
};

// Publishes at one peer and returns when each of the others heard of it, sorted.
std::vector<Duration> spread_of_a_record(Cluster& cluster, std::size_t from, std::uint8_t number) {
  std::vector<Duration> heard;
  const TimePoint start = cluster.world().now();
  const RecordKey key{RecordKind::Endpoint, Bytes(6, number)};
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).set_listener([&](const router::MeshAction& action) {
      const auto* const change = std::get_if<RecordChanged>(&action);
      if (change != nullptr && change->key == key) {
        heard.push_back(cluster.world().now() - start);
      }
    });
  }
  cluster.node(from).publish({key, to_bytes("10.32.0.1")});
  (void)cluster.run_until(seconds(10), [&] { return heard.size() + 1 == cluster.size(); });
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).set_listener(nullptr);
  }
  std::sort(heard.begin(), heard.end());
  return heard;
}

TEST_F(MeshScale, AThousandPeersStartAtOnceSettleAndStayCheap) {
  const double cpu_start = cpu_seconds();
  Cluster cluster(options(scale()));
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).start();
    cluster.node(i).connect(Cluster::target(i == 0 ? 1 : 0));
  }

  const bool settled = cluster.run_until(seconds(30), [&] { return cluster.settled(); });
  const Duration settle = cluster.world().now() - TimePoint();
  const double settle_bytes = bytes_per_peer(cluster);
  const double settle_cpu = cpu_seconds() - cpu_start;
  std::cout << cluster.size() << " peers settled after " << to_seconds(settle) << " s, "
            << settle_bytes / 1000 << " kB per peer, " << settle_cpu << " s of CPU, "
            << cluster.net().dials() << " dials, " << cluster.connections() << " links\n";
  router::MeshStats sum;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    const router::MeshStats stats = cluster.node(i).mesh().stats();
    sum.parts_in += stats.parts_in;
    sum.parts_news += stats.parts_news;
    sum.statements += stats.statements;
    sum.topology_updates += stats.topology_updates;
    sum.reconciliations += stats.reconciliations;
  }
  const auto peers = static_cast<double>(cluster.size());
  std::cout << "per peer: " << static_cast<double>(sum.statements) / peers << " statements, "
            << static_cast<double>(sum.topology_updates) / peers << " path computations, "
            << static_cast<double>(sum.reconciliations) / peers << " reconciliations, "
            << static_cast<double>(sum.parts_in) / peers << " parts received, "
            << static_cast<double>(sum.parts_news) / peers << " of them news\n";
  EXPECT_TRUE(settled);
  EXPECT_LE(settle, seconds(cluster.size() > 1000 ? 30 : 10));

  cluster.world().run_until(TimePoint() + seconds(30));
  const double before = bytes_per_peer(cluster);
  cluster.world().run_until(TimePoint() + seconds(60));
  const double rate = (bytes_per_peer(cluster) - before) / 30;
  std::cout << "60 s took " << cpu_seconds() - cpu_start << " s of CPU, " << rss_mib()
            << " MiB, steady " << rate << " B/s per peer, largest degree " << cluster.degree_max()
            << "\n";
  EXPECT_LE(rate, 1000);
  EXPECT_LE(cluster.degree_max(), 13U);

  const std::vector<Duration> heard = spread_of_a_record(cluster, cluster.size() / 2, 7);
  ASSERT_EQ(heard.size() + 1, cluster.size());
  std::cout << "a record: median " << to_seconds(heard[heard.size() / 2]) << " s, last "
            << to_seconds(heard.back()) << " s\n";
  EXPECT_LE(heard[heard.size() / 2], seconds(1));
  EXPECT_LE(heard.back(), seconds(2));
}

}  // namespace
}  // namespace weft::sim
