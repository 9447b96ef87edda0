// Small frames that the programs in the kernel seal and open, run with BPF_PROG_TEST_RUN. What they
// write, libsodium reads.
#include "router/bpf/kernel_lane.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fast_path.skel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>
#include <sodium.h>

#include "base/bytes.h"
#include "sys/bpf/kernel_lane.h"

namespace weft::test {
namespace {

constexpr std::uint16_t kPort = 6783;
constexpr std::uint32_t kIndex = 0x00c0ffee;
constexpr int kLeave = TC_ACT_UNSPEC;
constexpr int kDrop = TC_ACT_SHOT;
constexpr int kRedirect = TC_ACT_REDIRECT;
const Bytes kHere{2, 0, 0, 0, 0, 1};
const Bytes kThere{2, 0, 0, 0, 0, 2};
const Ip kUs = Ip::parse("192.0.2.1").value();
const Ip kPeer = Ip::parse("192.0.2.2").value();
constexpr sys::LaneKey kKey{1, 2, 3, 4, 5, 6, 7, 8};

Bytes frame_to(const Bytes& mac, std::size_t payload) {
  Writer ip;
  ip.u8(0x45).u8(2).u16(static_cast<std::uint16_t>(20 + payload)).u32(0).u8(64).u8(17).u16(0);
  ip.append(Bytes{10, 32, 0, 1}).append(Bytes{10, 32, 0, 2}).append(Bytes(payload, 7));
  return Writer().append(mac).append(kHere).u16(0x0800).append(ip.take()).take();
}

Bytes ipv6_frame_to(const Bytes& mac, std::size_t payload) {
  Writer ip;
  ip.u32(0x60000000).u16(static_cast<std::uint16_t>(payload)).u8(17).u8(64);
  ip.append(Bytes(32, 1)).append(Bytes(payload, 7));
  return Writer().append(mac).append(kHere).u16(0x86dd).append(ip.take()).take();
}

struct Verdict {
  int action = 0;
  Bytes frame;
  std::uint32_t mark = 0;
};

struct CloseSkeleton {
  void operator()(fast_path* skeleton) const { fast_path__destroy(skeleton); }
};

class KernelLaneTest : public ::testing::Test {
 protected:
  KernelLaneTest() : programs_(fast_path__open()) {
    programs_->rodata->weft_sealed_port = kPort;
    EXPECT_EQ(fast_path__load(programs_.get()), 0);
    EXPECT_GE(sodium_init(), 0);
    add_endpoint(kHere, {.kind = WEFT_ENDPOINT_LOCAL, .ifindex = 1, .underlay = {}});
    const weft_address underlay = weft_mapped(kPeer.bytes().data());
    add_endpoint(kThere, {.kind = WEFT_ENDPOINT_REMOTE, .ifindex = 0, .underlay = underlay});
    slots_ = std::make_shared<sys::PeerSlots>([](std::uint32_t) {});
    weft_peer peer{};
    peer.ifindex = 1;
    peer.flags = WEFT_PEER_SEALED;
    peer.source = weft_mapped(kUs.bytes().data());
    peer.next = underlay;
    peer.slot = slots_->take(kPeer);
    peer.wire = 1;
    bpf_map_update_elem(bpf_map__fd(programs_->maps.weft_peer_5), &underlay, &peer, BPF_ANY);
    lane_ = sys::make_kernel_lane({.agent = bpf_map__fd(programs_->maps.weft_lane_agent_1),
                                   .sealing = bpf_map__fd(programs_->maps.weft_sealing_1),
                                   .opening = bpf_map__fd(programs_->maps.weft_opening_1)},
                                  slots_);
    lane_->set_devices(1, 1);
    EXPECT_TRUE(lane_->keep_alive(std::chrono::seconds(60)).ok());
  }

  void exchange_keys() {
    ASSERT_TRUE(
        lane_
            ->seal(kPeer,
                   {.receiver = kIndex, .key = kKey, .udp_source = kPort, .udp_destination = kPort},
                   std::chrono::seconds(60))
            .ok());
    ASSERT_TRUE(lane_->open(kIndex, kKey, std::chrono::seconds(60)).ok());
  }

