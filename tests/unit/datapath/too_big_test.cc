#include "router/datapath/too_big.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/ethernet.h"
#include "router/datapath/nd.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const Mac kSender({2, 0, 0, 0, 0, 1});
const Mac kTarget({2, 0, 0, 0, 0, 2});
const Mac kGroup({1, 0, 0x5e, 1, 2, 3});

struct Ipv4Packet {
  Mac to = kTarget;
  std::uint16_t flags = 0x4000;  // Don't Fragment.
  std::uint8_t protocol = 17;
  std::uint8_t first = 99;  // Octet of the payload.
  std::size_t payload = 1400;
};

Bytes frame_of(const Ipv4Packet& packet) {
  Writer out;
  write_ethernet({.destination = packet.to, .source = kSender, .type = kEtherTypeIpv4}, out);
  out.u8(0x45).u8(0).u16(static_cast<std::uint16_t>(20 + packet.payload)).u16(7);
  out.u16(packet.flags).u8(64).u8(packet.protocol).u16(0).u32(0x0a200001).u32(0x0a200002);
  out.u8(packet.first);
  for (std::size_t i = 1; i < packet.payload; ++i) {
    out.u8(static_cast<std::uint8_t>(i));
  }
  return out.take();
}

Bytes ipv6_frame(Mac to, std::uint8_t next_header, std::uint8_t type) {
  Writer out;
  write_ethernet({.destination = to, .source = kSender, .type = kEtherTypeIpv6}, out);
  const bool is_group = (to.octets()[0] & 1U) != 0;
  out.u32(0x60000000).u16(1400).u8(next_header).u8(64);
  out.append(Bytes{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  out.append(Bytes{static_cast<std::uint8_t>(is_group ? 0xff : 0xfd),
                   2,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0,
                   2});
  return out.u8(type).append(Bytes(1399, 1)).take();
}

TEST(TooBig, TellsTheSenderOfAPacketThatMustNotBeCut) {
  const Bytes frame = frame_of({});

  const auto answer = too_big_answer(frame, 1250);

  ASSERT_TRUE(answer);
  const EthernetFrame decoded = decode_ethernet(*answer).value();
  EXPECT_EQ(decoded.header.destination, kSender);
  EXPECT_EQ(decoded.header.source, kTarget);
  const ByteView ip = decoded.payload;
  EXPECT_EQ(ip.size(), 576U);
  EXPECT_EQ(read16(&ip[2]), 576U);
  EXPECT_EQ(read32(&ip[12]), 0x0a200002U);  // As if from the target …
  EXPECT_EQ(read32(&ip[16]), 0x0a200001U);  // … to the sender.
  EXPECT_EQ(checksum_of(sum_words(ip.data(), 20)), 0);
  EXPECT_EQ(ip[20], 3);
  EXPECT_EQ(ip[21], 4);
  EXPECT_EQ(read16(&ip[26]), 1250U);
  EXPECT_EQ(checksum_of(sum_words(ip.data() + 20, ip.size() - 20)), 0);
  EXPECT_TRUE(std::equal(ip.begin() + 28, ip.end(), frame.begin() + 14));
}

TEST(TooBig, TellsTheSenderOfAnyIpv6Packet) {
  for (const Mac to : {kTarget, Mac({0x33, 0x33, 0, 0, 0, 2})}) {
    const auto answer = too_big_answer(ipv6_frame(to, 17, 0), 1300);

    ASSERT_TRUE(answer);
    const EthernetFrame decoded = decode_ethernet(*answer).value();
    EXPECT_EQ(decoded.header.destination, kSender);
    const ByteView ip = decoded.payload;
    EXPECT_EQ(ip.size(), 1280U);
    EXPECT_EQ(ip[6], 58);
    EXPECT_EQ(ip[8], 0xfd);  // Not from a group.
    EXPECT_EQ(ip[40], 2);
    EXPECT_EQ(read32(&ip[44]), 1300U);
    const auto address = [&ip](std::size_t at) {
      Ipv6::Octets octets{};
      std::copy_n(ip.begin() + static_cast<std::ptrdiff_t>(at), 16, octets.begin());
      return Ipv6(octets);
    };
    EXPECT_EQ(icmpv6_checksum(address(8), address(24), ip.subspan(40)), 0);
  }
}

TEST(TooBig, AnswersNothingThatMustNotBeAnswered) {
  EXPECT_FALSE(too_big_answer(frame_of({.flags = 0}), 1250));                 // May be cut.
  EXPECT_FALSE(too_big_answer(frame_of({.to = kGroup}), 1250));               // To a group.
  EXPECT_FALSE(too_big_answer(frame_of({.flags = 0x4001}), 1250));            // A later fragment.
  EXPECT_FALSE(too_big_answer(frame_of({.protocol = 1, .first = 3}), 1250));  // An ICMP error …
  EXPECT_TRUE(too_big_answer(frame_of({.protocol = 1, .first = 8}), 1250));   // … but a ping.
  EXPECT_FALSE(too_big_answer(ipv6_frame(kTarget, 58, 2), 1250));
  EXPECT_TRUE(too_big_answer(ipv6_frame(kTarget, 58, 128), 1250));
  Bytes arp = frame_of({});
  arp[13] = 0x06;
  EXPECT_FALSE(too_big_answer(arp, 1250));
  const Bytes whole = frame_of({});
  for (std::size_t size = 0; size < 14 + 20 + 8; ++size) {
    EXPECT_FALSE(too_big_answer(ByteView(whole).first(size), 1250)) << size;
  }
}

TEST(TooBig, CutsAPacketIntoFragmentsThatMakeItAgain) {
  const Bytes frame = frame_of({.to = kGroup, .flags = 0, .payload = 3001});

  const std::vector<Bytes> pieces = fragment(frame, 1014);

  ASSERT_THAT(pieces, SizeIs(4));
  Bytes payload;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_LE(pieces[i].size(), 1014U);
    const std::uint8_t* ip = pieces[i].data() + 14;
    EXPECT_EQ(checksum_of(sum_words(ip, 20)), 0);
    EXPECT_EQ(read16(ip + 2), pieces[i].size() - 14);
    EXPECT_EQ(read16(ip + 4), 7);
    EXPECT_EQ(static_cast<std::size_t>(read16(ip + 6) & 0x1fff) * 8, payload.size());
    EXPECT_EQ((read16(ip + 6) & 0x2000) != 0, i + 1 < pieces.size());
    payload.insert(payload.end(), pieces[i].begin() + 34, pieces[i].end());
  }
  EXPECT_EQ(payload, Bytes(frame.begin() + 34, frame.end()));
}

TEST(TooBig, KeepsTheOffsetOfWhatWasAFragmentAlready) {
  const std::vector<Bytes> pieces = fragment(frame_of({.flags = 0x2000 | 100}), 1014);

  ASSERT_THAT(pieces, SizeIs(2));
  EXPECT_EQ(read16(pieces[0].data() + 14 + 6), 0x2000 | 100);
  EXPECT_EQ(read16(pieces[1].data() + 14 + 6), 0x2000 | (100 + 976 / 8));
}

TEST(TooBig, CutsNothingThatMustNotBeCut) {
  EXPECT_THAT(fragment(frame_of({}), 1014), IsEmpty());
  EXPECT_THAT(fragment(frame_of({.flags = 0}), 34 + 7), IsEmpty());
  EXPECT_THAT(fragment(ipv6_frame(kTarget, 17, 0), 1014), IsEmpty());
  Bytes longer = frame_of({.flags = 0});
  longer[16] = 0xff;  // Than it is.
  EXPECT_THAT(fragment(longer, 1014), IsEmpty());
  const Bytes whole = frame_of({.flags = 0});
  for (std::size_t size = 0; size < 14 + 21; ++size) {
    EXPECT_THAT(fragment(ByteView(whole).first(size), 1014), IsEmpty()) << size;
  }
}

}  // namespace
}  // namespace weft::router
