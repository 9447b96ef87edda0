// What happens to the frames only the agent can handle.
#include "tests/unit/datapath/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/endpoint_record.h"
#include "router/datapath/forwarding.h"

namespace weft::router {
namespace {

using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Actions = ForwardingActions;

constexpr TimePoint kStart{Duration(0)};
const PeerName kBob(2);
const PeerName kCarol(3);
const Ip kBobAt = ip("192.0.2.2");
const Ip kCarolAt = ip("192.0.2.3");
const Mac kLocal = mac(1);   // 10.32.0.1, fd00::1
const Mac kRemote = mac(2);  // 10.32.0.2, fd00::2, at Bob's
const Mac kMulticast({0x01, 0x00, 0x5e, 0, 0, 0xfb});

class FramesTest : public ::testing::Test {
 protected:
  FramesTest() {
    Actions ignored;
    forwarding_.set_underlay(kStart, kBob, kBobAt, ignored);
    forwarding_.set_underlay(kStart, kCarol, kCarolAt, ignored);
    forwarding_.add_local(kStart, kLocal, {ip("10.32.0.1"), ip("fd00::1")}, 7, ignored);
    forwarding_.on_record(kStart,
                          {.origin = kBob,
                           .key = endpoint_key(kRemote),
                           .value = encode_endpoint({ip("10.32.0.2"), ip("fd00::2")})},
                          ignored);
  }

  Actions frame(ByteView bytes, TimePoint now = kStart) {
    Actions out;
    forwarding_.on_frame(now, bytes, out);
    return out;
  }

