#include "router/overlay/liveness.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kStart{};
const PeerName kBob(2);

TEST(Suspicions, TheTimeShrinksWithEachAccuser) {
  const Suspicions suspicions{Suspicions::Options{}};

  EXPECT_EQ(suspicions.timeout(0, 5), seconds(6));
  EXPECT_LT(suspicions.timeout(1, 5), suspicions.timeout(0, 5));
  EXPECT_LT(suspicions.timeout(2, 5), suspicions.timeout(1, 5));
  EXPECT_EQ(suspicions.timeout(3, 5), milliseconds(100));
  EXPECT_EQ(suspicions.timeout(9, 5), milliseconds(100));
}

TEST(Suspicions, WhoHadOneNeighbourNeedsOneAccuser) {
  const Suspicions suspicions{Suspicions::Options{}};

  EXPECT_EQ(suspicions.timeout(1, 1), milliseconds(100));
  EXPECT_EQ(suspicions.timeout(1, 0), milliseconds(100));
}

TEST(Suspicions, ASuspectIsTakenOutWhenItsTimeIsOver) {
  Suspicions suspicions{Suspicions::Options{}};
  const LocalHealth well;
  suspicions.suspect(kStart, kBob, 5);

  EXPECT_THAT(suspicions.take_due(kStart + milliseconds(5999), well), IsEmpty());
  suspicions.set_accusers(kBob, 3);
  EXPECT_EQ(suspicions.next_deadline(well), kStart + milliseconds(100));
  EXPECT_THAT(suspicions.take_due(kStart + seconds(6), well), ElementsAre(kBob));
  EXPECT_FALSE(suspicions.contains(kBob));
}

TEST(Suspicions, OurOwnTroublesGiveOthersMoreTime) {
  Suspicions suspicions{Suspicions::Options{}};
  LocalHealth ill;
  ill.worsen();
  ill.worsen();
  suspicions.suspect(kStart, kBob, 5);

  EXPECT_EQ(suspicions.next_deadline(ill), kStart + seconds(18));
}

TEST(Suspicions, AProbeIsWorthwhileUntilEnoughAccuse) {
  Suspicions suspicions{Suspicions::Options{}};
  suspicions.suspect(kStart, kBob, 5);
  EXPECT_TRUE(suspicions.needs_probe(kBob));

  suspicions.set_accusers(kBob, 3);

  EXPECT_FALSE(suspicions.needs_probe(kBob));
}

TEST(LocalHealth, StaysBetweenItsLimits) {
  LocalHealth health;
  health.improve();
  EXPECT_EQ(health.score(), 0U);
  for (int i = 0; i < 20; ++i) {
    health.worsen();
  }

  EXPECT_EQ(health.score(), LocalHealth::kScoreMax);
}

TEST(Patience, DoublesWithEachFalseAlarmUpToALimit) {
  Patience patience;
  EXPECT_EQ(patience.stretch(kStart, seconds(1)), seconds(1));

  patience.on_false_alarm(kStart);
  EXPECT_EQ(patience.stretch(kStart, seconds(1)), seconds(2));

  for (int more = 0; more < 9; ++more) {
    patience.on_false_alarm(kStart);
  }
  EXPECT_EQ(patience.stretch(kStart, seconds(1)), seconds(8));
}

TEST(Patience, IsLostAgainInCalmTimes) {
  Patience patience;
  patience.on_false_alarm(kStart);
  patience.on_false_alarm(kStart);

  EXPECT_EQ(patience.stretch(kStart + Patience::kCalm, seconds(1)), seconds(2));
  EXPECT_EQ(patience.stretch(kStart + 5 * Patience::kCalm, seconds(1)), seconds(1));
}

}  // namespace
}  // namespace weft::router
