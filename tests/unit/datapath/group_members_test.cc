#include "router/multicast/group_members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/carrier.h"
#include "router/datapath/forwarding.h"
#include "tests/unit/datapath/frames.h"

namespace weft::router {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Changes = GroupMembers::Changes;

constexpr TimePoint kStart{Duration(0)};
const PeerName kBob(2);
const PeerName kCarol(3);
const Ip kGroup = ip("239.1.2.3");
const Ip kOther = ip("239.9.9.9");
const Ip kEvery = ip("0.0.0.0");

class GroupMembersTest : public ::testing::Test {
 protected:
  Changes report(TimePoint now, const GroupReport& report) {
    Changes out;
    members_.on_report(now, report, out);
    members_.check_invariants();
    return out;
  }
  Changes wait_until(TimePoint now) {
    Changes out;
    has_asked_ = members_.on_deadline(now, out);
    return out;
  }

  GroupMembers members_;
  bool has_asked_ = false;
};

TEST_F(GroupMembersTest, TheFirstReportOfAGroupIsToldAndTheLastIsForgotten) {
  EXPECT_THAT(report(kStart, {.joined = {kGroup}, .left = {}}), ElementsAre(Pair(kGroup, true)));
  EXPECT_THAT(report(kStart + 200s, {.joined = {kGroup}, .left = {}}), IsEmpty());

  EXPECT_THAT(wait_until(kStart + 300s), IsEmpty());
  EXPECT_THAT(wait_until(kStart + 460s), ElementsAre(Pair(kGroup, false)));
}

TEST_F(GroupMembersTest, WhoLeavesIsFollowedByAQuestionAndOthersMayStillSpeakUp) {
  Changes out;
  members_.start(kStart, GroupMembers::Start::Empty, out);
  wait_until(kStart);
  report(kStart + 10s, {.joined = {kGroup, kOther}, .left = {}});

  EXPECT_THAT(report(kStart + 20s, {.joined = {}, .left = {kGroup, kOther}}), IsEmpty());
  EXPECT_THAT(wait_until(kStart + 20s), IsEmpty());
  EXPECT_TRUE(has_asked_);
  report(kStart + 21s, {.joined = {kOther}, .left = {}});

  EXPECT_THAT(wait_until(kStart + 23s), ElementsAre(Pair(kGroup, false)));
}

TEST_F(GroupMembersTest, FarewellsDoNotMakeItAskMoreThanOnceASecond) {
  Changes out;
  members_.start(kStart, GroupMembers::Start::Empty, out);
  wait_until(kStart);
  report(kStart, {.joined = {kGroup}, .left = {}});
  report(kStart, {.joined = {}, .left = {kGroup}});

  wait_until(kStart);
  EXPECT_FALSE(has_asked_);
  wait_until(kStart + 1s);
  EXPECT_TRUE(has_asked_);
}

TEST_F(GroupMembersTest, AHostThatStartsWithContainersHearsEverythingUntilTheyHaveAnswered) {
  Changes out;
  members_.start(kStart, GroupMembers::Start::WithMembers, out);

  EXPECT_THAT(out, ElementsAre(Pair(kEvery, true)));
  wait_until(kStart);
  EXPECT_TRUE(has_asked_);
  wait_until(kStart + 1s);
  EXPECT_TRUE(has_asked_);
  EXPECT_THAT(wait_until(kStart + 5s), ElementsAre(Pair(kEvery, false)));
}

TEST_F(GroupMembersTest, FramesGoToHostsWithMembersAndForUnknownGroupsToAll) {
  members_.on_claim(kStart, kBob, kGroup, true);

  EXPECT_EQ(members_.listeners(kStart + 2s, kOther), std::nullopt);
  EXPECT_EQ(members_.listeners(kStart + 2s, kGroup), std::set<PeerName>{kBob});
  members_.on_claim(kStart, kCarol, kEvery, true);
  EXPECT_EQ(members_.listeners(kStart + 2s, kGroup), (std::set<PeerName>{kBob, kCarol}));
  members_.on_claim(kStart, kBob, kGroup, false);
  EXPECT_EQ(members_.listeners(kStart + 2s, kGroup), std::nullopt);
}

TEST_F(GroupMembersTest, AGroupThatOnlyContainersHereHearGoesNowhere) {
  report(kStart, {.joined = {kGroup}, .left = {}});

  EXPECT_EQ(members_.listeners(kStart + 2s, kGroup), std::set<PeerName>{});
}

TEST_F(GroupMembersTest, AGroupThatWasUnknownGoesToAllUntilOthersHaveHadTimeToTell) {
  report(kStart, {.joined = {kGroup}, .left = {}});
  members_.on_claim(kStart + 1s, kBob, kGroup, true);

  EXPECT_EQ(members_.listeners(kStart + 1s, kGroup), std::nullopt);
  EXPECT_EQ(members_.listeners(kStart + 2s, kGroup), std::set<PeerName>{kBob});
}

TEST_F(GroupMembersTest, MoreGroupsThanTheLimitMakeAHostHearEverything) {
  GroupReport many;
  for (std::uint32_t i = 0; i < GroupMembers::kLocalMax + 1; ++i) {
    many.joined.push_back(Ipv4(0xef000000 + i));
  }

  const Changes out = report(kStart, many);

  EXPECT_EQ(members_.local_count(), GroupMembers::kLocalMax);
  EXPECT_EQ(members_.refused(), 1U);
  EXPECT_THAT(out.back(), Pair(kEvery, true));
}

TEST_F(GroupMembersTest, APeerWithMoreThanCanBeKeptHearsEverything) {
  for (std::uint32_t i = 0; i < GroupMembers::kRemoteMax; ++i) {
    members_.on_claim(kStart, kBob, Ipv4(0xef000000 + i), true);
  }

  members_.on_claim(kStart, kCarol, kGroup, true);

  EXPECT_EQ(members_.remote_count(), GroupMembers::kRemoteMax);
  EXPECT_EQ(members_.refused(), 1U);
  EXPECT_TRUE(members_.listeners(kStart + 2s, ip("239.0.0.1")).value().contains(kCarol));
  members_.check_invariants();
}

TEST(GroupKey, NamesAGroupOrNothing) {
  EXPECT_EQ(decode_group_key(group_key(kGroup)), kGroup);
  EXPECT_EQ(decode_group_key(group_key(ip("ff05::1"))), ip("ff05::1"));
  EXPECT_EQ(decode_group_key(group_key(kEvery)), kEvery);
  EXPECT_EQ(decode_group_key(group_key(ip("10.0.0.1"))), std::nullopt);
  EXPECT_EQ(decode_group_key({.kind = RecordKind::Name, .key = kGroup.bytes()}), std::nullopt);
  EXPECT_EQ(decode_group_key({.kind = RecordKind::Endpoint, .key = Bytes(6, 2)}), std::nullopt);
}

// The same through the forwarding core, frames and records included.
class SnoopingTest : public ::testing::Test {
 protected:
  SnoopingTest() {
    ForwardingActions ignored;
    forwarding_.set_underlay(kStart, kBob, kBobAt, ignored);
    forwarding_.set_underlay(kStart, kCarol, kCarolAt, ignored);
    forwarding_.add_local(kStart, mac(1), {ip("10.32.0.1")}, 7, ignored);
  }
  static Bytes multicast() {
    Writer packet;
    packet.u8(0x45).u8(0).u16(28).u32(0).u8(1).u8(17).u16(0).u32(0x0a200001).u32(0xef010203);
    packet.append(Bytes(8, 0));
    return ethernet_frame(Mac({0x01, 0, 0x5e, 1, 2, 3}), mac(1), kEtherTypeIpv4, packet.take());
  }
  ForwardingActions send() {
    ForwardingActions out;
    forwarding_.on_frame(kStart + 2s, multicast(), out);
    return out;
  }

