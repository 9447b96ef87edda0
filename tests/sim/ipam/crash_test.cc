// kill -9 between any two actions of any node: no address is handed out twice, none is lost.
//
// The checkers of cluster.cc look after every event; a violated one aborts with the seed and the
// crash point printed by the trace.
#include <cstdint>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Faults kRough{.loss_percent = 10, .duplicate_percent = 10, .latency_ms_max = 50};

struct CrashPoint {
  std::uint64_t seed = 0;
  std::uint64_t action = 0;
};

// The life of a small cluster: an election, allocations beyond each node's share, claims of others'
// addresses, releases. It has some hundred actions; the crash is at one of them.
struct Outcome {
  std::uint64_t crash_count = 0;
  std::uint64_t action_count = 0;
  std::size_t unanswered_count = 0;
  bool rings_agree = false;
};

Outcome live_through(const CrashPoint& point) {
  World world(point.seed);
  Cluster cluster(world,
                  {.nodes = 3,
                   .range = "10.32.0.0/27",
                   .elector_count = 3,
                   .chain = point.seed % 2 == 1,
                   .faults = kRough,
                   .replay = fmt::format("WEFT_SEED={}, action {}", point.seed, point.action)});
  cluster.crash_at_action(point.action, milliseconds(100 + point.action % 3'000));
  world.run_for(milliseconds(100));
  for (NodeId node = 0; node < 3; ++node) {
    cluster.allocate(node, fmt::format("early{}", node));
  }
  world.run_for(seconds(3));
  for (int i = 0; i < 14; ++i) {
    cluster.allocate(1, fmt::format("greedy{}", i));
    world.run_for(milliseconds(50));
  }
  cluster.claim(2, "picky", "10.32.0.3");
  cluster.claim(0, "pickier", "10.32.0.29");
  world.run_for(seconds(2));
  cluster.release_all(0, "early0");
  cluster.release_all(1, "greedy3");
  cluster.release_all(1, "greedy4");
  cluster.allocate(0, "late");
  world.run_for(seconds(5));
  for (NodeId node = 0; node < 3; ++node) {
    for (int i = 0; i < 3; ++i) {
      cluster.allocate(node, fmt::format("last{}n{}", i, node));
    }
  }
  world.run_for(seconds(5));

  cluster.set_faults({});
  cluster.retry_unanswered();
  world.run_for(seconds(120));
  return {.crash_count = cluster.crash_count(),
          .action_count = cluster.actions_performed(),
          .unanswered_count = cluster.unanswered_count(),
          .rings_agree = cluster.rings_agree()};
}

TEST(CrashScenario, AThousandCrashPointsNeitherDoubleNorLoseAnAddress) {
  constexpr std::uint64_t kActionsPerSeed = 100;
  std::uint64_t crashes = 0;

  for (const std::uint64_t seed : seeds(10)) {
    for (std::uint64_t action = 0; action < kActionsPerSeed; ++action) {
      SCOPED_TRACE(fmt::format("seed {} action {}", seed, action));
      const Outcome outcome = live_through({.seed = seed, .action = action});
      crashes += outcome.crash_count;
      ASSERT_EQ(outcome.crash_count, 1U);
      ASSERT_EQ(outcome.unanswered_count, 0U);
      ASSERT_TRUE(outcome.rings_agree);
    }
  }

  EXPECT_EQ(crashes, seeds(10).size() * kActionsPerSeed);
}

// One elector is cut off while the other two vote; a voter crashes in the middle and comes back to
// the one that was cut off. Had it forgotten its vote, there would be two rings.
TEST(CrashScenario, AnElectorThatCrashesKeepsItsVote) {
  constexpr std::uint64_t kActions = 24;

  for (const std::uint64_t seed : seeds(8)) {
    for (std::uint64_t action = 0; action < kActions; ++action) {
      SCOPED_TRACE(fmt::format("seed {} action {}", seed, action));
      World world(seed);
      Cluster cluster(world,
                      {.nodes = 3,
                       .range = "10.32.0.0/27",
                       .elector_count = 3,
                       .replay = fmt::format("WEFT_SEED={}, action {}", seed, action)});
      cluster.partition({2});
      world.run_for(milliseconds(100));
      cluster.crash_at_action(action, milliseconds(300));
      cluster.allocate(static_cast<NodeId>(action % 2), "first");
      world.run_for(milliseconds(200));
      const NodeId restarted = cluster.is_up(0) ? 1 : 0;
      const NodeId survivor = 1 - restarted;
      cluster.partition({survivor});
      world.run_for(milliseconds(200));
      cluster.allocate(2, "second");
      world.run_for(seconds(5));

      cluster.heal();
      cluster.retry_unanswered();
      world.run_for(seconds(60));

      ASSERT_EQ(cluster.unanswered_count(), 0U);
      ASSERT_TRUE(cluster.rings_agree());
    }
  }
}

}  // namespace
}  // namespace weft::ipam::sim
