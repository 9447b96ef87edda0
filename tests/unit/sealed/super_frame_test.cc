#include "router/sealed/super_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sealed/super_frames.h"

namespace weft::router {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

ByteView frame_in(const Bytes& packet) {
  return ByteView(packet).subspan(kOffloadSize);
}

Bytes payload_in(const Bytes& packet, const Flow& flow) {
  return to_bytes(frame_in(packet).subspan(flow.headers_size()));
}

TEST(Splitter, CutsTcpAsTheKernelWould) {
  const Flow flow{.payload_size = 2500, .gso_size = 1000, .tcp_flags = 0x19};  // ACK, PSH, FIN

  const std::vector<Bytes> packets = packets_of(super_frame(flow));

  ASSERT_THAT(packets, SizeIs(3));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::uint8_t* ip = frame_in(packets[i]).data() + 14;
    const std::uint8_t* tcp = frame_in(packets[i]).data() + flow.l4();
    const std::size_t size = i < 2 ? 1000 : 500;
    EXPECT_EQ(read16(ip + 2), 20 + 32 + size);
    EXPECT_EQ(read16(ip + 4), flow.identification + i);
    EXPECT_EQ(fold(sum_words(ip, 20)), 0xffff);
    EXPECT_EQ(read32(tcp + 4), flow.sequence + 1000 * i);
    EXPECT_EQ(tcp[13], i < 2 ? 0x10 : 0x19);
    EXPECT_EQ(read16(tcp + 16), partial_checksum(frame_in(packets[i]).data(), flow, 32 + size));
    EXPECT_EQ(packets[i][0], kOffloadPartialChecksum);
    EXPECT_EQ(packets[i][1], 16);
    EXPECT_EQ(read16(packets[i].data() + 2), flow.l4());
  }
}

TEST(Splitter, KeepsThePayloadOfEveryKindOfFlow) {
  for (const bool is_tcp : {true, false}) {
    for (const bool is_v6 : {true, false}) {
      // The last is smaller than its headers: they reach over more than one segment before.
      for (const int gso_size : {1400, 999, 11}) {
        const Flow flow{.is_tcp = is_tcp,
                        .is_v6 = is_v6,
                        .payload_size = 3001,
                        .gso_size = static_cast<std::uint16_t>(gso_size)};
        const Bytes whole = frame_of(flow);

        Bytes joined;
        for (const Bytes& packet : packets_of(super_frame(flow))) {
          const Bytes part = payload_in(packet, flow);
          joined.insert(joined.end(), part.begin(), part.end());
        }

        EXPECT_EQ(joined,
                  Bytes(whole.begin() + static_cast<int>(flow.headers_size()), whole.end()));
      }
    }
  }
}

TEST(Splitter, CutsUdpIntoDatagramsOfTheirOwnLength) {
  const Flow flow{.is_tcp = false, .is_v6 = true, .payload_size = 250, .gso_size = 100};

  const std::vector<Bytes> packets = packets_of(super_frame(flow));

  ASSERT_THAT(packets, SizeIs(3));
  EXPECT_EQ(read16(frame_in(packets[2]).data() + 14 + 4), 58);
  EXPECT_EQ(read16(frame_in(packets[2]).data() + flow.l4() + 4), 58);
  EXPECT_EQ(read16(frame_in(packets[0]).data() + flow.l4() + 4), 108);
}

TEST(Splitter, MarksReducedCongestionOnTheFirstSegmentOnly) {
  const Flow flow{.payload_size = 2000, .gso_size = 1000, .tcp_flags = 0x90};  // ACK, CWR
  VnetHeader vnet = header_of(flow);
  vnet.gso_type |= VnetHeader::kGsoEcn;

  const std::vector<Bytes> packets = packets_of(with_header(vnet, frame_of(flow)));

  ASSERT_THAT(packets, SizeIs(2));
  EXPECT_EQ(packets[0][kOffloadSize + flow.l4() + 13], 0x90);
  EXPECT_EQ(packets[1][kOffloadSize + flow.l4() + 13], 0x10);
}

TEST(Splitter, LeavesAFrameThatIsNoSuperFrameAlone) {
  const Flow flow{.payload_size = 700, .gso_size = 1000};

  const std::vector<Bytes> packets = packets_of(super_frame(flow));

  ASSERT_THAT(packets, SizeIs(1));
  EXPECT_EQ(to_bytes(frame_in(packets[0])), frame_of(flow));
}

TEST(Splitter, RefusesWhatThePathDoesNotCarry) {
  const Flow whole{.payload_size = 1000, .gso_size = 1400};
  const Flow cut{.payload_size = 4000, .gso_size = 1000};

  EXPECT_THAT(packets_of(super_frame(whole), 1000), IsEmpty());
  EXPECT_THAT(packets_of(super_frame(cut), 1000), IsEmpty());
}

TEST(Splitter, RefusesMetadataThatDoNotDescribeTheFrame) {
  const Flow flow;
  const auto refused = [&flow](auto spoil) {
    VnetHeader vnet = header_of(flow);
    spoil(vnet);
    return packets_of(with_header(vnet, frame_of(flow))).empty();
  };

  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.gso_type = 3; }));  // UFO
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.gso_size = 0; }));
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.flags = 0; }));
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.checksum_start = 60000; }));
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.checksum_start = 38; }));
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.checksum_offset = 6; }));
  EXPECT_TRUE(refused([](VnetHeader& vnet) { vnet.gso_size = 1; }));  // More than kSegmentsMax.
  EXPECT_THAT(packets_of(Bytes(sizeof(VnetHeader) + 13)), IsEmpty());
}

TEST(PlainTransport, TakesNoPacketThatIsMoreThanAcknowledgedData) {
  for (const int flags : {0x02, 0x11, 0x14, 0x30, 0x50, 0x90, 0x08}) {
    const Flow flow{.payload_size = 100, .tcp_flags = static_cast<std::uint8_t>(flags)};
    EXPECT_FALSE(plain_transport(frame_of(flow))) << flags;
  }
  EXPECT_TRUE(plain_transport(frame_of({.payload_size = 100, .tcp_flags = 0x18})));
  EXPECT_FALSE(plain_transport(frame_of({.payload_size = 0})));
}

TEST(PlainTransport, TakesNoFragmentsOptionsOrPadding) {
  Bytes fragment = frame_of({.payload_size = 100});
  fragment[14 + 6] = 0x20;
  Bytes padded = frame_of({.payload_size = 100});
  padded.push_back(0);
  Bytes with_options = frame_of({.payload_size = 100});
  with_options[14] = 0x46;

  EXPECT_FALSE(plain_transport(fragment));
  EXPECT_FALSE(plain_transport(padded));
  EXPECT_FALSE(plain_transport(with_options));
}

}  // namespace
}  // namespace weft::router
