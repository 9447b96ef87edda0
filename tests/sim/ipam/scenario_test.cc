// Incidents of a cluster of allocators, each named after what must not come of it.
#include <cstdint>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/ring.h"
#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr Faults kRough{.loss_percent = 15, .duplicate_percent = 10, .latency_ms_max = 80};

class RingScenario : public testing::TestWithParam<std::uint64_t> {
 public:
  static std::string replay() { return "WEFT_SEED=" + std::to_string(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Seeds, RingScenario, testing::ValuesIn(seeds(10)));

TEST_P(RingScenario, HalvesOfASplitClusterNeverGiveOutTheSameAddress) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 12, .range = "10.32.0.0/24", .elector_count = 12, .replay = replay()});
  world.run_for(seconds(1));
  cluster.prime(0);
  world.run_for(seconds(10));
  ASSERT_TRUE(cluster.rings_agree());

  cluster.set_faults(kRough);
  cluster.partition({0, 1, 2, 3, 4, 5});
  cluster.everyone_allocates(8);
  world.run_for(seconds(20));
  cluster.heal();
  cluster.everyone_allocates(20);  // 240 of 254: most had to be asked for.
  world.run_for(seconds(30));
  cluster.set_faults({});
  world.run_for(seconds(120));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_EQ(cluster.answered_count(), 240U);
  EXPECT_TRUE(cluster.rings_agree());
}

TEST_P(RingScenario, ElectorsThatAllSeedAtOnceUnderPartitionMakeOneRing) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  cluster.set_faults(kRough);
  cluster.partition({static_cast<NodeId>(GetParam() % 3)});
  cluster.everyone_allocates(2);
  world.run_for(seconds(8));
  cluster.partition({static_cast<NodeId>((GetParam() + 1) % 3)});
  world.run_for(seconds(8));
  EXPECT_LE(cluster.answered_count(), 6U);

  cluster.heal();
  cluster.set_faults({});
  world.run_for(seconds(60));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_TRUE(cluster.rings_agree());
}

TEST_P(RingScenario, AMinorityOfElectorsWaitsForTheOthers) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  cluster.partition({0});
  world.run_for(milliseconds(100));
  cluster.allocate(0, "lonely");
  world.run_for(seconds(60));
  EXPECT_EQ(cluster.allocator(0).status().state, AllocatorStatus::State::AwaitingConsensus);
  EXPECT_EQ(cluster.answered_count(), 0U);

  cluster.heal();
  world.run_for(seconds(15));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(RingScenario, PeersThatRunDryAreGivenTheLastAddressOfTheRange) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 5, .range = "10.32.0.0/26", .elector_count = 5, .replay = replay()});
  cluster.set_faults({.loss_percent = 5, .duplicate_percent = 5, .latency_ms_max = 40});
  world.run_for(seconds(1));

  for (int i = 0; i < 62; ++i) {  // All that a /26 can hand out, on one node.
    cluster.allocate(3, fmt::format("c{}", i));
    world.run_for(milliseconds(200));
  }
  cluster.allocate(3, "one too many");
  world.run_for(seconds(120));

  EXPECT_EQ(cluster.answered_count(), 62U);
  EXPECT_EQ(cluster.allocator(3).status().state, AllocatorStatus::State::WaitingForSpace);
  cluster.release_all(3, "c7");
  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(RingScenario, SpaceFreedElsewhereReachesWhoWaits) {
  World world(GetParam());
  Cluster cluster(
      world,
      {.nodes = 3, .range = "10.32.0.0/28", .elector_count = 3, .chain = true, .replay = replay()});
  world.run_for(seconds(1));
  for (int i = 0; i < 14; ++i) {
    cluster.allocate(0, fmt::format("c{}", i));
  }
  world.run_for(seconds(60));
  ASSERT_EQ(cluster.answered_count(), 14U);
  cluster.allocate(2, "waiting");
  world.run_for(seconds(60));
  ASSERT_EQ(cluster.unanswered_count(), 1U);

  cluster.release_all(0, "c3");
  world.run_for(seconds(5));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(RingScenario, LateJoinersAdoptTheRingAndGetTheirShare) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 8, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  for (NodeId node = 2; node < 8; ++node) {
    cluster.crash(node);
  }
  world.run_for(seconds(1));
  cluster.allocate(0, "first");
  world.run_for(seconds(5));
  ASSERT_EQ(cluster.answered_count(), 1U);
  cluster.set_faults({.loss_percent = 10, .duplicate_percent = 10, .latency_ms_max = 40});

  for (NodeId node = 2; node < 8; ++node) {
    cluster.start(node);
    cluster.allocate(node, fmt::format("joined{}", node));
    world.run_for(milliseconds(500));
  }
  world.run_for(seconds(60));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_EQ(cluster.answered_count(), 7U);
  for (NodeId node = 0; node < 8; ++node) {
    EXPECT_TRUE(cluster.gone(node).empty())
        << "nobody left, even if a decree came before its space";
  }
}

