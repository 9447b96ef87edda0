// What the programs in the kernel do with every kind of frame: tables of frames, run through the
// loaded programs with BPF_PROG_TEST_RUN (Documentation/bpf/bpf_prog_run.rst). No device is needed,
// and nothing is sent.
#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fast_path.skel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include "base/bytes.h"
#include "router/bpf/maps.h"
#include "router/bpf/parse.h"

namespace weft::test {
namespace {

constexpr std::uint32_t kVni = 0x776566;
constexpr std::uint16_t kPort = 6784;
constexpr int kLeave = TC_ACT_UNSPEC;
constexpr int kDrop = TC_ACT_SHOT;
constexpr int kRedirect = TC_ACT_REDIRECT;

using Octets = Bytes;
const Octets kAsker{2, 0, 0, 0, 0, 1};
const Octets kLocal{2, 0, 0, 0, 0, 2};
const Octets kRemote{2, 0, 0, 0, 0, 3};
const Octets kSealed{2, 0, 0, 0, 0, 4};
const Octets kSlow{2, 0, 0, 0, 0, 5};
const Octets kTrusted{2, 0, 0, 0, 0, 6};
const Octets kEsp{2, 0, 0, 0, 0, 7};
const Octets kEspReady{2, 0, 0, 0, 0, 8};
const Octets kNobody{2, 0, 0, 0, 0, 9};
const Octets kOnLink{2, 0, 0, 0, 0, 10};
const Octets kBroadcast(6, 0xff);
const Octets kUs{192, 0, 2, 1};
const Octets kPeer{192, 0, 2, 3};
const Octets kSealedPeer{192, 0, 2, 4};
const Octets kSlowPeer{192, 0, 2, 5};
const Octets kTrustedPeer{192, 0, 2, 6};
const Octets kEspPeer{192, 0, 2, 7};
const Octets kEspReadyPeer{192, 0, 2, 8};
const Octets kOnLinkPeer{192, 0, 2, 10};
const Octets kStranger{192, 0, 2, 99};

Octets ethernet(const Octets& to, std::uint16_t type, const Octets& payload) {
  return Writer().append(to).append(kAsker).u16(type).append(payload).take();
}

Octets ipv4(std::size_t payload, std::uint8_t tos = 0) {
  Writer out;
  out.u8(0x45).u8(tos).u16(static_cast<std::uint16_t>(20 + payload)).u32(0).u8(64).u8(17).u16(0);
  return out.append(Octets{10, 32, 0, 1})
      .append(Octets{10, 32, 0, 3})
      .append(Octets(payload, 7))
      .take();
}

Octets ipv6(std::size_t payload) {
  Writer out;
  out.u32(0x60000000).u16(static_cast<std::uint16_t>(payload)).u8(17).u8(64);
  return out.append(Octets(32, 1)).append(Octets(payload, 7)).take();
}

Octets arp(std::uint16_t operation, const Octets& sender, const Octets& target) {
  Writer out;
  out.u16(1).u16(0x0800).u8(6).u8(4).u16(operation).append(kAsker).append(sender);
  return out.append(Octets(6, 0)).append(target).take();
}

struct Outer {
  Octets from = kPeer;
  Octets to = kUs;
  std::uint32_t vni = kVni;
  std::uint16_t port = kPort;
  std::uint8_t first = 0x45;
  std::uint8_t tos = 0;
  std::uint16_t fragment = 0x4000;
  std::uint8_t ttl = 64;
  std::uint8_t flags = 8;
};

Octets vxlan(const Outer& outer, const Octets& inner) {
  Octets ip = Writer()
                  .u8(outer.first)
                  .u8(outer.tos)
                  .u16(static_cast<std::uint16_t>(20 + 8 + 8 + inner.size()))
                  .u16(0)
                  .u16(outer.fragment)
                  .u8(outer.ttl)
                  .u8(17)
                  .u16(0)
                  .append(outer.from)
                  .append(outer.to)
                  .take();
  const std::uint16_t sum = weft_ipv4_checksum(ip.data());
  ip[10] = static_cast<std::uint8_t>(sum >> 8);
  ip[11] = static_cast<std::uint8_t>(sum);
  Writer out;
  // To the station address of the device it is said to arrive on, the loopback device: zero.
  out.append(Octets(6, 0)).append(kAsker).u16(0x0800).append(ip);
  out.u16(50000).u16(outer.port).u16(static_cast<std::uint16_t>(16 + inner.size())).u16(0);
  out.u8(outer.flags).u8(0).u16(0).u32(outer.vni << 8U).append(inner);
  return out.take();
}

struct CloseSkeleton {
  void operator()(fast_path* skeleton) const { fast_path__destroy(skeleton); }
};

struct Verdict {
  int action = 0;
  Octets frame;
  std::uint32_t mark = 0;
};

class VerdictsTest : public ::testing::Test {
 protected:
  VerdictsTest() : programs_(fast_path__open()) {
    programs_->rodata->weft_vni = kVni;
    programs_->rodata->weft_port_number = kPort;
    // Not every kernel that the rest is for takes them (kernel_lane_test.cc).
    bpf_program__set_autoload(programs_->progs.weft_underlay_lane, false);
    bpf_program__set_autoload(programs_->progs.weft_seal, false);
    EXPECT_EQ(fast_path__load(programs_.get()), 0);
    add_endpoint(kLocal, {.kind = WEFT_ENDPOINT_LOCAL, .ifindex = 1, .underlay = {}});
    add_remote(kRemote, kPeer, 0);
    add_remote(kSealed, kSealedPeer, WEFT_PEER_SEALED);
    add_remote(kSlow, kSlowPeer, WEFT_PEER_SLOW);
    add_remote(kTrusted, kTrustedPeer, WEFT_PEER_SEALED | WEFT_PEER_TRUSTED);
    add_remote(kEspReady, kEspReadyPeer, WEFT_PEER_SEALED | WEFT_PEER_ESP);
    add_remote(kEsp, kEspPeer, WEFT_PEER_SEALED | WEFT_PEER_ESP | WEFT_PEER_ESP_OUT);
    add_remote(kOnLink, kOnLinkPeer, WEFT_PEER_ON_LINK);
    const weft_neighbor_key address{WEFT_ADDRESS_BITS, weft_mapped(Octets{10, 32, 0, 3}.data())};
    const weft_mac owner = weft_read_mac(kRemote.data());
    bpf_map_update_elem(bpf_map__fd(programs_->maps.weft_neighbor_2), &address, &owner, BPF_ANY);
  }

