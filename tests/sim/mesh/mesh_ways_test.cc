// Ways through the cluster that are slow, lossy or stuffed, and neighbours that take their time.
#include <chrono>

#include <gtest/gtest.h>

#include "tests/sim/mesh/scenario.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MeshWays : public MeshScenario {
 protected:
  MeshWays() : MeshScenario(11) {}

  static void worsen_both_ways(Cluster& cluster,
                               std::size_t one,
                               std::size_t other,
                               Net::Badness badness) {
    cluster.net().worsen(Cluster::address(one), Cluster::address(other), badness);
    cluster.net().worsen(Cluster::address(other), Cluster::address(one), badness);
  }
};

TEST_F(MeshWays, UpdatesForAPeerThatDoesNotReadMergeIntoTheLastOfEach) {
  Cluster cluster({.peers = 2, .seed = seed_});
  form(cluster);
  MeshNode& writer = cluster.node(0);
  const std::uint64_t before = writer.mesh().stats().bytes_out;

  // 64 records of 3 kB, rewritten a hundred times while the other process stands still.
  cluster.node(1).freeze();
  for (int round = 0; round < 100; ++round) {
    for (std::uint8_t number = 0; number < 64; ++number) {
      Bytes value(3000, number);
      value[0] = static_cast<std::uint8_t>(round);
      writer.publish({endpoint(number), std::move(value)});
    }
    cluster.world().run_for(milliseconds(40));
  }
  cluster.node(1).thaw();
  const bool converged = cluster.converges_within(seconds(5));
  const std::uint64_t sent = writer.mesh().stats().bytes_out - before;

  std::cout << sent / 1000 << " kB sent of " << 100 * 64 * 3 << " kB that were true for a while; "
            << writer.mesh().stats().windows_full << " pushes put off\n";
  EXPECT_TRUE(converged);
  // A window is under way, and then what is true in the end.
  EXPECT_LE(sent, (256U << 10U) + (64U << 10U) + 2 * 64 * 3100U);
  EXPECT_GT(writer.mesh().stats().windows_full, 0U);
}

TEST_F(MeshWays, TrafficGoesTheQuickerWayAndFollowsWhenThatChanges) {
  Cluster cluster({.peers = 3, .seed = seed_, .latency = milliseconds(2)});
  worsen_both_ways(cluster, 0, 2, {.delay = milliseconds(100)});
  form(cluster);
  const PeerName through = cluster.node(1).name();
  const PeerName to = cluster.node(2).name();
  const auto hop = [&] { return cluster.node(0).mesh().next_hop(to); };

  EXPECT_TRUE(cluster.run_until(seconds(60), [&] { return hop() == through; }));
  EXPECT_TRUE(cluster.routes_lead_home());

  worsen_both_ways(cluster, 0, 2, {});
  worsen_both_ways(cluster, 0, 1, {.delay = milliseconds(100)});
  EXPECT_TRUE(cluster.run_until(seconds(150), [&] { return hop() == to; }));
  EXPECT_TRUE(cluster.run_until(seconds(5), [&] { return cluster.routes_lead_home(); }));
}

TEST_F(MeshWays, LossInOneDirectionCutsNobodyOff) {
  Cluster cluster({.peers = 12, .seed = seed_});
  form(cluster);
  for (std::size_t i = 0; i < 12; ++i) {
    for (std::size_t j = i + 1; j < 12; ++j) {
      cluster.net().worsen(Cluster::address(i), Cluster::address(j), {.loss_percent = 25});
    }
  }

  const auto somebody_is_cut_off = [&cluster] { return !cluster.settled(); };

  EXPECT_FALSE(cluster.run_until(seconds(60), somebody_is_cut_off));
  cluster.node(3).publish({endpoint(1), to_bytes("x")});
  EXPECT_TRUE(cluster.converges_within(seconds(10)));
}

}  // namespace
}  // namespace weft::sim