  static Verdict run(const bpf_program* program, const Bytes& frame, int repeat = 1) {
    Bytes out(frame.size() + 256);
    __sk_buff context{};
    context.ifindex = 1;
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.repeat = repeat;
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
  Verdict out_of_container(const Bytes& frame, int repeat = 1) {
    return run(programs_->progs.weft_port, frame, repeat);
  }
  Verdict seal(const Bytes& frame) { return run(programs_->progs.weft_seal, frame); }
  // To the station address of the loopback device, which it is said to arrive on: zero.
  Verdict off_the_wire(Bytes packet) {
    std::fill_n(packet.begin(), 6, std::uint8_t{0});
    return run(programs_->progs.weft_underlay_lane, packet);
  }
  // Sealed for us as the peer would.
  Bytes sealed(const Bytes& frame) {
    Verdict verdict = seal(frame);
    EXPECT_EQ(verdict.action, kRedirect);
    return verdict.frame;
  }

  void add_endpoint(const Bytes& mac, const weft_endpoint& endpoint) {
    const weft_mac key = weft_read_mac(mac.data());
    bpf_map_update_elem(bpf_map__fd(programs_->maps.weft_endpoint_1), &key, &endpoint, BPF_ANY);
  }

  std::unique_ptr<fast_path, CloseSkeleton> programs_;
  std::shared_ptr<sys::PeerSlots> slots_;
  std::shared_ptr<sys::KernelLane> lane_;
};

TEST_F(KernelLaneTest, WhatItSealsIsTheFrameUnderTheStandardCipher) {
  exchange_keys();
  for (const std::size_t payload : {0U, 1U, 30U, 31U, 64U, 200U, 566U}) {
    const Bytes frame = frame_to(kThere, payload);
    const std::uint64_t counter = lane_->sealed(kPeer).packets;

    const Bytes datagram = sealed(frame);

    ASSERT_EQ(datagram.size(), frame.size() + WEFT_LANE_ENCAP_SIZE + WEFT_LANE_TAG_SIZE);
    weft_lane_datagram seen{};
    ASSERT_EQ(weft_parse_lane(datagram.data(),
                              datagram.data() + datagram.size(),
                              static_cast<std::uint32_t>(datagram.size()),
                              kPort,
                              &seen),
              1);
    EXPECT_EQ(seen.receiver, kIndex);
    EXPECT_EQ(seen.counter, counter);
    EXPECT_EQ(datagram[15], 2);  // "ECN-capable" is passed on.
    const ByteView wire = ByteView(datagram).subspan(WEFT_LANE_TEXT_AT - WEFT_LANE_HEADER_SIZE);
    std::array<std::uint8_t, 12> nonce{};
    std::memcpy(nonce.data() + 4, &counter, sizeof counter);
    Bytes opened(wire.size() - WEFT_LANE_HEADER_SIZE - WEFT_LANE_TAG_SIZE);
    ASSERT_EQ(crypto_aead_chacha20poly1305_ietf_decrypt(opened.data(),
                                                        nullptr,
                                                        nullptr,
                                                        wire.data() + WEFT_LANE_HEADER_SIZE,
                                                        wire.size() - WEFT_LANE_HEADER_SIZE,
                                                        wire.data(),
                                                        WEFT_LANE_HEADER_SIZE,
                                                        nonce.data(),
                                                        kKey.data()),
              0);
    EXPECT_EQ(Bytes(opened.begin() + 4, opened.end()), frame);
  }
}

TEST_F(KernelLaneTest, WhatItOpensIsTheFrameAsItWasAndEachOnlyOnce) {
  exchange_keys();
  for (const Bytes& frame : {frame_to(kHere, 100), ipv6_frame_to(kHere, 60)}) {
    const sys::LaneCount before = lane_->opened(kIndex);
    const weft_address underlay = weft_mapped(kPeer.bytes().data());
    add_endpoint(kHere, {.kind = WEFT_ENDPOINT_REMOTE, .ifindex = 0, .underlay = underlay});
    const Bytes first = sealed(frame);
    const Bytes second = sealed(frame);
    add_endpoint(kHere, {.kind = WEFT_ENDPOINT_LOCAL, .ifindex = 1, .underlay = {}});

    const Verdict opened = off_the_wire(second);
    EXPECT_EQ(opened.action, kRedirect);
    EXPECT_EQ(opened.frame, frame);
    EXPECT_EQ(off_the_wire(second).action, kDrop);
    EXPECT_EQ(off_the_wire(first).action, kRedirect);
    EXPECT_EQ(lane_->opened(kIndex).packets, before.packets + 2);
    EXPECT_EQ(lane_->opened(kIndex).octets, before.octets + 2 * frame.size());
  }
}

TEST_F(KernelLaneTest, TellsWhichCountersItHasOpened) {
  exchange_keys();
  const auto open_next = [this] {
    EXPECT_EQ(off_the_wire(sealed(frame_to(kThere, 40))).action, kRedirect);
  };
  EXPECT_FALSE(lane_->has_opened(kIndex, 0));
  open_next();
  sealed(frame_to(kThere, 40));  // Lost: counter 1.
  open_next();

  EXPECT_TRUE(lane_->has_opened(kIndex, 0));
  EXPECT_FALSE(lane_->has_opened(kIndex, 1));
  EXPECT_TRUE(lane_->has_opened(kIndex, 2));
  EXPECT_FALSE(lane_->has_opened(kIndex, 3));
  EXPECT_FALSE(lane_->has_opened(kIndex, ~0ULL));
  EXPECT_FALSE(lane_->has_opened(kIndex + 1, 0));

  // Too old to know.
  for (int i = 0; i < WEFT_LANE_WINDOW_WORDS * 64; ++i) {
    open_next();
  }
  EXPECT_TRUE(lane_->has_opened(kIndex, 1));
}

// A datagram that the agent got instead would be lost, and the lane given up.
TEST_F(KernelLaneTest, WhatMetCongestionSaysSoInside) {
  exchange_keys();
  Bytes frame = frame_to(kThere, 40);
  std::uint8_t* const ip = frame.data() + WEFT_ETH_SIZE;
  weft_write16(ip + 10, weft_ipv4_checksum(ip));
  Bytes datagram = sealed(frame);
  datagram[WEFT_ETH_SIZE + 1] |= WEFT_ECN_CE;
  ip[1] |= WEFT_ECN_CE;
  weft_write16(ip + 10, 0);
  weft_write16(ip + 10, weft_ipv4_checksum(ip));

  const Verdict opened = off_the_wire(datagram);
  EXPECT_EQ(opened.action, kRedirect);
  EXPECT_EQ(opened.frame, frame);

  ip[1] = 0;  // Whose sender takes no marks.
  Bytes deaf = sealed(frame);
  deaf[WEFT_ETH_SIZE + 1] |= WEFT_ECN_CE;
  EXPECT_EQ(off_the_wire(deaf).action, kDrop);
}

TEST_F(KernelLaneTest, WhatWasChangedOnTheWayIsDropped) {
  exchange_keys();
  const Bytes datagram = sealed(frame_to(kThere, 40));
  for (std::size_t at = WEFT_LANE_TEXT_AT - 8; at < datagram.size(); ++at) {
    Bytes changed = datagram;
    changed[at] ^= 0x10;
    EXPECT_EQ(off_the_wire(changed).action, kDrop) << at;
  }
  EXPECT_EQ(lane_->opened(kIndex).packets, 0U);
}

TEST_F(KernelLaneTest, OnlySmallFramesOfPeersWithAKeyAreSealedHere) {
  const Bytes small = frame_to(kThere, 100);
  // The agent's, as long as there is no key.
  EXPECT_EQ(out_of_container(small).mark, std::uint32_t{WEFT_LANE_EXPRESS});
  exchange_keys();
  const Verdict here = out_of_container(small);
  EXPECT_EQ(here.action, kRedirect);
  EXPECT_EQ(here.mark, 0U);

  ASSERT_TRUE(lane_->stop(kPeer).ok());
  EXPECT_EQ(out_of_container(small).mark, std::uint32_t{WEFT_LANE_EXPRESS});
  // On its way when the key went.
  const Verdict late = seal(small);
  EXPECT_EQ(late.action, kRedirect);
  EXPECT_EQ(late.frame, small);
  EXPECT_EQ(late.mark, std::uint32_t{WEFT_LANE_EXPRESS});
}

TEST_F(KernelLaneTest, ManyInAMillisecondAreTheAgents) {
  exchange_keys();
  EXPECT_EQ(out_of_container(frame_to(kThere, 22), 20'000).mark, std::uint32_t{WEFT_LANE_EXPRESS});
}

TEST_F(KernelLaneTest, StandsStillSoonAfterTheAgentDoes) {
  exchange_keys();
  const Bytes datagram = sealed(frame_to(kThere, 40));
  ASSERT_TRUE(lane_->keep_alive(std::chrono::seconds(0)).ok());

  EXPECT_EQ(out_of_container(frame_to(kThere, 100)).mark, std::uint32_t{WEFT_LANE_EXPRESS});
  EXPECT_EQ(off_the_wire(datagram).action, kDrop);
}

TEST_F(KernelLaneTest, WhatNamesNoSessionIsTheAgentsToAnswer) {
  exchange_keys();
  const Bytes datagram = sealed(frame_to(kThere, 40));
  ASSERT_TRUE(lane_->close(kIndex).ok());

  EXPECT_EQ(off_the_wire(datagram).action, kLeave);
  EXPECT_TRUE(lane_->close(kIndex).ok());  // Again.
}

TEST_F(KernelLaneTest, NoKeyIsLeftInTheTablesWhenItsOwnerIsGone) {
  exchange_keys();
  lane_.reset();

  std::uint32_t slot = slots_->find(kPeer).value();
  weft_sealing sealing{};
  ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(programs_->maps.weft_sealing_1), &slot, &sealing), 0);
  EXPECT_TRUE(std::all_of(
      std::begin(sealing.key), std::end(sealing.key), [](auto word) { return word == 0; }));
  weft_opening opening{};
  EXPECT_NE(bpf_map_lookup_elem(bpf_map__fd(programs_->maps.weft_opening_1), &kIndex, &opening), 0);
}

}  // namespace
}  // namespace weft::test
