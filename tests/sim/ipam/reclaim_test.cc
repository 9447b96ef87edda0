// Peers that die, freeze, are cut off, are removed and come back: docs/adr/0010 as incidents.
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/ring.h"
#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Faults kRough{.loss_percent = 10, .duplicate_percent = 10, .latency_ms_max = 80};

class ReclaimScenario : public testing::TestWithParam<std::uint64_t> {
 public:
  static std::string replay() { return "WEFT_SEED=" + std::to_string(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Seeds, ReclaimScenario, testing::ValuesIn(seeds(6)));

TEST_P(ReclaimScenario, ADeadPeersFreeSpaceIsUsableWithinHalfAMinute) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));
  cluster.crash(2);

  for (int i = 0; i < 200; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(30));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_EQ(cluster.allocator(0).status().decree, 1U);
}

TEST_P(ReclaimScenario, APeerWithoutAMajorityHandsOutNothingAndSaysSo) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.prime(0);
  world.run_for(seconds(5));
  cluster.partition({0});
  world.run_for(seconds(12));

  cluster.allocate(0, "lonely");
  world.run_for(seconds(5));

  EXPECT_EQ(cluster.allocator(0).status().state, AllocatorStatus::State::Suspended);
  EXPECT_EQ(cluster.answered_count(), 0U);
  cluster.heal();
  world.run_for(seconds(10));
  EXPECT_EQ(cluster.answered_count(), 1U);
  EXPECT_EQ(cluster.allocator(0).status().state, AllocatorStatus::State::Ready);
}

TEST_P(ReclaimScenario, AReturningPeerKeepsWhatItsContainersUse) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/25", .elector_count = 3, .replay = replay()});
  cluster.set_faults(kRough);
  world.run_for(seconds(1));
  cluster.everyone_allocates(5);
  world.run_for(seconds(10));
  ASSERT_EQ(cluster.answered_count(), 15U);
  cluster.crash(1);
  for (int i = 0; i < 90; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));

  cluster.start(1);  // The checkers see to it that it has its five, and nobody else has them.
  cluster.allocate(1, "another");
  world.run_for(seconds(60));
  cluster.set_faults({});
  world.run_for(seconds(30));

  EXPECT_TRUE(cluster.rings_agree());
  EXPECT_GE(cluster.allocator(1).status().decree, 1U);
}

TEST_P(ReclaimScenario, OneOfTwoGoesOnAloneAndReclaimsOnAnOperatorsWord) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));
  cluster.crash(1);
  cluster.abandon(1);
  for (int i = 0; i < 240; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));
  EXPECT_GT(cluster.unanswered_count(), 0U);
  EXPECT_GE(cluster.answered_count(), 120U);

  cluster.remove_peer(0, 1);
  world.run_for(seconds(20));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_EQ(cluster.removals(), std::vector<std::string>({"128"}));
}

TEST_P(ReclaimScenario, ALivePeerIsNotRemoved) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.prime(0);
  world.run_for(seconds(5));

  cluster.remove_peer(0, 1);
  world.run_for(seconds(1));

  EXPECT_THAT(cluster.removals().at(0), testing::HasSubstr("is alive"));
}

TEST_P(ReclaimScenario, WhoLeavesGivesItsSpaceBack) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));

  cluster.abandon(2);
  cluster.leave(2);
  world.run_for(seconds(5));
  cluster.crash(2);
  for (int i = 0; i < 248; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));

  EXPECT_EQ(cluster.removals(), std::vector<std::string>({"64"}));
  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

// WEFT_IPAM_OPERATIONS=100000 WEFT_IPAM_PEERS=200 is the long run; by default it takes seconds.
std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

TEST_P(ReclaimScenario, DeathFreezeAndPartitionNeverGiveAnAddressTwoOwners) {
  const auto peers = static_cast<NodeId>(number_from("WEFT_IPAM_PEERS", 9));
  const std::uint64_t operations = number_from("WEFT_IPAM_OPERATIONS", 600);
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = peers,
                   .range = peers > 50 ? "10.32.0.0/18" : "10.32.0.0/24",
                   .elector_count = 3,
                   .faults = kRough,
                   .replay = replay()});
  Rng rng(GetParam() * 7'919);
  for (std::uint64_t step = 0; step < operations; ++step) {
    const NodeId node = rng.below(peers);
    const std::string owner = fmt::format("n{}c{}", node, rng.below(24));
    const std::uint32_t dice = rng.below(1'000);
    if (!cluster.is_up(node)) {
      if (dice < 300) {
        cluster.start(node);
      }
    } else if (dice < 600) {
      cluster.allocate(node, owner);
    } else if (dice < 920) {
      cluster.release_all(node, owner);
    } else if (dice < 940) {
      cluster.crash(node);
    } else if (dice < 955) {
      cluster.freeze(node, seconds(1 + rng.below(30)));
    } else if (dice < 965) {
      cluster.partition({rng.below(peers), rng.below(peers), rng.below(peers)});
    } else if (dice < 980) {
      cluster.heal();
    } else {
      cluster.crash_at_action(rng.below(50), milliseconds(rng.below(20'000)));
    }
    world.run_for(milliseconds(rng.below(peers > 50 ? 20 : 500)));
  }

  cluster.no_more_crashes();
  cluster.set_faults({});
  cluster.heal();
  world.run_for(seconds(40));  // Whoever is frozen thaws.
  for (NodeId node = 0; node < peers; ++node) {
    if (!cluster.is_up(node)) {
      cluster.start(node);
    }
  }
  cluster.retry_unanswered();
  world.run_for(seconds(200));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_TRUE(cluster.rings_agree());
}

}  // namespace
}  // namespace weft::ipam::sim
