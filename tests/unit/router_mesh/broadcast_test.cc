#include "router/overlay/broadcast.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Role = Broadcast::Role;

constexpr TimePoint kStart{};
const PeerName kBob(2);
const PeerName kCarol(3);
const PeerName kOrigin(9);

class BroadcastTest : public ::testing::Test {
 protected:
  std::vector<Broadcast::Step> run(TimePoint now) {
    std::vector<Broadcast::Step> steps;
    broadcast_.on_deadline(now, steps);
    broadcast_.check_invariants();
    return steps;
  }

  template <class Kind>
  static std::vector<Kind> only(const std::vector<Broadcast::Step>& steps) {
    std::vector<Kind> found;
    for (const Broadcast::Step& step : steps) {
      if (const auto* match = std::get_if<Kind>(&step)) {
        found.push_back(*match);
      }
    }
    return found;
  }

  Broadcast broadcast_{Broadcast::Options{}};
};

TEST_F(BroadcastTest, NewsIsPushedToTheEagerAndAnnouncedToTheLazyThatSeemToLackIt) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.add(kCarol, Role::Lazy);

  broadcast_.on_news(kStart, kOrigin, {Incarnation(1), 4}, std::nullopt);

  const auto pushes = only<Broadcast::Push>(run(kStart));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].to, kBob);
  EXPECT_EQ(pushes[0].news.at(kOrigin), (OriginVersion{Incarnation(1), 4}));
  EXPECT_THAT(run(kStart + milliseconds(400)), IsEmpty());
  broadcast_.on_differs(kStart + milliseconds(400), kCarol);
  const auto announcements = only<Broadcast::Announce>(run(kStart + milliseconds(400)));
  ASSERT_THAT(announcements, SizeIs(1));
  EXPECT_EQ(announcements[0].to, kCarol);
  EXPECT_THAT(announcements[0].origins, ElementsAre(kOrigin));
}

TEST_F(BroadcastTest, NothingIsAnnouncedToWhoHoldsTheSameOrMayGetItYet) {
  broadcast_.add(kBob, Role::Lazy);
  broadcast_.on_news(kStart, kOrigin, {}, std::nullopt);

  broadcast_.on_differs(kStart + milliseconds(199), kBob);
  EXPECT_THAT(run(kStart + milliseconds(199)), IsEmpty());
  broadcast_.on_agrees(kBob);
  broadcast_.on_differs(kStart + milliseconds(400), kBob);
  EXPECT_THAT(run(kStart + milliseconds(400)), IsEmpty());
}

TEST_F(BroadcastTest, WhoGraftsALinkIsPushedWhatItWasNotToldBefore) {
  broadcast_.add(kBob, Role::Lazy);
  broadcast_.on_news(kStart, kOrigin, {Incarnation(1), 4}, std::nullopt);

  broadcast_.on_grafted(kStart + milliseconds(10), kBob);

  const auto pushes = only<Broadcast::Push>(run(kStart + milliseconds(10)));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].news.at(kOrigin), (OriginVersion{Incarnation(1), 4}));
}

TEST_F(BroadcastTest, WhatANeighbourIsSeenToHoldIsNotPushedToIt) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.on_news(kStart, kOrigin, {}, std::nullopt);

  broadcast_.on_held(kBob, kOrigin);

  EXPECT_THAT(run(kStart + milliseconds(100)), IsEmpty());
}

TEST_F(BroadcastTest, NewsDoesNotGoBackToWhomItCameFrom) {
  broadcast_.add(kBob, Role::Eager);

  broadcast_.on_news(kStart, kOrigin, {}, kBob);

  EXPECT_THAT(run(kStart + milliseconds(1000)), IsEmpty());
}

TEST_F(BroadcastTest, WhatFollowsAPushTravelsTogetherAndMerges) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.on_news(kStart, kOrigin, {Incarnation(1), 1}, std::nullopt);
  ASSERT_THAT(run(kStart), SizeIs(1));
  broadcast_.on_sent(kStart, kBob, 100, 1);

  broadcast_.on_news(kStart + milliseconds(1), kOrigin, {Incarnation(1), 2}, std::nullopt);
  broadcast_.on_news(kStart + milliseconds(2), kOrigin, {Incarnation(1), 3}, std::nullopt);
  broadcast_.on_news(kStart + milliseconds(3), kCarol, {Incarnation(1), 7}, std::nullopt);

  EXPECT_THAT(run(kStart + milliseconds(19)), IsEmpty());
  EXPECT_EQ(broadcast_.queue(kBob),
            (Broadcast::Queue{.origins = 2, .unconfirmed_bytes = 100, .merged = 1}));
  const auto pushes = only<Broadcast::Push>(run(kStart + milliseconds(20)));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_THAT(pushes[0].news, SizeIs(2));
  EXPECT_EQ(pushes[0].news.at(kOrigin), (OriginVersion{Incarnation(1), 2}));
}

TEST_F(BroadcastTest, DuplicatesPruneTheSecondWayInTheirDirectionOnly) {
  broadcast_.add(kBob, Role::Eager);

  broadcast_.on_duplicate(kBob);
  EXPECT_THAT(run(kStart), IsEmpty());
  broadcast_.on_duplicate(kBob);

  EXPECT_THAT(only<Broadcast::Prune>(run(kStart)), SizeIs(1));
  EXPECT_THAT(run(kStart), IsEmpty());
  broadcast_.on_news(kStart, kOrigin, {}, std::nullopt);
  EXPECT_THAT(only<Broadcast::Push>(run(kStart)), SizeIs(1));
  broadcast_.on_pruned(kBob);
  EXPECT_FALSE(broadcast_.is_branch(kBob));
}

