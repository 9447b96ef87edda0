#include "router/connector.h"

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
const Goal kHost = Target{"host", 6783};
const Goal kPeer = PeerName(7);

class ConnectorTest : public ::testing::Test {
 protected:
  std::vector<Goal> run_at(TimePoint now) {
    std::vector<Goal> out;
    connector_.on_deadline(now, out);
    connector_.check_invariants();
    return out;
  }

  Connector connector_{
      Connector::Options{
          .backoff_min = seconds(2), .backoff_max = seconds(8), .goals_max = 8, .dials_max = 2},
      Rng(1)};
};

TEST_F(ConnectorTest, DialsANewGoalOnceAfterItsDelay) {
  ASSERT_TRUE(connector_.add(kStart, kHost, seconds(1)));

  EXPECT_EQ(connector_.next_deadline(), kStart + seconds(1));
  EXPECT_THAT(run_at(kStart), IsEmpty());
  EXPECT_THAT(run_at(kStart + seconds(1)), ElementsAre(kHost));
  EXPECT_THAT(run_at(kStart + seconds(1)), IsEmpty());
  EXPECT_EQ(connector_.next_deadline(), kNever);
}

TEST_F(ConnectorTest, FailureDoublesTheDelayUpToTheMaximum) {
  ASSERT_TRUE(connector_.add(kStart, kHost, Duration::zero()));

  TimePoint now = kStart;
  for (const auto ceiling : {seconds(2), seconds(4), seconds(8), seconds(8)}) {
    ASSERT_THAT(run_at(now), ElementsAre(kHost));
    connector_.on_lost(now, kHost, "refused");
    const Duration delay = connector_.next_deadline() - now;
    EXPECT_GE(delay, ceiling / 2);
    EXPECT_LE(delay, ceiling);
    now += delay;
  }
}

TEST_F(ConnectorTest, OnlyAConnectionThatLastedStartsTheDelaysFromTheBottom) {
  ASSERT_TRUE(connector_.add(kStart, kHost, Duration::zero()));
  TimePoint now = kStart;
  for (int i = 0; i < 4; ++i) {
    (void)run_at(now);
    connector_.on_connected(now, kHost);
    connector_.on_lost(now, kHost, "reset");
    now = connector_.next_deadline();
  }
  EXPECT_EQ(connector_.find(kHost)->backoff, seconds(8));

  (void)run_at(now);
  connector_.on_connected(now, kHost);
  connector_.on_lost(now + seconds(30), kHost, "reset");

  EXPECT_EQ(connector_.find(kHost)->backoff, seconds(2));
}

TEST_F(ConnectorTest, DialsNoMoreAtATimeThanAllowedThoseDueLongestFirst) {
  ASSERT_TRUE(connector_.add(kStart, PeerName(1), milliseconds(3)));
  ASSERT_TRUE(connector_.add(kStart, PeerName(2), milliseconds(2)));
  ASSERT_TRUE(connector_.add(kStart, PeerName(3), milliseconds(1)));

  const TimePoint now = kStart + seconds(1);
  EXPECT_THAT(run_at(now), ElementsAre(Goal(PeerName(3)), Goal(PeerName(2))));
  EXPECT_EQ(connector_.next_deadline(), kNever);
  connector_.on_connected(now, PeerName(3));
  EXPECT_THAT(run_at(now), ElementsAre(Goal(PeerName(1))));
}

TEST_F(ConnectorTest, ForgetsAGoalRemovedWhileItWasBeingDialled) {
  ASSERT_TRUE(connector_.add(kStart, kHost, Duration::zero()));
  ASSERT_THAT(run_at(kStart), ElementsAre(kHost));

  connector_.remove(kHost);
  connector_.on_connected(kStart, kHost);

  EXPECT_EQ(connector_.find(kHost), nullptr);
  EXPECT_EQ(connector_.next_deadline(), kNever);
}

TEST_F(ConnectorTest, AGoalGivenUpIsDialledAgainOnlyWhenAskedFor) {
  ASSERT_TRUE(connector_.add(kStart, kHost, Duration::zero()));
  (void)run_at(kStart);

  connector_.give_up(kHost, "this is ourselves");
  connector_.on_lost(kStart, kHost, "closed");
  EXPECT_EQ(connector_.next_deadline(), kNever);
  EXPECT_EQ(connector_.find(kHost)->reason, "this is ourselves");

  connector_.retry(kStart, kHost);
  EXPECT_THAT(run_at(kStart), ElementsAre(kHost));
}

TEST_F(ConnectorTest, RefusesGoalsOverItsLimit) {
  for (std::uint64_t i = 1; i <= 8; ++i) {
    EXPECT_TRUE(connector_.add(kStart, PeerName(i), Duration::zero()));
  }

  EXPECT_FALSE(connector_.add(kStart, PeerName(9), Duration::zero()));
  EXPECT_TRUE(connector_.add(kStart, PeerName(8), Duration::zero()));
}

TEST(Target, ParsesNamesAddressesAndPorts) {
  EXPECT_EQ(Target::parse("host", 1).value(), (Target{"host", 1}));
  EXPECT_EQ(Target::parse("host:80", 1).value(), (Target{"host", 80}));
  EXPECT_EQ(Target::parse("host-1.example.org:6783", 1).value().host, "host-1.example.org");
  EXPECT_EQ(Target::parse("10.0.0.1:80", 1).value(), (Target{"10.0.0.1", 80}));
  EXPECT_EQ(Target::parse("fe80::1", 1).value(), (Target{"fe80::1", 1}));
  EXPECT_EQ(Target::parse("[fe80::1]", 1).value(), (Target{"fe80::1", 1}));
  EXPECT_EQ(Target::parse("[fe80::1]:80", 1).value(), (Target{"fe80::1", 80}));
  EXPECT_EQ(Target::parse("[fe80::1]:80", 1).value().to_string(), "[fe80::1]:80");
}

TEST(Target, RefusesWhatIsNoHostOrPort) {
  for (const char* text : {"",
                           ":80",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:x",
                           "a b",
                           "[fe80::1",
                           "[::1]x",
                           "[::1]:",
                           "[host]:1",
                           "[]",
                           "host:1:2",
                           "host:080",
                           "host\n",
                           "-host",
                           "[]:1"}) {
    const auto target = Target::parse(text, 1);
    ASSERT_FALSE(target.ok()) << text;
    EXPECT_EQ(target.error().code, Errc::Invalid);
    EXPECT_NE(target.error().what.find("expected HOST or HOST:PORT"), std::string::npos);
  }
}

}  // namespace
}  // namespace weft::router