  Verdict run(const bpf_program* program, const Octets& frame, std::uint32_t mark = 0) {
    Octets out(frame.size() + 256);
    __sk_buff context{};
    context.ifindex = 1;  // The loopback device is in every namespace.
    context.mark = mark;
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<std::uint32_t>(out.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    options.ctx_out = &context;
    options.ctx_size_out = sizeof context;
    EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program), &options), 0);
    out.resize(options.data_size_out);
    return {static_cast<int>(options.retval), out, context.mark};
  }
  Verdict out_of_container(const Octets& frame) { return run(programs_->progs.weft_port, frame); }
  Verdict off_the_wire(const Octets& frame) { return run(programs_->progs.weft_underlay, frame); }

  Verdict onto_the_wire(const Octets& frame) { return run(programs_->progs.weft_guard, frame); }

  Verdict to_vxlan_device(const Octets& frame, std::uint32_t mark = 0) {
    return run(programs_->progs.weft_to_vx, frame, mark);
  }

  std::uint64_t counted(std::uint32_t counter) {
    std::vector<std::uint64_t> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    bpf_map_lookup_elem(bpf_map__fd(programs_->maps.weft_counter_5), &counter, values.data());
    return std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  }

 private:
  void add_endpoint(const Octets& mac, const weft_endpoint& endpoint) {
    const weft_mac key = weft_read_mac(mac.data());
    bpf_map_update_elem(bpf_map__fd(programs_->maps.weft_endpoint_1), &key, &endpoint, BPF_ANY);
  }
  void add_remote(const Octets& mac, const Octets& at, std::uint32_t flags) {
    const weft_address underlay = weft_mapped(at.data());
    add_endpoint(mac, {.kind = WEFT_ENDPOINT_REMOTE, .ifindex = 0, .underlay = underlay});
    weft_peer peer{};
    peer.ifindex = 1;
    peer.flags = flags;
    peer.source = weft_mapped(kUs.data());
    peer.next = underlay;
    peer.frame_max = 1464;
    peer.reports = 1;
    bpf_map_update_elem(bpf_map__fd(programs_->maps.weft_peer_5), &underlay, &peer, BPF_ANY);
  }

  std::unique_ptr<fast_path, CloseSkeleton> programs_;
};

