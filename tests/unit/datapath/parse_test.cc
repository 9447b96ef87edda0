// The pure part of the BPF fast path, on the host.
#include "router/bpf/parse.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace weft {
namespace {

constexpr std::uint16_t kPort = 6784;
constexpr std::uint32_t kVni = 0x776566;

// Ethernet, VXLAN as the fast path writes it, and a 100 octet inner frame of type IPv4.
Bytes encapsulated() {
  weft_encap encap{};
  const std::uint8_t source[4] = {192, 0, 2, 1};
  const std::uint8_t destination[4] = {192, 0, 2, 2};
  std::memcpy(encap.source, source, 4);
  std::memcpy(encap.destination, destination, 4);
  encap.vni = kVni;
  encap.udp_source = 50000;
  encap.udp_destination = kPort;
  encap.inner_size = 100;
  encap.inner_ecn = 1;
  std::uint8_t headers[WEFT_ENCAP_SIZE] = {};
  weft_write_vxlan(headers, &encap);

  Writer frame;
  frame.append(Bytes(12, 0xaa)).u16(0x0800);
  frame.append(ByteView(headers).first(WEFT_ENCAP_SIZE - WEFT_ETH_SIZE));
  frame.append(Bytes{2, 0, 0, 0, 0, 7}).append(Bytes{2, 0, 0, 0, 0, 8}).u16(0x0800);
  frame.append(Bytes(86, 0));
  return frame.take();
}

int parse(const Bytes& frame, weft_vxlan& out) {
  return weft_parse_vxlan(frame.data(), frame.data() + frame.size(), kPort, &out);
}

TEST(FastPathParse, ReadsBackWhatItWrote) {
  weft_vxlan vxlan{};

  ASSERT_EQ(parse(encapsulated(), vxlan), 1);

  EXPECT_EQ(vxlan.vni, kVni);
  EXPECT_EQ(weft_read32(vxlan.source), 0xc0000201U);
  EXPECT_EQ(weft_read32(vxlan.destination), 0xc0000202U);
  EXPECT_EQ(to_hex(ByteView(vxlan.inner_destination.octets)), "020000000007");
  EXPECT_EQ(vxlan.inner_ethertype, 0x0800);
}

TEST(FastPathParse, WritesTheOctetsOfRfc7348) {
  const Bytes frame = encapsulated();

  // 136 = 100 + 36 octets; ECT(1) passed on; DF; TTL 64; UDP length 116, checksum 0.
  EXPECT_EQ(to_hex(ByteView(frame).subspan(14, 10)), "45010088000040004011");
  EXPECT_EQ(to_hex(ByteView(frame).subspan(26, 24)),
            "c0000201c0000202"
            "c3501a8000740000"
            "0800000077656600");
  EXPECT_EQ(weft_ipv4_checksum(frame.data() + 14), 0);  // Sums to zero with itself.
}

TEST(FastPathParse, LeavesEverythingButTheCommonCaseToTheKernel) {
  struct Case {
    const char* what;
    std::size_t offset;
    std::uint8_t value;
  };
  const Case cases[] = {
      {"outer IPv6", 12, 0x86},
      {"IP options", 14, 0x46},
      {"congestion mark", 15, 0x03},
      {"more fragments", 20, 0x20},
      {"a fragment", 21, 0x01},
      {"TCP", 23, 6},
      {"another port", 37, 0x81},
      {"no VNI flag", 42, 0x00},
      {"group policy flag", 42, 0x88},
      {"reserved bits", 44, 0x01},
  };
  for (const Case& changed : cases) {
    Bytes frame = encapsulated();
    frame[changed.offset] = changed.value;
    weft_vxlan vxlan{};
    EXPECT_EQ(parse(frame, vxlan), 0) << changed.what;
  }
}

TEST(FastPathParse, NeverReadsPastTheEnd) {
  const Bytes whole = encapsulated();
  for (std::size_t size = 0; size < WEFT_ENCAP_FRAME_SIZE; ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    weft_vxlan vxlan{};
    EXPECT_EQ(parse(cut, vxlan), 0) << size;
  }
}

TEST(FastPathParse, PassesOnWhetherAFlowIsEcnCapableButNoMark) {
  weft_encap encap{};
  std::uint8_t headers[WEFT_ENCAP_SIZE] = {};

  encap.inner_ecn = WEFT_ECN_CE;
  weft_write_vxlan(headers, &encap);
  EXPECT_EQ(headers[1], WEFT_ECN_ECT0);
  encap.inner_ecn = 0;
  weft_write_vxlan(headers, &encap);
  EXPECT_EQ(headers[1], 0);
}

TEST(FastPathParse, FindsEcnInBothFamilies) {
  Bytes v4 = Bytes(12, 2);
  v4.insert(v4.end(), {0x08, 0x00, 0x45, 0xfe});
  Bytes v6 = Bytes(12, 2);
  v6.insert(v6.end(), {0x86, 0xdd, 0x6f, 0xef});
  Bytes arp = Bytes(12, 2);
  arp.insert(arp.end(), {0x08, 0x06, 0xff, 0xff});

  EXPECT_EQ(weft_parse_ecn(v4.data(), v4.data() + v4.size()), 2);
  EXPECT_EQ(weft_parse_ecn(v6.data(), v6.data() + v6.size()), 2);
  EXPECT_EQ(weft_parse_ecn(arp.data(), arp.data() + arp.size()), 0);
  EXPECT_EQ(weft_parse_ecn(v4.data(), v4.data() + 15), 0);
}

TEST(FastPathParse, MapsIpv4AddressesAndTellsThemFromIpv6) {
  const std::uint8_t ipv4[4] = {192, 0, 2, 1};
  const weft_address mapped = weft_mapped(ipv4);
  weft_address ipv6 = mapped;
  ipv6.octets[0] = 0xfd;

  EXPECT_EQ(to_hex(ByteView(mapped.octets)), "00000000000000000000ffffc0000201");
  EXPECT_TRUE(weft_is_mapped(&mapped));
  EXPECT_FALSE(weft_is_mapped(&ipv6));
}

TEST(FastPathParse, SpreadsFlowsOverTheDynamicPorts) {
  EXPECT_EQ(weft_entropy_port(0), 0xc000);
  EXPECT_EQ(weft_entropy_port(1), 0xc001);
  EXPECT_EQ(weft_entropy_port(0x00010000), 0xc001);  // The upper half counts, too.
  EXPECT_GE(weft_entropy_port(0xffffffff), 49152);
}

}  // namespace
}  // namespace weft
