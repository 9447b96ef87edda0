// Peers that die, freeze, are cut off, are removed and come back: docs/adr/0010 as incidents.
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

TEST_P(ReclaimScenario, ARangeOfIpv6IsSharedReclaimedAndKeptOverARestartAlike) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3,
                   .range = "fd00:32::/120",
                   .elector_count = 3,
                   .faults = kRough,
                   .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(5);
  world.run_for(seconds(10));
  ASSERT_EQ(cluster.answered_count(), 15U);
  cluster.crash(2);

  for (int i = 0; i < 180; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));
  EXPECT_EQ(cluster.unanswered_count(), 0U);
  cluster.crash(1);
  cluster.start(1);
  cluster.start(2);
  cluster.set_faults({});
  world.run_for(seconds(60));

  EXPECT_TRUE(cluster.rings_agree());
  EXPECT_GE(cluster.allocator(0).status().decree, 1U);
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
  EXPECT_THAT(cluster.gone(0), testing::IsEmpty());  // What it used is kept for its return.

  cluster.start(1);  // The checkers see to it that it has its five, and nobody else has them.
  cluster.allocate(1, "another");
  world.run_for(seconds(60));
  cluster.set_faults({});
  world.run_for(seconds(30));

  EXPECT_TRUE(cluster.rings_agree());
  EXPECT_GE(cluster.allocator(1).status().decree, 1U);
}