TEST_F(VerdictsTest, OfFramesFromAContainer) {
  const Octets us{10, 32, 0, 1};
  const Octets known{10, 32, 0, 3};
  const Octets unknown{10, 32, 0, 8};
  const struct {
    const char* what;
    Octets frame;
    int verdict;
  } cases[] = {
      {"IPv4 to a container elsewhere", ethernet(kRemote, 0x0800, ipv4(100)), kRedirect},
      {"IPv4 to one whose host is on the link", ethernet(kOnLink, 0x0800, ipv4(100)), kRedirect},
      {"IPv6 to a container elsewhere", ethernet(kRemote, 0x86dd, ipv6(100)), kRedirect},
      {"the largest that fits", ethernet(kRemote, 0x0800, ipv4(1430)), kRedirect},
      {"one octet more", ethernet(kRemote, 0x0800, ipv4(1431)), kRedirect},
      {"IPv4 to a container here", ethernet(kLocal, 0x0800, ipv4(100)), kLeave},
      {"IPv4 to a sealed peer", ethernet(kSealed, 0x0800, ipv4(100)), kRedirect},
      {"any ethertype to a sealed peer", ethernet(kSealed, 0x8847, Octets(60, 1)), kRedirect},
      {"IPv4 to a peer the agent relays to", ethernet(kSlow, 0x0800, ipv4(100)), kLeave},
      {"unknown unicast", ethernet(kNobody, 0x0800, ipv4(100)), kLeave},
      {"broadcast", ethernet(kBroadcast, 0x0800, ipv4(100)), kLeave},
      {"IPv4 multicast", ethernet({1, 0, 0x5e, 1, 2, 3}, 0x0800, ipv4(100)), kLeave},
      {"IPv6 multicast", ethernet({0x33, 0x33, 0, 0, 0, 1}, 0x86dd, ipv6(100)), kLeave},
      {"spanning tree", ethernet({1, 0x80, 0xc2, 0, 0, 0}, 0x0027, Octets(39, 0)), kLeave},
      {"a VLAN tag", ethernet(kRemote, 0x8100, Octets(60, 1)), kLeave},
      {"MPLS", ethernet(kRemote, 0x8847, Octets(60, 1)), kLeave},
      {"an experimental ethertype", ethernet(kRemote, 0x88b5, Octets(60, 1)), kLeave},
      {"a carrier frame, which is agents' alone", ethernet(kNobody, 0x88b6, Octets(60, 1)), kDrop},
      {"one to a station elsewhere", ethernet(kRemote, 0x88b6, Octets(60, 1)), kDrop},
      {"one to a station of a sealed peer", ethernet(kSealed, 0x88b6, Octets(60, 1)), kDrop},
      {"ARP for a container elsewhere", ethernet(kBroadcast, 0x0806, arp(1, us, known)), kRedirect},
      {"ARP for nobody known", ethernet(kBroadcast, 0x0806, arp(1, us, unknown)), kLeave},
      {"an announcement", ethernet(kBroadcast, 0x0806, arp(1, known, known)), kLeave},
      {"an ARP answer", ethernet(kBroadcast, 0x0806, arp(2, us, known)), kLeave},
      {"ARP cut short", ethernet(kBroadcast, 0x0806, Octets(20, 0)), kLeave},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(out_of_container(test.frame).action, test.verdict) << test.what;
  }
  EXPECT_EQ(counted(WEFT_COUNTER_TOO_BIG), 1U);
  EXPECT_EQ(counted(WEFT_COUNTER_ENCAPSULATED), 4U);
  EXPECT_EQ(counted(WEFT_COUNTER_SEALED), 2U);
  EXPECT_EQ(counted(WEFT_COUNTER_ARP), 1U);
  EXPECT_EQ(counted(WEFT_COUNTER_REFUSED), 3U);
}

TEST_F(VerdictsTest, SmallFramesOfFlowsWithoutLargeOnesGoExpress) {
  const Octets small = ethernet(kSealed, 0x0800, ipv4(100));
  const Octets large = ethernet(kSealed, 0x0800, ipv4(1000));

  EXPECT_EQ(out_of_container(small).mark, std::uint32_t{WEFT_LANE_EXPRESS});
  EXPECT_EQ(out_of_container(large).mark, std::uint32_t{WEFT_LANE_BULK});
  // Of the same flow: it must not overtake.
  EXPECT_EQ(out_of_container(small).mark, std::uint32_t{WEFT_LANE_BULK});
}

TEST_F(VerdictsTest, WhatLeavesIsVxlanAroundTheFrameAsItWas) {
  const Octets frame = ethernet(kRemote, 0x0800, ipv4(100, 0x02));

  const Octets sent = out_of_container(frame).frame;

  ASSERT_EQ(sent.size(), frame.size() + 50);
  weft_vxlan seen{};
  ASSERT_EQ(weft_parse_vxlan(sent.data(), sent.data() + sent.size(), kPort, &seen), 1);
  EXPECT_EQ(seen.vni, kVni);
  EXPECT_TRUE(std::equal(kUs.begin(), kUs.end(), seen.source));
  EXPECT_TRUE(std::equal(kPeer.begin(), kPeer.end(), seen.destination));
  EXPECT_EQ(sent[15], 0x02);  // "ECN-capable" is passed on.
  EXPECT_EQ(weft_ipv4_checksum(sent.data() + 14), 0);
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), sent.begin() + 50 + 0));
}