  Forwarding forwarding_{{.self = PeerName(1), .flood_rate_max = 10}, kStart, {}};
};

Actions to_everyone(const Bytes& frame) {
  return {FrameToPeers{.underlay = {kBobAt, kCarolAt}, .frame = frame}};
}

TEST_F(FramesTest, AQuestionForARemoteAddressIsAnsweredForItsOwner) {
  const Actions out = frame(arp_request(kLocal, "10.32.0.1", "10.32.0.2"));

  EXPECT_THAT(out,
              ElementsAre(FrameToBridge{encode_arp_frame({.operation = ArpPacket::Operation::Reply,
                                                          .sender_mac = kRemote,
                                                          .sender = Ipv4(0x0a200002),
                                                          .target_mac = kLocal,
                                                          .target = Ipv4(0x0a200001)})}));
  EXPECT_EQ(forwarding_.stats().arp_answered, 1U);
  EXPECT_EQ(forwarding_.stats().frames_flooded, 0U);
}

// Somebody has bridged two interfaces here: a peer's broadcast comes back and must not go round.
TEST_F(FramesTest, AFrameOfAStationElsewhereThatComesFromHereIsALoop) {
  const Bytes frame_of_bob =
      ethernet_frame(Mac::broadcast(), kRemote, kEtherTypeIpv4, Bytes(46, 0));

  EXPECT_THAT(frame(frame_of_bob), IsEmpty());
  EXPECT_EQ(forwarding_.stats().frames_looped, 1U);
}

TEST_F(FramesTest, ABroadcastThatIsTooBigForOnePeerIsCutForAll) {
  Writer packet;
  packet.u8(0x45).u8(0).u16(1220).u32(0).u8(1).u8(17).u16(0).append(Bytes(8 + 1200, 1));
  const Bytes large = ethernet_frame(kMulticast, kLocal, kEtherTypeIpv4, packet.take());
  forwarding_.set_frame_max(kCarolAt, 1000);

  const Actions out = frame(large);

  ASSERT_EQ(out.size(), 2U);
  for (const ForwardingAction& action : out) {
    EXPECT_LE(std::get<FrameToPeers>(action).frame.size(), 1000U);
    EXPECT_THAT(std::get<FrameToPeers>(action).underlay, ElementsAre(kBobAt, kCarolAt));
  }
  EXPECT_EQ(forwarding_.stats().too_big_cut, 1U);
}

TEST_F(FramesTest, TheSenderOfWhatIsTooBigForItsPeerIsTold) {
  Writer packet;
  packet.u8(0x45).u8(0).u16(1220).u16(0).u16(0x4000).u8(64).u8(17).u16(0);
  packet.append(Bytes(8 + 1200, 1));
  const Bytes large = ethernet_frame(kRemote, kLocal, kEtherTypeIpv4, packet.take());
  forwarding_.set_frame_max(kBobAt, 1000);

  const Actions out = frame(large);

  ASSERT_EQ(out.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<FrameToBridge>(out.front()));
  EXPECT_EQ(forwarding_.stats().too_big_answered, 1U);
}

TEST_F(FramesTest, AQuestionForALocalAddressIsLeftToTheContainer) {
  EXPECT_THAT(frame(arp_request(mac(9), "10.32.0.9", "10.32.0.1")), IsEmpty());
}

TEST_F(FramesTest, AQuestionForAnUnknownAddressGoesOnceToEveryPeer) {
  const Bytes question = arp_request(kLocal, "10.32.0.1", "10.32.0.77");

  EXPECT_EQ(frame(question), to_everyone(question));
  EXPECT_EQ(forwarding_.stats().frames_flooded, 1U);
}

TEST_F(FramesTest, AProbeForAnAddressInUseElsewhereIsAnswered) {
  const Actions out = frame(arp_request(mac(9), "0.0.0.0", "10.32.0.2"));

  EXPECT_THAT(out,
              ElementsAre(FrameToBridge{encode_arp_frame({.operation = ArpPacket::Operation::Reply,
                                                          .sender_mac = kRemote,
                                                          .sender = Ipv4(0x0a200002),
                                                          .target_mac = mac(9),
                                                          .target = Ipv4()})}));
}

TEST_F(FramesTest, AProbeForOnesOwnAddressAfterAMoveIsNotAConflict) {
  const Bytes probe = arp_request(kRemote, "0.0.0.0", "10.32.0.2");

  // Passed on, not answered. Broadcast goes to all peers, also to the one that held the address.
  EXPECT_EQ(frame(probe), to_everyone(probe));
}

TEST_F(FramesTest, AnAnnouncementReachesEveryPeerAlsoForAKnownAddress) {
  const Bytes announcement = arp_request(mac(9), "10.32.0.2", "10.32.0.2");

  EXPECT_EQ(frame(announcement), to_everyone(announcement));
  EXPECT_EQ(forwarding_.stats().arp_answered, 0U);
}

TEST_F(FramesTest, MalformedArpIsDroppedAndCounted) {
  Bytes question = arp_request(kLocal, "10.32.0.1", "10.32.0.77");
  question.resize(30);

  EXPECT_THAT(frame(question), IsEmpty());
  EXPECT_EQ(forwarding_.stats().frames_malformed, 1U);
}

TEST_F(FramesTest, ASolicitationForARemoteAddressIsAnsweredForItsOwner) {
  const Actions out = frame(solicitation_frame(kLocal, "fd00::1", "fd00::2"));

  const NeighborSolicitation asked{.source = ip("fd00::1").v6(), .target = ip("fd00::2").v6()};
  EXPECT_THAT(out,
              ElementsAre(FrameToBridge{encode_advertisement_frame(
                  {.owner = kRemote, .target = asked.target, .asked = asked, .asker = kLocal})}));
  EXPECT_EQ(forwarding_.stats().nd_answered, 1U);
}

TEST_F(FramesTest, ADuplicateAddressProbeForARemoteAddressIsAnswered) {
  EXPECT_EQ(frame(solicitation_frame(mac(9), "::", "fd00::2")).size(), 1U);
  EXPECT_EQ(forwarding_.stats().nd_answered, 1U);
}

TEST_F(FramesTest, ASolicitationForALocalAddressIsLeftToTheContainer) {
  EXPECT_THAT(frame(solicitation_frame(mac(9), "fd00::9", "fd00::1")), IsEmpty());
}

TEST_F(FramesTest, ASolicitationForAnUnknownAddressGoesOnceToEveryPeer) {
  const Bytes question = solicitation_frame(kLocal, "fd00::1", "fd00::77");

  EXPECT_EQ(frame(question), to_everyone(question));
}

TEST_F(FramesTest, BroadcastAndMulticastOfAnyProtocolGoOnceToEveryPeer) {
  const Bytes broadcast = ethernet_frame(Mac::broadcast(), kLocal, 0x88b5, Bytes(10, 1));
  const Bytes multicast = ethernet_frame(kMulticast, kLocal, kEtherTypeIpv4, Bytes(10, 1));

  EXPECT_EQ(frame(broadcast), to_everyone(broadcast));
  EXPECT_EQ(frame(multicast), to_everyone(multicast));
}

TEST_F(FramesTest, UnicastToAKnownRemoteGoesToItsPeerOnly) {
  const Bytes unicast = ethernet_frame(kRemote, kLocal, kEtherTypeIpv4, Bytes(10, 1));

  EXPECT_THAT(frame(unicast), ElementsAre(FrameToPeers{.underlay = {kBobAt}, .frame = unicast}));
}

TEST_F(FramesTest, UnicastToNobodyWeKnowGoesToEveryPeer) {
  const Bytes unicast = ethernet_frame(mac(99), kLocal, kEtherTypeIpv4, Bytes(10, 1));

  EXPECT_EQ(frame(unicast), to_everyone(unicast));
}

TEST_F(FramesTest, UnicastToALocalContainerStaysHere) {
  EXPECT_THAT(frame(ethernet_frame(kLocal, mac(9), kEtherTypeIpv4, Bytes(10, 1))), IsEmpty());
}

TEST_F(FramesTest, BridgeControlFramesNeverCross) {
  const Mac spanning_tree({0x01, 0x80, 0xc2, 0, 0, 0});

  EXPECT_THAT(frame(ethernet_frame(spanning_tree, kLocal, 0x0027, Bytes(39, 0))), IsEmpty());
}

TEST_F(FramesTest, FramesTooShortTooLongOrFromGroupsAreDroppedAndCounted) {
  EXPECT_THAT(frame(Bytes(13, 2)), IsEmpty());
  EXPECT_THAT(frame(ethernet_frame(kRemote, kLocal, kEtherTypeIpv4, Bytes(65535, 1))), IsEmpty());
  EXPECT_THAT(frame(ethernet_frame(kRemote, kMulticast, kEtherTypeIpv4, {})), IsEmpty());
  EXPECT_EQ(forwarding_.stats().frames_malformed, 3U);
}

TEST_F(FramesTest, AStormIsLimitedToTheRateAndItsBurst) {
  const Bytes broadcast = ethernet_frame(Mac::broadcast(), kLocal, 0x88b5, {});
  for (int i = 0; i < 30; ++i) {
    frame(broadcast);
  }
  EXPECT_EQ(forwarding_.stats().frames_flooded, 10U);
  EXPECT_EQ(forwarding_.stats().frames_limited, 20U);

  EXPECT_EQ(frame(broadcast, kStart + 99ms), Actions{});
  EXPECT_EQ(frame(broadcast, kStart + 101ms), to_everyone(broadcast));
}

TEST(FramesAlone, NothingIsSentOrCountedWithoutPeers) {
  Forwarding forwarding({.self = PeerName(1)}, kStart, {});
  Actions out;

  forwarding.on_frame(kStart, ethernet_frame(Mac::broadcast(), kLocal, 0x88b5, {}), out);

  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(forwarding.stats().frames_flooded, 0U);
}

}  // namespace
}  // namespace weft::router