// The operator has said how long a host may be away. Until then what it used stays reserved.
TEST_P(ReclaimScenario, WhatADeadPeerUsedIsFreeAfterTheTimeThatWasConfigured) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 4,
                   .range = "10.32.0.0/24",
                   .elector_count = 4,
                   .faults = kRough,
                   .forfeit_after = seconds(3'600),
                   .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(20);
  world.run_for(seconds(10));
  ASSERT_EQ(cluster.answered_count(), 80U);
  cluster.crash(3);
  for (int i = 0; i < 174; ++i) {  // As many as there are, but for the dead one's.
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(3'000));
  EXPECT_GT(cluster.unanswered_count(), 0U) << "what the dead one used is not given out";

  cluster.abandon(3);
  world.run_for(seconds(900));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(ReclaimScenario, APeerThatComesAndGoesForfeitsNothing) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 4,
                   .range = "10.32.0.0/24",
                   .elector_count = 4,
                   .forfeit_after = seconds(600),
                   .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(5);
  world.run_for(seconds(5));

  for (int i = 0; i < 8; ++i) {
    cluster.partition({3});
    world.run_for(seconds(400));
    cluster.heal();
    world.run_for(seconds(20));
  }

  EXPECT_EQ(cluster.answered_count(), 20U);  // The checkers see to it that it still holds its own.
  EXPECT_TRUE(cluster.rings_agree());
}

// Each half of two believes that the other is gone.
TEST_P(ReclaimScenario, OfTwoCutApartNeitherForfeitsTheOthersAddresses) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2,
                   .range = "10.32.0.0/28",
                   .elector_count = 2,
                   .forfeit_after = seconds(600),
                   .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(3);
  world.run_for(seconds(5));
  cluster.partition({0});

  cluster.everyone_allocates(8);
  world.run_for(seconds(3'000));
  cluster.heal();
  world.run_for(seconds(30));

  EXPECT_TRUE(cluster.rings_agree());  // And no address was given to two.
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
  EXPECT_THAT(cluster.gone(0), testing::ElementsAre(cluster.name(1)));
}

// A host lost its store and its name: it waits for the addresses of its containers, which belong to
// the name it had, and whoever inherits them has clients waiting for any.
TEST_P(ReclaimScenario, WhatTheContainersOfARemovedPeerUseGoesToWhoClaimsItBeforeAnybodyElse) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 4, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  cluster.allocate(1, "live");
  world.run_for(seconds(5));
  const Ip live = *cluster.address_of(1, "live");
  cluster.crash(1);
  cluster.abandon(1);
  for (int i = 0; i < 300; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));
  ASSERT_GT(cluster.unanswered_count(), 0U);

  cluster.remove_peer(0, 1);
  for (int i = 0; i < 30; ++i) {  // Refused while the owner is away, as agents do.
    cluster.claim(3, "found", live.to_string());
    world.run_for(seconds(1));
  }

  EXPECT_THAT(cluster.removals(), testing::SizeIs(1));
  EXPECT_EQ(cluster.address_of(3, "found"), live);
  for (const NodeId node : {0U, 2U, 3U}) {  // Everybody hears of it.
    EXPECT_THAT(cluster.gone(node), testing::ElementsAre(cluster.name(1))) << node;
  }
  // What nobody claimed has been handed out since.
  for (int i = 0; i < 300; ++i) {
    EXPECT_NE(cluster.address_of(0, fmt::format("more{}", i)), live);
  }
  EXPECT_EQ(cluster.allocator(0).status().ranges.front().used_count,
            cluster.allocator(0).status().ranges.front().address_count - 2);
}

// Q of the council {P, Q} went away before a third came: whether P may give to it only Q could
// tell.
TEST_P(ReclaimScenario, WhoJoinsTwoOfWhichOneIsGoneIsToldWhatToDo) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  cluster.crash(2);  // It comes later.
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));
  cluster.crash(1);
  cluster.abandon(1);
  cluster.abandon(2);
  world.run_for(seconds(60));

  cluster.start(2);
  cluster.allocate(2, "late");
  world.run_for(seconds(60));
  ASSERT_EQ(cluster.unanswered_count(), 1U);
  EXPECT_THAT(cluster.allocator(2).status().detail,
              testing::HasSubstr("weft rmpeer " + cluster.name(1).to_string()));
  cluster.remove_peer(0, 1);
  world.run_for(seconds(30));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(ReclaimScenario, WhoWasIdleForAnHourHandsOutWithoutDelay) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));
  const std::uint64_t before = cluster.actions_performed();
  world.run_for(seconds(3'600));
  EXPECT_EQ(cluster.allocator(0).status().state, AllocatorStatus::State::Ready);
  EXPECT_EQ(cluster.allocator(0).status().decree, 0U);
  // A word to each of the council and its answer once a minute, and a digest twice.
  EXPECT_LT(cluster.actions_performed() - before, 60U * 3U * 8U);

  cluster.allocate(1, "after an hour");
  world.run_for(milliseconds(100));

  EXPECT_EQ(cluster.answered_count(), 7U);
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
  for (int i = 0; i < 250; ++i) {
    cluster.allocate(0, fmt::format("more{}", i));
  }
  world.run_for(seconds(60));

  EXPECT_EQ(cluster.removals(), std::vector<std::string>({"64"}));
  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_THAT(cluster.gone(0), testing::ElementsAre(cluster.name(2)));
  EXPECT_THAT(cluster.gone(1), testing::ElementsAre(cluster.name(2)));
}

// A host without containers dies. What it had goes to the others by and by, and it is missed all
// the same: nobody said that it is gone for good.
TEST_P(ReclaimScenario, WhoOnlyDiedIsNotGoneForGood) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
  world.run_for(seconds(1));
  cluster.allocate(0, "a");
  world.run_for(seconds(5));
  cluster.crash(1);
  world.run_for(seconds(60));

  EXPECT_GE(cluster.allocator(0).status().decree, 1U);
  EXPECT_THAT(cluster.gone(0), testing::IsEmpty());
}

// Its last word to the council is under way when it is told that it has nothing left.
TEST_P(ReclaimScenario, WhoHasLeftGetsNoSeatAgain) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  cluster.crash(2);
  world.run_for(seconds(1));
  cluster.allocate(0, "a");
  cluster.allocate(1, "b");
  world.run_for(seconds(5));
  cluster.abandon(0);
  cluster.leave(0);
  world.run_for(seconds(1));
  cluster.crash(0);
  cluster.start(2);
  cluster.allocate(2, "c");
  world.run_for(seconds(5));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_THAT(cluster.allocator(1).status().council,
              testing::Not(testing::Contains(cluster.name(0))));
}