TEST_F(VerdictsTest, AnArpAnswerNamesTheOwner) {
  const Octets asked = ethernet(kBroadcast, 0x0806, arp(1, {10, 32, 0, 1}, {10, 32, 0, 3}));

  const Octets answer = out_of_container(asked).frame;

  const Octets expected = Writer()
                              .append(kAsker)
                              .append(kRemote)
                              .u16(0x0806)
                              .u16(1)
                              .u16(0x0800)
                              .u8(6)
                              .u8(4)
                              .u16(2)
                              .append(kRemote)
                              .append(Octets{10, 32, 0, 3})
                              .append(kAsker)
                              .append(Octets{10, 32, 0, 1})
                              .take();
  EXPECT_EQ(answer, expected);
}

TEST_F(VerdictsTest, OfPacketsOffTheWire) {
  const Octets for_local = ethernet(kLocal, 0x0800, ipv4(100));
  const Octets for_remote = ethernet(kRemote, 0x0800, ipv4(100));
  const struct {
    const char* what;
    Octets packet;
    int verdict;
  } cases[] = {
      {"IPv4 for a container here", vxlan({}, for_local), kRedirect},
      {"from a stranger", vxlan({.from = kStranger}, for_local), kLeave},
      {"from a peer that is sealed", vxlan({.from = kSealedPeer}, for_local), kDrop},
      {"from a peer whose kernel should have sealed it",
       vxlan({.from = kEspPeer}, for_local),
       kDrop},
      {"from a trusted peer that is sent to sealed",
       vxlan({.from = kTrustedPeer}, for_local),
       kRedirect},
      {"to another address than ours", vxlan({.to = kStranger}, for_local), kLeave},
      {"of another network", vxlan({.vni = 7}, for_local), kLeave},
      {"to another port", vxlan({.port = 4789}, for_local), kLeave},
      {"with IP options", vxlan({.first = 0x46}, for_local), kLeave},
      {"a fragment", vxlan({.fragment = 0x2000}, for_local), kLeave},
      {"with a congestion mark", vxlan({.tos = 3}, for_local), kLeave},
      {"with a reserved flag", vxlan({.flags = 0x0c}, for_local), kLeave},
      {"ARP inside", vxlan({}, ethernet(kLocal, 0x0806, Octets(46, 0))), kLeave},
      {"a VLAN tag inside", vxlan({}, ethernet(kLocal, 0x8100, Octets(46, 0))), kLeave},
      {"a broadcast inside", vxlan({}, ethernet(kBroadcast, 0x0800, ipv4(100))), kLeave},
      {"for nobody known", vxlan({}, ethernet(kNobody, 0x0800, ipv4(100))), kLeave},
      {"to be passed on", vxlan({.from = kTrustedPeer}, for_remote), kRedirect},
      {"to be passed on to where it comes from", vxlan({.from = kPeer}, for_remote), kDrop},
      {"passed on too often", vxlan({.from = kTrustedPeer, .ttl = 3}, for_remote), kDrop},
      {"to be passed on by the agent", vxlan({}, ethernet(kSlow, 0x0800, ipv4(100))), kLeave},
      {"to be passed on to a sealed peer", vxlan({}, ethernet(kSealed, 0x0800, ipv4(100))), kLeave},
      {"no VXLAN at all", ethernet(kLocal, 0x0800, ipv4(100)), kLeave},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(off_the_wire(test.packet).action, test.verdict) << test.what;
  }
  EXPECT_EQ(counted(WEFT_COUNTER_DECAPSULATED), 2U);
  EXPECT_EQ(counted(WEFT_COUNTER_RELAYED), 1U);
  EXPECT_EQ(counted(WEFT_COUNTER_REFUSED), 4U);
}

