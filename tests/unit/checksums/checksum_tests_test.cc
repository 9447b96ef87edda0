#include "router/checksums/checksum_tests.h"

#include <gtest/gtest.h>

namespace weft::router {
namespace {

constexpr std::uint32_t kDevice = 7;
const PeerName kPeer(1);

class ChecksumTestsTest : public ::testing::Test {
 protected:
  // What comes of one probe and its answer.
  std::optional<SetChecksumOffload> ask(bool is_right) {
    const auto id = tests_.next_probe(kDevice, kPeer);
    return id ? tests_.on_heard(*id, is_right) : std::nullopt;
  }
  std::optional<SetChecksumOffload> hear_wrong_often() {
    EXPECT_EQ(ask(false), std::nullopt);
    EXPECT_EQ(ask(false), std::nullopt);
    return ask(false);
  }

  ChecksumTests tests_{Rng(1)};
};

TEST_F(ChecksumTestsTest, ADeviceThatIsRightOnceIsAskedNoMore) {
  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Untested);

  EXPECT_EQ(ask(true), std::nullopt);

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Right);
  EXPECT_EQ(tests_.next_probe(kDevice, kPeer), std::nullopt);
}

TEST_F(ChecksumTestsTest, OnePacketDamagedOnTheWayConvictsNobody) {
  (void)ask(false);
  (void)ask(false);

  EXPECT_EQ(ask(true), std::nullopt);

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Right);
}

TEST_F(ChecksumTestsTest, ADeviceThatLiesLosesItsOffload) {
  EXPECT_EQ(hear_wrong_often(), (SetChecksumOffload{.device = kDevice, .enabled = false}));
  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Untested);

  EXPECT_EQ(ask(true), std::nullopt);

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::TurnedOff);
}

TEST_F(ChecksumTestsTest, ADeviceThatIsNotToBlameGetsItsOffloadBack) {
  (void)hear_wrong_often();

  EXPECT_EQ(hear_wrong_often(), (SetChecksumOffload{.device = kDevice, .enabled = true}));

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Elsewhere);
  EXPECT_EQ(tests_.next_probe(kDevice, kPeer), std::nullopt);
}

TEST_F(ChecksumTestsTest, ALateAnswerToTheFirstStageTellsNothingOfTheSecond) {
  const std::uint64_t first = tests_.next_probe(kDevice, kPeer).value();
  (void)hear_wrong_often();

  EXPECT_EQ(tests_.on_heard(first, true), std::nullopt);

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Untested);
}

TEST_F(ChecksumTestsTest, AnAnswerToNoProbeOfOursIsIgnored) {
  const std::uint64_t id = tests_.next_probe(kDevice, kPeer).value();

  for (int i = 0; i < 2 * ChecksumTests::kWrongMax; ++i) {
    EXPECT_EQ(tests_.on_heard(id + 1, false), std::nullopt);
  }
}

TEST_F(ChecksumTestsTest, APeerThatNeverAnswersIsAskedForAWhileAndThenOthersAre) {
  for (int i = 0; i < ChecksumTests::kProbesMax; ++i) {
    EXPECT_TRUE(tests_.next_probe(kDevice, kPeer).has_value());
  }

  EXPECT_EQ(tests_.next_probe(kDevice, kPeer), std::nullopt);
  EXPECT_TRUE(tests_.next_probe(kDevice, PeerName(2)).has_value());
}

TEST_F(ChecksumTestsTest, EachDeviceIsJudgedAlone) {
  const std::uint64_t other = tests_.next_probe(kDevice + 1, kPeer).value();
  (void)hear_wrong_often();

  (void)tests_.on_heard(other, true);

  EXPECT_EQ(tests_.verdict(kDevice), ChecksumVerdict::Untested);
  EXPECT_EQ(tests_.verdict(kDevice + 1), ChecksumVerdict::Right);
}

}  // namespace
}  // namespace weft::router
