#include "router/admission.h"

#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{};
constexpr Admission::Options kSmall{
    .rate = 10, .burst = 20, .source_rate = 2, .source_burst = 5, .sources_max = 8};

std::size_t admitted(Admission& admission, TimePoint now, const Ip& source, std::size_t attempts) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < attempts; ++i) {
    count += admission.admit(now, source) ? 1U : 0U;
  }
  admission.check_invariants();
  return count;
}

TEST(Admission, GivesOneSourceItsShareAndOthersTheRest) {
  Admission admission(kSmall);

  EXPECT_EQ(admitted(admission, kStart, Ipv4(1), 1000), 5U);
  EXPECT_EQ(admitted(admission, kStart, Ipv4(2), 1000), 5U);
}

TEST(Admission, HoldsEverybodyTogetherToTheCommonLimit) {
  Admission admission(kSmall);
  std::size_t count = 0;

  for (std::uint32_t host = 1; host <= 100; ++host) {
    count += admitted(admission, kStart, Ipv4(host), 1);
  }

  EXPECT_EQ(count, 20U);
}

TEST(Admission, RampsUpAMassRestart) {
  Admission admission(kSmall);
  std::size_t waiting = 100;
  std::vector<std::size_t> waiting_after_second;

  // A hundred hosts, each trying again and again until it is let in.
  for (int tick = 0; tick < 100; ++tick) {
    for (std::uint32_t host = 0; host < waiting; ++host) {
      waiting -= admitted(admission, kStart + milliseconds(100) * tick, Ipv4(host + 1), 1);
    }
    if (tick % 10 == 9) {
      waiting_after_second.push_back(waiting);
    }
  }

  for (std::size_t second = 0; second < 8; ++second) {
    EXPECT_LE(waiting_after_second[second], 80 - 10 * second);
    EXPECT_GE(waiting_after_second[second] + 10, 80 - 10 * second);
  }
  EXPECT_EQ(waiting, 0U);
}

TEST(Admission, TakesANetworkOf64BitsForOneSource) {
  Admission admission(kSmall);
  std::size_t count = 0;

  for (std::uint8_t host = 0; host < 100; ++host) {
    Ipv6::Octets octets{0x20, 0x01, 0x0d, 0xb8};
    octets[15] = host;
    count += admitted(admission, kStart, Ipv6(octets), 1);
  }

  EXPECT_EQ(count, 5U);
}

TEST(Admission, RemembersNoMoreSourcesThanItsLimit) {
  Admission admission(kSmall);

  for (std::uint32_t host = 1; host <= 1000; ++host) {
    (void)admission.admit(kStart + seconds(host), Ipv4(host));
    admission.check_invariants();
  }

  EXPECT_TRUE(admission.admit(kStart + seconds(2000), Ipv4(7)));
}

TEST(Admission, IsNotConfusedByTimeThatStandsStill) {
  Admission admission(kSmall);
  EXPECT_EQ(admitted(admission, kStart + seconds(10), Ipv4(1), 10), 5U);

  EXPECT_EQ(admitted(admission, kStart, Ipv4(1), 10), 0U);
}

}  // namespace
}  // namespace weft::router
