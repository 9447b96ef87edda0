#include "router/checksums/checksum_probe.h"

#include <gtest/gtest.h>

namespace weft::router {
namespace {

constexpr std::size_t kMetadataSize = 10;
constexpr std::size_t kUdpAt = kMetadataSize + 14 + 20;
constexpr std::size_t kChecksumAt = kUdpAt + 6;

const PeerName kUs(0x020000000001);
const PeerName kThem(0x020000000002);
const ChecksumProbe kProbe{.origin = kUs, .id = 0x0123456789abcdef};

Bytes unfinished() {
  return encode_checksum_probe(kProbe, kThem, Ipv4(0xc0000202));
}

// What a device does (RFC 1071): sums from where it is told to the end, and writes the complement.
Bytes finished() {
  Bytes frame = unfinished();
  std::uint32_t sum = 0;
  for (std::size_t i = kUdpAt; i < frame.size(); i += 2) {
    sum += static_cast<std::uint32_t>(frame[i] << 8U) | frame[i + 1];
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  frame[0] = 0;  // Nothing is left to be done.
  frame[kChecksumAt] = static_cast<std::uint8_t>(~sum >> 8U);
  frame[kChecksumAt + 1] = static_cast<std::uint8_t>(~sum);
  return frame;
}

TEST(ChecksumProbe, WhoHearsItKnowsWhoAskedAndThatTheSumIsRight) {
  const auto heard = decode_checksum_probe(finished());

  ASSERT_TRUE(heard.ok()) << heard.error().what;
  EXPECT_EQ(heard.value().probe, kProbe);
  EXPECT_TRUE(heard.value().is_right);
}

TEST(ChecksumProbe, ASumThatIsKnownToBeUnfinishedIsNobodysFault) {
  EXPECT_TRUE(decode_checksum_probe(unfinished()).value().is_right);
}

TEST(ChecksumProbe, ASumThatWasNeverFinishedIsWrong) {
  Bytes frame = unfinished();
  frame[0] = 0;

  EXPECT_FALSE(decode_checksum_probe(frame).value().is_right);
}

TEST(ChecksumProbe, AFieldLeftEmptyIsWrong) {
  Bytes frame = finished();
  frame[kChecksumAt] = 0;
  frame[kChecksumAt + 1] = 0;

  EXPECT_FALSE(decode_checksum_probe(frame).value().is_right);
}

TEST(ChecksumProbe, AnOctetThatChangedOnTheWayMakesTheSumWrong) {
  Bytes frame = finished();
  frame.back() ^= 1U;

  EXPECT_FALSE(decode_checksum_probe(frame).value().is_right);
}

TEST(ChecksumProbe, CutShortOrOfAnotherKindItIsRefused) {
  const Bytes frame = finished();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(decode_checksum_probe(ByteView(frame).first(size)).ok()) << size;
  }
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes changed = frame;
    changed.at(at) = value;
    return decode_checksum_probe(changed);
  };
  EXPECT_FALSE(with(kMetadataSize + 13, 0xdd).ok());      // Another ethertype.
  EXPECT_FALSE(with(kMetadataSize + 14, 0x46).ok());      // Options.
  EXPECT_FALSE(with(kMetadataSize + 14 + 9, 6).ok());     // TCP.
  EXPECT_FALSE(with(kMetadataSize + 14 + 12, 192).ok());  // From somewhere.
  EXPECT_FALSE(with(kUdpAt + 3, 67).ok());                // DHCP.
  EXPECT_FALSE(with(kUdpAt + 8, 2).ok());                 // Another version.
}

}  // namespace
}  // namespace weft::router