TEST(RingLongRun, ANeverEndingExchangeDoesNotFragmentTheRing) {
  World world(1);
  Cluster cluster(world, {.nodes = 2, .range = "10.32.0.0/25", .elector_count = 2});
  world.run_for(seconds(1));

  for (int round = 0; round < 100; ++round) {
    const auto node = static_cast<NodeId>(round % 2);
    for (int i = 0; i < 100; ++i) {
      cluster.allocate(node, fmt::format("c{}", i));
    }
    world.run_for(seconds(3));
    ASSERT_EQ(cluster.unanswered_count(), 0U);
    for (int i = 0; i < 100; ++i) {
      cluster.release_all(node, fmt::format("c{}", i));
    }
  }

  // Blocks are aligned powers of two, so the cuts of one round are those of the next.
  EXPECT_LE(cluster.ring_entry_count(), 16U);
}

TEST_P(RingScenario, AClaimIsGrantedByTheOwnerOrRefusedNamingTheHolder) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  world.run_for(seconds(1));
  cluster.allocate(1, "holder");
  world.run_for(seconds(5));
  ASSERT_EQ(cluster.address_of(1, "holder"), Ip::parse("10.32.0.128").value());

  cluster.claim(0, "free", "10.32.0.200");
  cluster.claim(0, "taken", "10.32.0.128");
  world.run_for(seconds(5));

  EXPECT_EQ(cluster.address_of(0, "free"), Ip::parse("10.32.0.200").value());
  EXPECT_THAT(cluster.refusal(0, "taken"),
              HasSubstr("held by holder on peer " + cluster.name(1).to_string()));
}

TEST_P(RingScenario, AClaimFromAnUnreachablePeerIsRefusedInBoundedTime) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  world.run_for(seconds(1));
  cluster.prime(0);
  world.run_for(seconds(5));
  cluster.partition({0});

  cluster.claim(0, "picky", "10.32.0.200");
  world.run_for(seconds(15));

  EXPECT_THAT(cluster.refusal(0, "picky"),
              HasSubstr("belongs to peer " + cluster.name(1).to_string() + ", which is unreach"));
  EXPECT_FALSE(cluster.allocator(0).status().ranges.at(1).reachable);
}

TEST_P(RingScenario, RandomLifeWithCrashesAndPartitionsKeepsEveryPromise) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 6,
                   .range = "10.32.0.0/25",
                   .elector_count = 6,
                   .chain = GetParam() % 2 == 0,
                   .faults = kRough,
                   .replay = replay()});
  Rng rng(GetParam() * 977);
  for (int step = 0; step < 400; ++step) {
    const NodeId node = rng.below(6);
    const std::string owner = fmt::format("c{}", rng.below(18));
    const std::uint32_t dice = rng.below(100);
    if (!cluster.is_up(node)) {
      if (dice < 40) {
        cluster.start(node);
      }
    } else if (dice < 50) {
      cluster.allocate(node, fmt::format("n{}{}", node, owner));
    } else if (dice < 75) {
      cluster.release_all(node, fmt::format("n{}{}", node, owner));
    } else if (dice < 85) {
      cluster.claim(node,
                    fmt::format("n{}claim{}", node, rng.below(4)),
                    fmt::format("10.32.0.{}", 1 + rng.below(126)));
    } else if (dice < 89) {
      cluster.crash(node);
    } else if (dice < 92) {
      cluster.partition({rng.below(6), rng.below(6)});
    } else if (dice < 97) {
      cluster.heal();
    }
    world.run_for(milliseconds(rng.below(400)));
  }

  cluster.set_faults({});
  cluster.heal();
  for (NodeId node = 0; node < 6; ++node) {
    if (!cluster.is_up(node)) {
      cluster.start(node);
    }
  }
  cluster.retry_unanswered();
  world.run_for(seconds(200));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_TRUE(cluster.rings_agree());
}

TEST(RingReplay, OneSeedIsOneRun) {
  const auto run = [] {
    World world(7);
    Cluster cluster(world, {.nodes = 5, .range = "10.32.0.0/26", .elector_count = 5});
    cluster.set_faults(kRough);
    cluster.everyone_allocates(10);
    world.run_for(seconds(30));
    return world.digest();
  };

  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace weft::ipam::sim