  const Ip kBobAt = ip("192.0.2.2");
  const Ip kCarolAt = ip("192.0.2.3");
  Forwarding forwarding_{{.self = PeerName(1), .querier = mac(9)}, kStart, {}};
};

TEST_F(SnoopingTest, MulticastGoesToHostsThatSayTheyHaveMembers) {
  const auto to = [](std::vector<Ip> hosts) {
    return FrameToPeers{.underlay = std::move(hosts), .frame = multicast()};
  };
  EXPECT_THAT(send(), ElementsAre(to({kBobAt, kCarolAt})));
  ForwardingActions ignored;

  forwarding_.on_record(
      kStart, {.origin = kCarol, .key = group_key(kGroup), .value = Bytes{1}}, ignored);
  EXPECT_THAT(send(), ElementsAre(to({kCarolAt})));
  EXPECT_EQ(forwarding_.stats().multicast_narrowed, 1U);

  forwarding_.on_record(
      kStart, {.origin = kCarol, .key = group_key(kGroup), .value = std::nullopt}, ignored);
  EXPECT_THAT(send(), ElementsAre(to({kBobAt, kCarolAt})));
}

TEST_F(SnoopingTest, AReportOfAContainerIsToldAndPassedOn) {
  Writer igmp;
  igmp.u8(0x46).u8(0xc0).u16(32).u32(0).u8(1).u8(2).u16(0).u32(0x0a200001).u32(0xef010203);
  igmp.u32(0x94040000).u32(0x1600f8fa).u32(0xef010203);
  const Bytes join =
      ethernet_frame(Mac({0x01, 0, 0x5e, 1, 2, 3}), mac(1), kEtherTypeIpv4, igmp.take());

  ForwardingActions out;
  forwarding_.on_frame(kStart, join, out);

  EXPECT_THAT(out,
              ElementsAre(PublishRecord{.key = group_key(kGroup), .value = Bytes{1}},
                          FrameToPeers{.underlay = {kBobAt, kCarolAt}, .frame = join}));
  EXPECT_EQ(forwarding_.group_count(), 1U);
  EXPECT_THAT(send(), IsEmpty());
  EXPECT_EQ(forwarding_.stats().multicast_kept, 1U);
}

TEST_F(SnoopingTest, WhatTheHostsKernelReportsOfTheLinkItselfStaysHere) {
  const PeerName self(0x77);
  const Mac host = bridge_mac(self);
  Forwarding forwarding({.self = self, .querier = mac(9)}, kStart, {});
  const auto report_of = [](Mac source) {
    Writer igmp;  // 224.0.0.251.
    igmp.u8(0x46).u8(0xc0).u16(32).u32(0).u8(1).u8(2).u16(0).u32(0).u32(0xe00000fb);
    igmp.u32(0x94040000).u32(0x16000904).u32(0xe00000fb);
    return ethernet_frame(Mac({0x01, 0, 0x5e, 0, 0, 0xfb}), source, kEtherTypeIpv4, igmp.take());
  };
  const auto to_bob = [this](const Bytes& frame) {
    return FrameToPeers{.underlay = {kBobAt}, .frame = frame};
  };
  const Bytes question = arp_request(host, "10.32.0.9", "10.32.0.5");
  ForwardingActions out;
  forwarding.set_underlay(kStart, kBob, kBobAt, out);
  out.clear();

  forwarding.on_frame(kStart, report_of(host), out);
  EXPECT_THAT(out, IsEmpty());

  forwarding.on_frame(kStart, report_of(mac(1)), out);
  forwarding.on_frame(kStart, question, out);
  EXPECT_THAT(out, ElementsAre(to_bob(report_of(mac(1))), to_bob(question)));
}

TEST_F(SnoopingTest, ContainersAreAsked) {
  ForwardingActions out;

  forwarding_.on_deadline(kStart, out);

  EXPECT_THAT(out,
              ElementsAre(FrameToBridge{encode_igmp_query(mac(9))},
                          FrameToBridge{encode_mld_query(mac(9))}));
  EXPECT_EQ(forwarding_.next_deadline(), kStart + GroupMembers::kQueryInterval);
}

TEST_F(SnoopingTest, ANewContainerIsAskedAtOnceButNotMoreThanOnceASecond) {
  ForwardingActions out;
  forwarding_.on_deadline(kStart, out);

  forwarding_.add_local(kStart, mac(5), {ip("10.32.0.5")}, 8, out);

  EXPECT_EQ(forwarding_.next_deadline(), kStart + 1s);
}

}  // namespace
}  // namespace weft::router