TEST_F(VerdictsTest, OfFramesThatTheBridgeHandsToTheVxlanDevice) {
  const auto for_address = [](const Octets& target) {
    Octets packet = ipv4(100);
    std::copy(target.begin(), target.end(), packet.begin() + 16);
    return ethernet(kNobody, 0x0800, packet);
  };
  const struct {
    const char* what;
    Octets frame;
    std::uint32_t mark;
    int verdict;
  } cases[] = {
      {"to a container elsewhere", ethernet(kRemote, 0x0800, ipv4(100)), 0, kLeave},
      {"to one of a sealed peer", ethernet(kSealed, 0x0800, ipv4(100)), 0, kDrop},
      {"to one of a peer the kernel seals for", ethernet(kEsp, 0x0800, ipv4(100)), 0, kLeave},
      {"to one it could seal for", ethernet(kEspReady, 0x0800, ipv4(100)), 0, kDrop},
      {"to nobody known", ethernet(kNobody, 0x0800, ipv4(100)), 0, kDrop},
      {"to nobody known, but to a peer's address", for_address(kPeer), 0, kDrop},
      {"a checksum probe", for_address(kPeer), WEFT_MARK_CHECKSUM, kLeave},
      {"one to a sealed peer", for_address(kSealedPeer), WEFT_MARK_CHECKSUM, kDrop},
      {"one to a stranger", for_address(kStranger), WEFT_MARK_CHECKSUM, kDrop},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(to_vxlan_device(test.frame, test.mark).action, test.verdict) << test.what;
  }
  EXPECT_EQ(counted(WEFT_COUNTER_REFUSED), 3U);
}

TEST_F(VerdictsTest, OfFramesForPeersWhoseKernelsSeal) {
  EXPECT_EQ(out_of_container(ethernet(kEsp, 0x0800, ipv4(100))).action, kRedirect);
  EXPECT_EQ(counted(WEFT_COUNTER_ESP), 1U);
  EXPECT_EQ(counted(WEFT_COUNTER_SEALED), 0U);
  EXPECT_EQ(out_of_container(ethernet(kEspReady, 0x0800, ipv4(100))).action, kRedirect);
  EXPECT_EQ(counted(WEFT_COUNTER_SEALED), 1U);
}

TEST_F(VerdictsTest, OfPacketsThatLeaveForTheWire) {
  const Octets inner = ethernet(kRemote, 0x0800, ipv4(100));
  const struct {
    const char* what;
    Octets packet;
    int verdict;
  } cases[] = {
      {"VXLAN to a peer in clear", vxlan({.from = kUs, .to = kPeer}, inner), kLeave},
      {"to a stranger", vxlan({.from = kUs, .to = kStranger}, inner), kLeave},
      {"to a trusted peer", vxlan({.from = kUs, .to = kTrustedPeer}, inner), kLeave},
      {"to a sealed peer", vxlan({.from = kUs, .to = kSealedPeer}, inner), kDrop},
      {"to a peer the kernel could seal for",
       vxlan({.from = kUs, .to = kEspReadyPeer}, inner),
       kDrop},
      {"to a peer the kernel seals for", vxlan({.from = kUs, .to = kEspPeer}, inner), kDrop},
      {"of another network", vxlan({.from = kUs, .to = kEspPeer, .vni = 7}, inner), kDrop},
      {"to another port", vxlan({.from = kUs, .to = kEspPeer, .port = 6783}, inner), kLeave},
      {"no IPv4", ethernet(kRemote, 0x86dd, ipv6(100)), kLeave},
      {"cut short", ethernet(kRemote, 0x0800, Octets(20, 0x45)), kLeave},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(onto_the_wire(test.packet).action, test.verdict) << test.what;
  }
  EXPECT_EQ(counted(WEFT_COUNTER_REFUSED), 4U);
}

TEST_F(VerdictsTest, WhatArrivesIsTheFrameThatWasSent) {
  const Octets frame = ethernet(kLocal, 0x0800, ipv4(200));

  EXPECT_EQ(off_the_wire(vxlan({}, frame)).frame, frame);
}

// Kernels before 6.3 cannot make an IPv6 packet of an IPv4 one: their VXLAN device takes it, whole.
TEST_F(VerdictsTest, Ipv6ArrivesAsItWasSentOrIsLeftAsItCame) {
  const Octets frame = ethernet(kLocal, 0x86dd, ipv6(200));
  const Octets packet = vxlan({}, frame);

  const Verdict verdict = off_the_wire(packet);

  EXPECT_EQ(verdict.frame, verdict.action == kRedirect ? frame : packet);
}

TEST_F(VerdictsTest, APassedOnPacketHasNewAddressesAndHalfTheTtl) {
  const Octets frame = ethernet(kRemote, 0x0800, ipv4(100));

  const Octets sent = off_the_wire(vxlan({.from = kTrustedPeer, .ttl = 64}, frame)).frame;

  EXPECT_EQ(sent, [&] {
    Octets expected = vxlan({.from = kUs, .to = kPeer, .ttl = 32}, frame);
    return expected;
  }());
}

}  // namespace
}  // namespace weft::test
