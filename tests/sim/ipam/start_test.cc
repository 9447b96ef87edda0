// What it costs when a whole cluster asks for its first addresses at once, as after a blackout.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId kPeers = 50;

// Prints what everybody has said since; returns the bytes of each.
std::uint64_t report(const Cluster& cluster, const std::map<std::string, Traffic>& since) {
  std::uint64_t byte_count = 0;
  for (const auto& [kind, traffic] : cluster.traffic()) {
    const auto earlier = since.find(kind);
    const Traffic before = earlier == since.end() ? Traffic() : earlier->second;
    const std::uint64_t bytes = traffic.byte_count - before.byte_count;
    fmt::print("{:20} {:6} messages, {:6} bytes of each peer\n",
               kind,
               (traffic.message_count - before.message_count) / kPeers,
               bytes / kPeers);
    byte_count += bytes;
  }
  return byte_count / kPeers;
}

TEST(StartScenario, FirstAddressesOfAWholeClusterAtOnceCostEachPeerLittle) {
  World world(1);
  Cluster cluster(world,
                  {.nodes = kPeers, .range = "10.32.0.0/12", .elector_count = 3, .degree = 6});
  world.run_for(seconds(3));
  const auto before = cluster.traffic();
  const TimePoint asked = world.now();

  for (NodeId node = 0; node < kPeers; ++node) {
    cluster.allocate(node, "first");
  }
  while (cluster.unanswered_count() > 0 && world.now() - asked < seconds(30)) {
    world.run_for(milliseconds(5));
  }
  const Duration answered = world.now() - asked;
  world.run_for(seconds(10));

  const std::uint64_t each = report(cluster, before);
  fmt::print(
      "{} bytes of each; all have an address after {} ms\n", each, answered / milliseconds(1));
  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_LE(answered, seconds(1));
  // Rings that travelled whole made it 96,000.
  EXPECT_LE(each, 20'000U);
}

}  // namespace
}  // namespace weft::ipam::sim
