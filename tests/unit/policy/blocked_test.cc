#include "policy/blocked.h"

#include <chrono>

#include <gmock/gmock.h>

namespace weft::policy {
namespace {

using std::chrono_literals::operator""s;

Bytes hex(const std::string& text) {
  return from_hex(text).value();
}

// 10.0.0.1:4660 to 10.0.0.2:80.
const std::string kV4 =
    "450000280001000040060000"
    "0a000001"
    "0a000002";
const std::string kPorts = "12340050";
std::string tcp(const std::string& flags) {
  return kPorts + "00000000" "00000000" "50" + flags + "0000" "00000000";
}

TEST(Blocked, ReadsTheFirstPacketOfATcpConnection) {
  const auto connection = read_blocked(hex(kV4 + tcp("02")));

  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->to_string(),
            "TCP connection from 10.0.0.1:4660 to 10.0.0.2:80 blocked by Weave NPC.");
}

TEST(Blocked, CountsNothingButTheFirst) {
  EXPECT_EQ(read_blocked(hex(kV4 + tcp("12"))), std::nullopt) << "SYN and ACK";
  EXPECT_EQ(read_blocked(hex(kV4 + tcp("10"))), std::nullopt) << "ACK";
  EXPECT_EQ(read_blocked(hex("450000280001200140060000"
                             "0a000001"
                             "0a000002"
                             + tcp("02"))),
            std::nullopt)
      << "a fragment";
  EXPECT_EQ(read_blocked(hex("450000280001000040010000"
                             "0a000001"
                             "0a000002"
                             "08000000")),
            std::nullopt)
      << "ICMP";
}

TEST(Blocked, ReadsUdpOverIpv6BehindExtensionHeaders) {
  const std::string header =
      "60000000"
      "0018"
      "00"
      "40"
      "fd000000000000000000000000000001"
      "fd000000000000000000000000000002";
  const auto connection = read_blocked(hex(header
                                           + "1100000000000000"
                                             "12340035"
                                             "00080000"));

  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->to_string(),
            "UDP connection from [fd00::1]:4660 to [fd00::2]:53 blocked by Weave NPC.");
  EXPECT_EQ(read_blocked(hex(header
                             + "11ff000000000000"
                               "12340035")),
            std::nullopt)
      << "longer than there is";
}

TEST(Blocked, ReadsNothingFromAPieceOfAPacket) {
  const Bytes packet = hex(kV4 + tcp("02"));
  for (std::size_t size = 0; size < 34; ++size) {
    EXPECT_EQ(read_blocked(ByteView(packet).first(size)), std::nullopt) << size;
  }
}

TEST(Blocked, CountsAllAndTellsOfAFewASecond) {
  BlockedCounts counts;
  auto connection = read_blocked(hex(kV4 + tcp("02"))).value();
  const TimePoint now{100s};
  std::size_t lines = 0;
  for (int count = 0; count < 100; ++count) {
    lines += counts.count(now, connection) ? 1U : 0U;
  }

  EXPECT_EQ(lines, BlockedCounts::kLinesPerSecond);
  EXPECT_EQ(counts.unlogged(), 100 - BlockedCounts::kLinesPerSecond);
  EXPECT_TRUE(counts.count(now + 1s, connection));
  EXPECT_EQ(counts.counts().begin()->second, 101U);
}

TEST(Blocked, OneWhoTriesAllPortsMakesNoSeriesOfEach) {
  BlockedCounts counts;
  auto connection = read_blocked(hex(kV4 + tcp("02"))).value();
  for (std::uint32_t port = 1; port <= 65'535; ++port) {
    connection.destination.port = static_cast<std::uint16_t>(port);
    counts.count(TimePoint{}, connection);
  }

  EXPECT_EQ(counts.counts().size(), BlockedCounts::kSeriesMax + 1);
  EXPECT_EQ(counts.counts().at({BlockedConnection::Protocol::Tcp, std::nullopt}),
            65'535 - BlockedCounts::kSeriesMax);
}

}  // namespace
}  // namespace weft::policy