// Some see it again before they hear of the decree: it has not left.
TEST_P(ReclaimScenario, WhoReturnsWhileItIsRemovedHandsOutAgain) {
  for (int delay_ms = 0; delay_ms < 100; delay_ms += 5) {
    World world(GetParam());
    Cluster cluster(world,
                    {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
    world.run_for(seconds(1));
    cluster.allocate(0, "a");
    cluster.allocate(1, "b");
    world.run_for(seconds(10));
    cluster.partition({2});
    world.run_for(seconds(40));
    cluster.remove_peer(0, 2);
    world.run_for(milliseconds(delay_ms));
    cluster.heal();
    world.run_for(seconds(10));

    cluster.allocate(2, "c");
    world.run_for(seconds(30));

    EXPECT_EQ(cluster.unanswered_count(), 0U) << "back after " << delay_ms << " ms";
  }
}

// It may be about to get a seat when it dies, and is removed before it has one.
TEST_P(ReclaimScenario, WhoIsRemovedRightAfterItJoinedHoldsNobodyUp) {
  for (int life_ms = 100; life_ms < 4000; life_ms += 300) {
    World world(GetParam());
    Cluster cluster(world,
                    {.nodes = 4, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
    cluster.crash(1);
    cluster.crash(2);
    world.run_for(seconds(1));
    cluster.allocate(0, "a");
    world.run_for(seconds(10));
    cluster.leave(3);
    world.run_for(seconds(2));
    cluster.crash(3);
    cluster.start(1);
    world.run_for(milliseconds(life_ms));
    cluster.crash(1);
    world.run_for(milliseconds(200 + life_ms));
    cluster.remove_peer(0, 1);
    world.run_for(milliseconds(life_ms));
    cluster.start(2);
    cluster.allocate(2, "c");
    world.run_for(seconds(20));

    EXPECT_EQ(cluster.unanswered_count(), 0U) << "removed after " << life_ms << " ms";
  }
}

// What they promised is on their disks, who asked them for it is forgotten.
TEST_P(ReclaimScenario, ACouncilThatIsRestartedInTheMiddleOfADecreeMakesIt) {
  for (int into_ms = 0; into_ms < 2'500; into_ms += 50) {
    World world(GetParam());
    Cluster cluster(world,
                    {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 3, .replay = replay()});
    world.run_for(seconds(1));
    cluster.everyone_allocates(2);
    world.run_for(seconds(5));
    cluster.crash(2);
    world.run_for(seconds(10) + milliseconds(into_ms));
    cluster.crash(0);
    cluster.crash(1);
    world.run_for(seconds(1));
    cluster.start(0);
    cluster.start(1);
    world.run_for(seconds(20));
    cluster.allocate(0, "late");
    cluster.allocate(1, "late");
    world.run_for(seconds(10));

    EXPECT_EQ(cluster.unanswered_count(), 0U) << "restarted " << into_ms << " ms after the silence";
  }
}

// The decree that was to give a third host a seat needs them both, and one dies before it has
// promised.
TEST_P(ReclaimScenario, OneOfTwoGoesOnWhenTheOtherDiesInTheMiddleOfADecree) {
  for (int into_ms = 0; into_ms < 2'500; into_ms += 50) {
    World world(GetParam());
    Cluster cluster(world,
                    {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
    cluster.crash(2);
    world.run_for(seconds(1));
    cluster.allocate(0, "a");
    cluster.allocate(1, "b");
    world.run_for(seconds(10));
    cluster.start(2);
    world.run_for(milliseconds(into_ms));
    cluster.crash(1);
    world.run_for(seconds(20));
    for (int i = 0; i < 60; ++i) {
      cluster.allocate(0, fmt::format("more{}", i));
    }
    world.run_for(seconds(10));

    // But if it has accepted a value: then the other may know it as chosen.
    const std::string detail = cluster.allocator(0).status().detail;
    EXPECT_TRUE(cluster.unanswered_count() == 0 || detail.find("rmpeer") != std::string::npos)
        << "died " << into_ms << " ms after the third came";
    cluster.remove_peer(0, 1);
    world.run_for(seconds(10));
    EXPECT_EQ(cluster.unanswered_count(), 0U) << "died " << into_ms << " ms after the third came";
  }
}

// It has a seat and nothing else: the last of three, and of these two alone cannot decide.
TEST_P(ReclaimScenario, WhoHasASeatAloneIsRemovedFromTheCouncil) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 1, .replay = replay()});
  cluster.crash(1);
  world.run_for(seconds(1));
  cluster.allocate(0, "a");
  world.run_for(seconds(5));
  cluster.start(1);
  world.run_for(seconds(20));
  const auto council = [&] { return cluster.allocator(0).status().council; };
  ASSERT_THAT(council(), testing::Contains(cluster.name(1)));
  cluster.crash(1);
  world.run_for(seconds(20));

  cluster.remove_peer(0, 1);
  world.run_for(seconds(20));

  EXPECT_EQ(cluster.removals(), std::vector<std::string>({"0"}));
  EXPECT_THAT(council(), testing::ElementsAre(cluster.name(0)));
}

// Two operators reset their hosts one after the other, and the mesh has not missed the first yet.
TEST_P(ReclaimScenario, NothingIsLeftToWhoHasJustLeftItself) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 3, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  cluster.crash(2);
  world.run_for(seconds(1));
  cluster.allocate(0, "a");
  cluster.allocate(1, "b");
  world.run_for(seconds(5));
  cluster.abandon(0);
  cluster.leave(0);
  world.run_for(seconds(1));
  cluster.start(2);
  world.run_for(seconds(1));

  cluster.abandon(1);
  cluster.leave(1);
  world.run_for(seconds(5));
  cluster.crash(0);
  cluster.crash(1);
  cluster.allocate(2, "c");
  world.run_for(seconds(60));

  // Somebody may have asked for an address meanwhile.
  EXPECT_THAT(cluster.removals(), testing::ElementsAre("128", testing::AnyOf("255", "256")));
  EXPECT_EQ(cluster.unanswered_count(), 0U);
}

TEST_P(ReclaimScenario, WhoCannotLeaveIsToldWhetherAnybodyIsThereToComeBack) {
  World world(GetParam());
  Cluster lone(world, {.nodes = 1, .range = "10.32.0.0/24", .elector_count = 1});
  world.run_for(seconds(1));
  lone.everyone_allocates(1);
  world.run_for(seconds(5));
  lone.leave(0);
  EXPECT_THAT(lone.removals().at(0), testing::HasSubstr("no other peer has addresses"));

  Cluster pair(world, {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 2});
  world.run_for(seconds(1));
  pair.everyone_allocates(1);
  world.run_for(seconds(5));
  pair.crash(0);
  world.run_for(seconds(30));
  pair.leave(1);
  EXPECT_THAT(pair.removals(), testing::IsEmpty());  // Somebody may come back.
  world.run_for(seconds(6));
  EXPECT_THAT(pair.removals().at(0), testing::HasSubstr("can be reached"));
}

TEST_P(ReclaimScenario, WhoLeavesWhileTheOthersAreOutOfReachWaitsForThem) {
  World world(GetParam());
  Cluster cluster(world,
                  {.nodes = 2, .range = "10.32.0.0/24", .elector_count = 2, .replay = replay()});
  world.run_for(seconds(1));
  cluster.everyone_allocates(2);
  world.run_for(seconds(5));
  cluster.abandon(1);
  cluster.crash(0);
  world.run_for(seconds(30));

  cluster.leave(1);
  world.run_for(seconds(1));
  cluster.start(0);
  world.run_for(seconds(20));

  EXPECT_EQ(cluster.removals(), std::vector<std::string>({"128"}));
}

}  // namespace
}  // namespace weft::ipam::sim
