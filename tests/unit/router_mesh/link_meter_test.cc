#include "router/overlay/link_meter.h"

#include <chrono>

#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Two ends of one link, each beating every second.
class LinkMeterTest : public ::testing::Test {
 protected:
  void beat(Duration there, Duration back) {
    bob_.on_beat(now_ + there, alice_.next_beat(now_));
    const TimePoint answer = now_ + milliseconds(500);
    alice_.on_beat(answer + back, bob_.next_beat(answer));
    now_ += seconds(1);
  }

  LinkMeter alice_{LinkMeter::Options{}};
  LinkMeter bob_{LinkMeter::Options{}};
  TimePoint now_ = TimePoint() + seconds(1);
};

TEST_F(LinkMeterTest, MeasuresTheRoundTripWithoutAClockInCommon) {
  for (int i = 0; i < 20; ++i) {
    beat(milliseconds(30), milliseconds(10));
  }

  EXPECT_EQ(alice_.rtt(), milliseconds(40));
  EXPECT_LT(alice_.jitter(), milliseconds(1));
  EXPECT_EQ(alice_.loss_percent(), 0.0);
}

TEST_F(LinkMeterTest, ABeatThatComesARetransmissionLateCountsAsLost) {
  for (int i = 0; i < 10; ++i) {
    beat(milliseconds(10), i == 5 ? milliseconds(240) : milliseconds(10));
  }

  EXPECT_GT(alice_.loss_percent(), 0.0);
  EXPECT_LT(alice_.loss_percent(), 30.0);
  EXPECT_EQ(bob_.loss_percent(), 0.0);
}

TEST_F(LinkMeterTest, TheCostDoesNotFollowEveryWaver) {
  for (int i = 0; i < 40; ++i) {
    beat(milliseconds(10), milliseconds(10));
    (void)alice_.cost_level(now_);
  }
  const std::uint8_t before = alice_.cost_level(now_);

  for (int i = 0; i < 40; ++i) {
    beat(milliseconds(10), milliseconds(i % 2 == 0 ? 9 : 40));
    EXPECT_EQ(alice_.cost_level(now_), before);
  }
}

TEST_F(LinkMeterTest, TheCostFollowsALastingChange) {
  for (int i = 0; i < 40; ++i) {
    beat(milliseconds(1), milliseconds(1));
    (void)alice_.cost_level(now_);
  }
  const std::uint8_t before = alice_.cost_level(now_);

  for (int i = 0; i < 80; ++i) {
    beat(milliseconds(40), milliseconds(40));
    (void)alice_.cost_level(now_);
  }

  EXPECT_GT(cost_of_level(alice_.cost_level(now_)), 10 * cost_of_level(before));
}

TEST_F(LinkMeterTest, WithinADataCentreAllLinksCostTheSame) {
  for (int i = 0; i < 80; ++i) {
    beat(std::chrono::microseconds(i < 40 ? 400 : 40), std::chrono::microseconds(40));
    EXPECT_EQ(alice_.cost_level(now_), LinkMeter::kUnmeasured);
  }
}

TEST_F(LinkMeterTest, AnEchoOfWhatWasNeverSentIsIgnored) {
  alice_.on_beat(now_, {.sequence = 1, .echo = 77, .echo_age_usec = 5});

  EXPECT_EQ(alice_.rtt(), std::nullopt);
}

}  // namespace
}  // namespace weft::router