TEST_F(BroadcastTest, ADuplicateAmongNewsPrunesNothing) {
  broadcast_.add(kBob, Role::Eager);

  for (int i = 0; i < 5; ++i) {
    broadcast_.on_duplicate(kBob);
    broadcast_.on_useful(kBob);
  }

  EXPECT_THAT(run(kStart), IsEmpty());
}

TEST_F(BroadcastTest, WhatWasAnnouncedAndDoesNotArriveIsAskedForAndGraftsTheLink) {
  broadcast_.add(kBob, Role::Lazy);

  broadcast_.on_announced(kStart, kBob, kOrigin);

  EXPECT_THAT(run(kStart + milliseconds(199)), IsEmpty());
  const auto grafts = only<Broadcast::Graft>(run(kStart + milliseconds(200)));
  ASSERT_THAT(grafts, SizeIs(1));
  EXPECT_THAT(grafts[0].origins, ElementsAre(kOrigin));
  EXPECT_TRUE(broadcast_.is_branch(kBob));
}

TEST_F(BroadcastTest, WhatArrivesInTimeIsNotAskedFor) {
  broadcast_.add(kBob, Role::Lazy);
  broadcast_.add(kCarol, Role::Eager);
  broadcast_.on_announced(kStart, kBob, kOrigin);

  broadcast_.on_news(kStart + milliseconds(100), kOrigin, {}, kCarol);

  EXPECT_THAT(only<Broadcast::Graft>(run(kStart + milliseconds(1000))), IsEmpty());
}

TEST_F(BroadcastTest, ABrokenBranchMakesTheOthersEager) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.add(kCarol, Role::Lazy);

  broadcast_.remove(kStart, kBob);

  EXPECT_TRUE(broadcast_.is_branch(kCarol));
  EXPECT_THAT(only<Broadcast::Graft>(run(kStart)), SizeIs(1));
}

TEST_F(BroadcastTest, WhoLosesItsOnlyWayToTheOthersPushesOnAllThatAreLeft) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.add(kCarol, Role::Lazy);
  broadcast_.remove(kStart, kBob);

  broadcast_.on_news(kStart, kOrigin, {Incarnation(1), 4}, std::nullopt);

  const auto pushes = only<Broadcast::Push>(run(kStart));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].to, kCarol);
}

TEST_F(BroadcastTest, WhoLosesItsOnlyWayTellsTheOthersWhatTheyWereNotTold) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.add(kCarol, Role::Lazy);
  broadcast_.on_news(kStart, kOrigin, {Incarnation(1), 4}, std::nullopt);
  (void)run(kStart);

  broadcast_.remove(kStart, kBob);

  const auto pushes = only<Broadcast::Push>(run(kStart));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].to, kCarol);
  EXPECT_EQ(pushes[0].news.at(kOrigin), (OriginVersion{Incarnation(1), 4}));
}

TEST_F(BroadcastTest, ANeighbourThatDoesNotConfirmGetsNothingMoreAndIsCounted) {
  broadcast_.add(kBob, Role::Eager);
  broadcast_.on_sent(kStart, kBob, Broadcast::Options{}.window_bytes + 1, 1);

  broadcast_.on_news(kStart, kOrigin, {}, std::nullopt);
  EXPECT_THAT(only<Broadcast::Push>(run(kStart + milliseconds(60))), IsEmpty());
  EXPECT_EQ(broadcast_.stats().windows_full, 1U);
  EXPECT_EQ(broadcast_.owed_count(kBob), 1U);
  EXPECT_EQ(broadcast_.queue(kBob).held_back, 1U);

  broadcast_.on_confirmed(kStart + milliseconds(70), kBob, 1000);
  EXPECT_THAT(only<Broadcast::Push>(run(kStart + milliseconds(70))), SizeIs(1));
}

TEST_F(BroadcastTest, WhileNewcomersComeInNewsWaitsForMoreAndWhatIsHeldByThenIsNotSent) {
  broadcast_.add(kCarol, Role::Lazy);
  for (std::uint64_t i = 1; i < Broadcast::Options{}.newcomers_min; ++i) {
    broadcast_.on_news(kStart, PeerName(100 + i), {}, kCarol);
  }
  broadcast_.add(kBob, Role::Eager);

  broadcast_.on_news(kStart, kOrigin, {}, kCarol);
  broadcast_.on_news(kStart + milliseconds(20), PeerName(10), {}, kCarol);
  broadcast_.on_held(kBob, kOrigin);

  EXPECT_THAT(run(kStart + milliseconds(29)), IsEmpty());
  const auto pushes = only<Broadcast::Push>(run(kStart + milliseconds(30)));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_THAT(pushes[0].news, SizeIs(1));
  broadcast_.on_sent(kStart + milliseconds(30), kBob, 1, 1);
  // Half a second after the last of them.
  broadcast_.on_news(kStart + milliseconds(520), kOrigin, {Incarnation(1), 1}, kCarol);
  EXPECT_EQ(broadcast_.next_deadline(), kStart + milliseconds(520));
}

TEST_F(BroadcastTest, MoreThanAFewOriginsAreNotAnnouncedOneByOne) {
  broadcast_.add(kBob, Role::Lazy);

  for (std::uint64_t i = 1; i <= 100; ++i) {
    broadcast_.on_news(kStart, PeerName(100 + i), {}, std::nullopt);
  }

  broadcast_.on_differs(kStart + milliseconds(400), kBob);
  EXPECT_THAT(run(kStart + milliseconds(400)), IsEmpty());
  EXPECT_EQ(broadcast_.stats().announcements_skipped, 36U);
}

}  // namespace
}  // namespace weft::router
