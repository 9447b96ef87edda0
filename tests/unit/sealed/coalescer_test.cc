#include "router/sealed/coalescer.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sealed/super_frames.h"

namespace weft::router {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

void put(Coalescer& coalescer, const Bytes& packet) {
  std::uint8_t* at = coalescer.begin(packet.size());
  ASSERT_NE(at, nullptr);
  std::copy(packet.begin(), packet.end(), at);
  coalescer.accept();
}

std::vector<Bytes> finished(Coalescer& coalescer) {
  coalescer.finish();
  std::vector<Bytes> frames;
  for (const Coalescer::Finished frame : coalescer.finished()) {
    frames.push_back(to_bytes(frame));
  }
  coalescer.clear();
  return frames;
}

std::vector<Bytes> coalesce(const std::vector<Bytes>& packets) {
  Coalescer coalescer;
  for (const Bytes& packet : packets) {
    put(coalescer, packet);
  }
  return finished(coalescer);
}

// As a relay does: opened, put together, counted, cut and sealed again, host after host.
TEST(Coalescer, EachRelayIsCountedUntilThereAreTooMany) {
  const Flow flow{.payload_size = 30000};
  Bytes super = super_frame(flow);
  const std::uint8_t kernels = super[0];  // Flags of the VnetHeader.

  for (std::uint8_t hop = 1; hop <= 7; ++hop) {
    ASSERT_TRUE(count_hop(super));
    const std::vector<Bytes> packets = packets_of(super);
    ASSERT_THAT(packets, SizeIs(30));
    for (const Bytes& packet : packets) {
      EXPECT_EQ(packet[0], kOffloadPartialChecksum + hop * kOffloadHop);
    }
    super = coalesce(packets).front();
    EXPECT_EQ(super[0], kernels + hop * kOffloadHop);
  }

  EXPECT_FALSE(count_hop(super));
  super[0] = kernels;
  EXPECT_EQ(super, super_frame(flow));
}

TEST(Coalescer, PutsTogetherExactlyWhatTheSplitterCut) {
  for (const bool is_tcp : {true, false}) {
    for (const bool is_v6 : {true, false}) {
      for (const std::size_t payload_size : {1001U, 30000U, 43 * 1000U}) {
        const Flow flow{.is_tcp = is_tcp, .is_v6 = is_v6, .payload_size = payload_size};

        const std::vector<Bytes> frames = coalesce(packets_of(super_frame(flow)));

        EXPECT_THAT(frames, ElementsAre(super_frame(flow)));
      }
    }
  }
}

TEST(Coalescer, EndsAFrameAtAPush) {
  const Flow first{.payload_size = 3000, .gso_size = 1000, .tcp_flags = 0x18};
  const Flow second{.payload_size = 2000, .gso_size = 1000, .sequence = first.sequence + 3000};
  std::vector<Bytes> packets = packets_of(super_frame(first));
  for (const Bytes& packet : packets_of(super_frame(second))) {
    packets.push_back(packet);
  }

  EXPECT_THAT(coalesce(packets), ElementsAre(super_frame(first), super_frame(second)));
}

TEST(Coalescer, NeverMergesOverALostOrReorderedPacket) {
  const Flow flow{.payload_size = 4000, .gso_size = 1000};
  const std::vector<Bytes> packets = packets_of(super_frame(flow));

  const std::vector<Bytes> lost = coalesce({packets[0], packets[2], packets[3]});
  const std::vector<Bytes> swapped = coalesce({packets[1], packets[0]});

  ASSERT_THAT(lost, SizeIs(2));
  EXPECT_EQ(Bytes(lost[0].begin() + sizeof(VnetHeader), lost[0].end()),
            Bytes(packets[0].begin() + kOffloadSize, packets[0].end()));
  ASSERT_THAT(swapped, SizeIs(2));
  EXPECT_EQ(Bytes(swapped[1].begin() + sizeof(VnetHeader), swapped[1].end()),
            Bytes(packets[0].begin() + kOffloadSize, packets[0].end()));
}

TEST(Coalescer, NeverMergesPacketsOfDifferentHeaders) {
  const Flow flow{.payload_size = 2000, .gso_size = 1000};
  const std::vector<Bytes> packets = packets_of(super_frame(flow));
  // Type of service, time to live, source, ports, acknowledgement, window, options.
  for (const std::size_t offset : {15U, 22U, 29U, 35U, 37U, 45U, 49U, 60U}) {
    Bytes other = packets[1];
    other[kOffloadSize + offset] ^= 1U;

    const std::vector<Bytes> frames = coalesce({packets[0], other});

    ASSERT_THAT(frames, SizeIs(2)) << offset;
    EXPECT_EQ(Bytes(frames[1].begin() + sizeof(VnetHeader), frames[1].end()),
              Bytes(other.begin() + kOffloadSize, other.end()));
  }
}

TEST(Coalescer, NeverMergesPacketsWhoseChecksumsAreComplete) {
  std::vector<Bytes> packets = packets_of(super_frame({.payload_size = 2000, .gso_size = 1000}));
  for (Bytes& packet : packets) {
    packet[0] = 0;
  }

  EXPECT_THAT(coalesce(packets), SizeIs(2));
}

TEST(Coalescer, LeavesNoTraceOfWhatDoesNotAuthenticate) {
  const Flow flow{.payload_size = 4000, .gso_size = 1000};
  const std::vector<Bytes> packets = packets_of(super_frame(flow));
  Coalescer coalescer;
  for (const Bytes& packet : packets) {
    std::uint8_t* at = coalescer.begin(packet.size());
    ASSERT_NE(at, nullptr);
    std::fill_n(at, packet.size(), 0xee);  // What a cipher leaves of a forgery.
    coalescer.reject();
    put(coalescer, packet);
  }

  EXPECT_THAT(finished(coalescer), ElementsAre(super_frame(flow)));
}

TEST(Coalescer, PassesOtherFramesUnchangedAndInOrder) {
  Bytes arp(kOffloadSize + 42, 3);
  arp[0] = 0;
  const std::vector<Bytes> tcp = packets_of(super_frame({.payload_size = 2000, .gso_size = 1000}));

  const std::vector<Bytes> frames = coalesce({tcp[0], arp, tcp[1]});

  ASSERT_THAT(frames, SizeIs(3));
  EXPECT_EQ(Bytes(frames[1].begin() + sizeof(VnetHeader), frames[1].end()),
            Bytes(arp.begin() + kOffloadSize, arp.end()));
}

TEST(Coalescer, DropsChecksumMetadataThatPointOutsideTheFrame) {
  Bytes packet(kOffloadSize + 60);
  packet[0] = kOffloadPartialChecksum;
  packet[2] = 0xff;

  const std::vector<Bytes> frames = coalesce({packet});

  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0][0], 0);
}

TEST(Coalescer, AsksToBeEmptiedWhenItIsFull) {
  const std::vector<Bytes> packets =
      packets_of(super_frame({.payload_size = 60000, .gso_size = 1400}));
  Coalescer coalescer;
  std::size_t rounds = 0;
  std::size_t bytes = 0;
  for (int repetition = 0; repetition < 10; ++repetition) {
    for (const Bytes& packet : packets) {
      if (coalescer.begin(packet.size()) == nullptr) {
        for (const Bytes& frame : finished(coalescer)) {
          bytes += frame.size();
        }
        ++rounds;
        ASSERT_NE(coalescer.begin(packet.size()), nullptr);
      }
      coalescer.reject();
      put(coalescer, packet);
    }
  }
  for (const Bytes& frame : finished(coalescer)) {
    bytes += frame.size();
  }

  EXPECT_GE(rounds, 3U);
  EXPECT_GE(bytes, 10 * 60000U);
}

}  // namespace
}  // namespace weft::router
