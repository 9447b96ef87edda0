// What BPF does with small sealed frames, compiled for the host: the cipher, the datagram, the
// window of counters.
#include "router/bpf/kernel_lane.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/rng.h"

namespace weft::test {
namespace {

using ::testing::ElementsAreArray;

Bytes octets(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  for (std::uint8_t& octet : bytes) {
    octet = static_cast<std::uint8_t>(rng.below(256));
  }
  return bytes;
}

TEST(ChaCha20, MakesTheKeyStreamsOfTheStandard) {
  // RFC 8439, A.1, vectors 1 and 2: key and nonce zero, blocks 0 and 1. Vector 3: key ends in one.
  const std::array<std::uint32_t, 16> first{0xade0b876,
                                            0x903df1a0,
                                            0xe56a5d40,
                                            0x28bd8653,
                                            0xb819d2bd,
                                            0x1aed8da0,
                                            0xccef36a8,
                                            0xc70d778b,
                                            0x7c5941da,
                                            0x8d485751,
                                            0x3fe02477,
                                            0x374ad8b8,
                                            0xf4b8436a,
                                            0x1ca11815,
                                            0x69b687c3,
                                            0x8665eeb2};
  const std::array<std::uint32_t, 16> second{0xbee7079f,
                                             0x7a385155,
                                             0x7c97ba98,
                                             0x0d082d73,
                                             0xa0290fcb,
                                             0x6965e348,
                                             0x3e53c612,
                                             0xed7aee32,
                                             0x7621b729,
                                             0x434ee69c,
                                             0xb03371d5,
                                             0xd539d874,
                                             0x281fed31,
                                             0x45fb0a51,
                                             0x1f0ae1ac,
                                             0x6f4d794b};
  const std::array<std::uint32_t, 16> third{0x2452eb3a,
                                            0x9249f8ec,
                                            0x8d829d9b,
                                            0xddd4ceb1,
                                            0xe8252083,
                                            0x60818b01,
                                            0xf38422b8,
                                            0x5aaa49c9,
                                            0xbb00ca8e,
                                            0xda3ba7b4,
                                            0xc4b592d1,
                                            0xfdf2732f,
                                            0x4436274e,
                                            0x2561b3c8,
                                            0xebdd4aa6,
                                            0xa0136c00};
  weft_chacha_key key{};
  weft_chacha_block out{};

  weft_chacha20_block(&key, 0, 0, &out);
  EXPECT_THAT(out.words, ElementsAreArray(first));
  weft_chacha20_block(&key, 1, 0, &out);
  EXPECT_THAT(out.words, ElementsAreArray(second));
  key.words[7] = 0x01000000;
  weft_chacha20_block(&key, 1, 0, &out);
  EXPECT_THAT(out.words, ElementsAreArray(third));
}

struct PolyCase {
  std::array<std::uint32_t, 4> r;
  std::array<std::uint32_t, 4> s;
  std::vector<std::array<__u64, 2>> blocks;
  std::array<__u64, 2> tag;
};

TEST(Poly1305, CarriesAndReducesAsTheStandardHasIt) {
  constexpr std::uint32_t kOnes = ~0U;
  constexpr __u64 kAll = ~0ULL;
  // RFC 8439, A.3, vectors 7 to 11: the ones about carries and the reduction modulo 2^130 - 5.
  const std::vector<PolyCase> cases{
      {{2, 0, 0, 0}, {0, 0, 0, 0}, {{kAll, kAll}}, {3, 0}},
      {{2, 0, 0, 0}, {kOnes, kOnes, kOnes, kOnes}, {{2, 0}}, {3, 0}},
      {{1, 0, 0, 0}, {0, 0, 0, 0}, {{kAll, kAll}, {0xfffffffffffffff0, kAll}, {0x11, 0}}, {5, 0}},
      {{1, 0, 0, 0},
       {0, 0, 0, 0},
       {{kAll, kAll},
        {0xfefefefefefefefb, 0xfefefefefefefefe},
        {0x0101010101010101, 0x0101010101010101}},
       {0, 0}},
      {{2, 0, 0, 0}, {0, 0, 0, 0}, {{0xfffffffffffffffd, kAll}}, {0xfffffffffffffffa, kAll}},
  };
  for (const PolyCase& one : cases) {
    weft_poly1305 state{};
    weft_poly1305_begin(&state, one.r.data());
    for (const auto& block : one.blocks) {
      weft_poly1305_block(&state, block[0], block[1]);
    }
    std::array<__u64, 2> tag{};
    weft_poly1305_finish(&state, one.s.data(), tag.data());
    EXPECT_EQ(tag, one.tag);
  }
}

struct Sealed {
  Bytes text;
  std::array<std::uint8_t, 16> tag{};
};

Sealed by_libsodium(const Bytes& key,
                    std::uint64_t counter,
                    const Bytes& header,
                    const Bytes& plain) {
  std::array<std::uint8_t, 12> nonce{};
  std::memcpy(nonce.data() + 4, &counter, sizeof counter);
  Sealed sealed{.text = Bytes(plain.size())};
  crypto_aead_chacha20poly1305_ietf_encrypt_detached(sealed.text.data(),
                                                     sealed.tag.data(),
                                                     nullptr,
                                                     plain.data(),
                                                     plain.size(),
                                                     header.data(),
                                                     header.size(),
                                                     nullptr,
                                                     nonce.data(),
                                                     key.data());
  return sealed;
}

TEST(KernelLane, SealsEverySizeAsLibsodiumDoes) {
  ASSERT_GE(sodium_init(), 0);
  Rng rng(1);
  for (std::uint32_t size = 1; size <= WEFT_LANE_TEXT_MAX; ++size) {
    const Bytes key = octets(rng, 32);
    const Bytes plain = octets(rng, size);
    const std::uint64_t counter = (std::uint64_t{rng.below(~0U)} << 32U) | rng.below(~0U);
    const auto receiver = rng.below(~0U);
    const Bytes header = Writer().u32(WEFT_LANE_FIRST).u32(receiver).u64(counter).take();
    weft_lane_text t{};
    std::memset(t.text, 0xa5, sizeof t.text);  // Of the packet before.
    std::memcpy(t.key.words, key.data(), key.size());
    std::memcpy(t.text, plain.data(), plain.size());

    weft_write_lane_header(&t, receiver, counter);
    weft_lane_crypt(&t, counter, size);
    weft_lane_authenticate(&t, counter, size);

    const Sealed expected = by_libsodium(key, counter, header, plain);
    ASSERT_EQ(std::memcmp(t.header, header.data(), header.size()), 0);
    ASSERT_EQ(std::memcmp(t.text, expected.text.data(), size), 0) << size;
    ASSERT_EQ(std::memcmp(t.tag, expected.tag.data(), expected.tag.size()), 0) << size;

    std::memcpy(t.received_tag, t.tag, sizeof t.tag);
    EXPECT_TRUE(weft_lane_is_authentic(&t));
    weft_lane_crypt(&t, counter, size);
    ASSERT_EQ(std::memcmp(t.text, plain.data(), size), 0);
  }
}

TEST(KernelLane, NoticesEveryChangedBit) {
  Rng rng(2);
  weft_lane_text t{};
  constexpr std::uint32_t kSize = 70;
  weft_write_lane_header(&t, 7, 9);
  weft_lane_crypt(&t, 9, kSize);
  weft_lane_authenticate(&t, 9, kSize);
  std::memcpy(t.received_tag, t.tag, sizeof t.tag);
  for (std::uint32_t bit = 0; bit < kSize * 8; ++bit) {
    reinterpret_cast<std::uint8_t*>(t.text)[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    weft_lane_authenticate(&t, 9, kSize);
    EXPECT_FALSE(weft_lane_is_authentic(&t)) << bit;
    reinterpret_cast<std::uint8_t*>(t.text)[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  weft_lane_authenticate(&t, 9, kSize);
  EXPECT_TRUE(weft_lane_is_authentic(&t));
}

TEST(KernelLane, WritesTheDatagramThatItReads) {
  weft_lane_outer outer{};
  const std::array<std::uint8_t, 4> from{192, 0, 2, 1};
  const std::array<std::uint8_t, 4> to{192, 0, 2, 2};
  std::copy(from.begin(), from.end(), outer.source);
  std::copy(to.begin(), to.end(), outer.destination);
  outer.udp_source = 6783;
  outer.udp_destination = 6790;
  outer.size = 100;
  Bytes frame(WEFT_LANE_TEXT_AT + 100 + WEFT_LANE_TAG_SIZE);
  frame[12] = 8;
  weft_write_lane_outer(frame.data() + WEFT_ETH_SIZE, &outer);
  weft_lane_text t{};
  weft_write_lane_header(&t, 0x01020304, 0x05060708090a0b0cULL);
  std::memcpy(frame.data() + WEFT_LANE_TEXT_AT - WEFT_LANE_HEADER_SIZE, t.header, sizeof t.header);
  const auto read = [&frame](std::uint16_t port, weft_lane_datagram* out) {
    return weft_parse_lane(frame.data(),
                           frame.data() + frame.size(),
                           static_cast<std::uint32_t>(frame.size()),
                           port,
                           out);
  };

  weft_lane_datagram datagram{};
  ASSERT_EQ(read(6790, &datagram), 1);
  EXPECT_THAT(datagram.source, ElementsAreArray(from));
  EXPECT_THAT(datagram.destination, ElementsAreArray(to));
  EXPECT_EQ(datagram.receiver, 0x01020304U);
  EXPECT_EQ(datagram.counter, 0x05060708090a0b0cULL);
  EXPECT_EQ(datagram.size, 100U);
  EXPECT_EQ(weft_ipv4_checksum(frame.data() + WEFT_ETH_SIZE), 0);
  EXPECT_EQ(datagram.is_marked, 0U);
  frame[WEFT_ETH_SIZE + 1] |= WEFT_ECN_CE;
  ASSERT_EQ(read(6790, &datagram), 1);
  EXPECT_EQ(datagram.is_marked, 1U);

  EXPECT_EQ(read(6783, &datagram), 0);
  frame.push_back(0);  // Something behind it.
  EXPECT_EQ(read(6790, &datagram), 0);
  frame.pop_back();
  frame[WEFT_ETH_SIZE + 7] = 1;  // A fragment.
  EXPECT_EQ(read(6790, &datagram), 0);
}

TEST(KernelLane, PassesCongestionMarksOn) {
  for (const unsigned before : {1U, 2U, 3U}) {
    for (unsigned other = 0; other < 0x10000; ++other) {  // Sums of all sizes, also around zero.
      Bytes v4 = Writer().append(Bytes(12, 1)).u16(0x0800).append(Bytes(20, 0)).take();
      std::uint8_t* const ip = v4.data() + WEFT_ETH_SIZE;
      ip[0] = 0x45;
      ip[1] = static_cast<std::uint8_t>(0xb8 | before);
      weft_write16(ip + 12, other);
      weft_write16(ip + 10, weft_ipv4_checksum(ip));

      ASSERT_EQ(weft_mark_congestion(v4.data(), WEFT_ETHERTYPE_IPV4), 1);
      ASSERT_EQ(ip[1], 0xbb);
      ASSERT_EQ(weft_ipv4_checksum(ip), 0) << before << ' ' << other;
    }
    Bytes v6 = Writer().append(Bytes(12, 1)).u16(0x86dd).append(Bytes(40, 0)).take();
    v6[WEFT_ETH_SIZE] = 0x6b;
    v6[WEFT_ETH_SIZE + 1] = static_cast<std::uint8_t>(0x85 | before << 4);
    EXPECT_EQ(weft_mark_congestion(v6.data(), WEFT_ETHERTYPE_IPV6), 1);
    EXPECT_EQ(v6[WEFT_ETH_SIZE + 1], 0xb5);
  }
  Bytes deaf(WEFT_ETH_SIZE + 40);
  EXPECT_EQ(weft_mark_congestion(deaf.data(), WEFT_ETHERTYPE_IPV4), 0);
  EXPECT_EQ(weft_mark_congestion(deaf.data(), WEFT_ETHERTYPE_IPV6), 0);
}

TEST(KernelLane, KnowsAcknowledgementsThatSayNothingElse) {
  const auto segment =
      [](bool is_v6, std::uint8_t flags, std::size_t options, std::size_t payload) {
        const auto size = static_cast<std::uint16_t>(20 + options + payload);
        Writer out;
        out.append(Bytes(12, 1)).u16(is_v6 ? 0x86dd : 0x0800);
        if (is_v6) {
          out.u32(0x60000000).u16(size).u8(6).u8(64).append(Bytes(32, 2));
        } else {
          out.u8(0x45).u8(0).u16(static_cast<std::uint16_t>(20 + size)).u32(0).u8(64).u8(6).u16(0);
          out.append(Bytes(8, 2));
        }
        out.u32(0).u32(1).u32(2).u8(static_cast<std::uint8_t>((20 + options) / 4 << 4)).u8(flags);
        return out.u16(100).u32(0).append(Bytes(options + payload, 3)).take();
      };
  const auto is_bare = [](const Bytes& frame) {
    return weft_is_bare_ack(frame.data(), frame.data() + frame.size()) == 1;
  };
  for (const bool is_v6 : {false, true}) {
    EXPECT_TRUE(is_bare(segment(is_v6, 0x10, 0, 0)));
    EXPECT_TRUE(is_bare(segment(is_v6, 0x10, 12, 0)));
    EXPECT_FALSE(is_bare(segment(is_v6, 0x10, 12, 1)));
    EXPECT_FALSE(is_bare(segment(is_v6, 0x18, 12, 0)));
    EXPECT_FALSE(is_bare(segment(is_v6, 0x02, 0, 0)));
    EXPECT_FALSE(is_bare(segment(is_v6, 0x11, 0, 0)));
  }
  Bytes datagram = segment(false, 0x10, 0, 0);
  datagram[14 + 9] = 17;
  EXPECT_FALSE(is_bare(datagram));
}

// Against a set of all that were accepted.
TEST(KernelLane, AcceptsEachCounterOnceInAnyOrder) {
  Rng rng(3);
  constexpr std::uint64_t kSpan = (WEFT_LANE_WINDOW_WORDS - 1) * 64;
  for (int round = 0; round < 20; ++round) {
    weft_lane_window window{};
    std::set<std::uint64_t> accepted;
    std::uint64_t highest = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::uint64_t jump = rng.below(100) == 0 ? rng.below(5000) : rng.below(4);
      const std::uint64_t back = rng.below(3) == 0 ? rng.below(2500) : 0;
      const std::uint64_t counter = highest + jump - std::min(back, highest + jump);
      const bool is_new = accepted.count(counter) == 0;
      const bool is_known = accepted.empty() || counter > highest || highest + 1 - counter <= kSpan;
      ASSERT_EQ(weft_lane_accept(&window, counter) == 1, is_new && is_known)
          << counter << " of " << highest;
      if (is_new && is_known) {
        accepted.insert(counter);
        highest = std::max(highest, counter);
      }
    }
  }
}

}  // namespace
}  // namespace weft::test
