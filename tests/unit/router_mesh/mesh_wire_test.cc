#include "router/mesh_wire.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/mesh.pb.h"

namespace weft::router {
namespace {

using ::testing::HasSubstr;

const PeerName kAlice(1);
const PeerName kBob(2);

Message round_trip(const Message& message) {
  return decode_message(encode(message)).value();
}

std::string refusal(const wire::Frame& frame) {
  const std::string text = frame.SerializeAsString();
  const auto message = decode_message(as_bytes(text));
  return message.ok() ? "accepted" : message.error().what;
}

TEST(MeshWire, EveryMessageComesBackAsItWas) {
  OriginDelta part;
  part.origin = kAlice;
  part.incarnation = Incarnation(3);
  part.after = 4;
  part.through = 9;
  part.floor = 2;
  part.records = {{{RecordKind::Endpoint, {1, 2, 3}}, 5, Bytes{7}},
                  {{RecordKind::Peer, {}}, 6, std::nullopt},
                  {{RecordKind::Endpoint, {}}, 9, Bytes{}}};
  const std::vector<Message> messages{
      Verdict{Verdict::Code::Clone, "two hosts"},
      Verdict{Verdict::Code::Fenced, "lost its store", {}, Incarnation(7)},
      Verdict{Verdict::Code::Full, "enough", {{Ipv4(7), 6783}, {Ip::parse("fe80::1").value(), 1}}},
      Heartbeat{},
      Heartbeat{
          .beat = {3, 2, 70000}, .hash = 0xdeadbeef, .received = 1U << 20U, .suspected = true},
      Want{{{kAlice, {Incarnation(1), 2}}, {kBob, {Incarnation(3), 4}}}, true},
      Ranges{{{kAlice, kBob, 0x1234567890abcdef, {}},
              {kBob, PeerName(9), std::nullopt, {{kBob, {Incarnation(3), 4}}}}}},
      Announce{{{kAlice, {Incarnation(1), 2}}}},
      Prune{},
      Goodbye{},
      Delta{{part}},
      Delta{{part}, true},
      Payload{Topic::Ipam, {1, 2, 3}},
      Routed{kAlice, kBob, 5, Payload{Topic::Ring, {}}},
      Routed{kAlice, kBob, 0, Challenge{Incarnation(1), 77}},
      Routed{kAlice, kBob, kHopsMax, ChallengeAnswer{Incarnation(1), 77}},
  };
  for (const Message& message : messages) {
    EXPECT_EQ(round_trip(message), message) << message.index();
  }
}

TEST(MeshWire, HelloAndPeerRecordComeBackAsTheyWere) {
  const Hello hello{kAlice, Incarnation(2), 3, "nick", "0.1", 6783, 4};
  EXPECT_EQ(decode_hello(encode(hello)).value(), hello);

  PeerInfo info;
  info.nickname = "nick";
  info.version = "0.1";
  info.port = 6783;
  info.addresses = {Ipv4(1), Ip::parse("fe80::1").value()};
  info.key.fill(9);
  EXPECT_EQ(decode_peer_info(encode(info)).value(), info);
}

TEST(MeshWire, AMessageOfALaterVersionIsSkipped) {
  // Field 100, length-delimited, empty.
  EXPECT_EQ(decode_message(Bytes{0xa2, 0x06, 0x00}).value(), Message(UnknownMessage{}));
}

TEST(MeshWire, RefusesWhatDoesNotParse) {
  EXPECT_EQ(decode_message(Bytes{0xff}).error().code, Errc::Invalid);
  EXPECT_EQ(decode_hello(Bytes{0xff}).error().code, Errc::Invalid);
  EXPECT_EQ(decode_peer_info(Bytes{0xff}).error().code, Errc::Invalid);
}

TEST(MeshWire, RefusesRangesThatRunBackwardsAndReferralsWithoutEnd) {
  wire::Frame frame;
  wire::Ranges::Part& part = *frame.mutable_ranges()->add_parts();
  part.set_first(5);
  part.set_last(4);
  EXPECT_THAT(refusal(frame), HasSubstr("range 0x5 to 0x4"));

  for (std::size_t i = 0; i <= kReferralsMax; ++i) {
    frame.mutable_verdict()->add_referrals()->set_address("abcd");
  }
  EXPECT_THAT(refusal(frame), HasSubstr("9 referrals"));
}

TEST(MeshWire, RefusesVersionsOfNobodyAndOutOfOrder) {
  wire::Frame frame;
  const auto refuse = [&frame](const Bytes& versions) {
    frame.mutable_want()->set_versions(versions.data(), versions.size());
    return refusal(frame);
  };

  EXPECT_EQ(refuse({0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 2, 1, 1}), "accepted");
  EXPECT_THAT(refuse({0, 0, 0, 0, 0, 0, 1, 1}), HasSubstr("peer name"));
  EXPECT_THAT(refuse({0, 0, 0, 0, 0, 2, 1, 1, 0, 0, 0, 0, 0, 2, 1, 1}), HasSubstr("out of order"));
}

TEST(MeshWire, RefusesDeltasThatContradictThemselves) {
  wire::Frame frame;
  // Of peer 1, incarnation 1, after 5.
  const auto refuse = [&frame](const Bytes& rest) {
    Bytes origins{0, 0, 0, 0, 0, 1, 1, 5};
    origins.insert(origins.end(), rest.begin(), rest.end());
    frame.mutable_delta()->set_origins(origins.data(), origins.size());
    return refusal(frame);
  };

  EXPECT_THAT(refuse({0, 0}), HasSubstr("delta after 5 through 5"));
  EXPECT_THAT(refuse({2, 1, 8}), HasSubstr("floor 8 above 7"));
  EXPECT_THAT(refuse({2, 2, 2, 0, 3, 0}), HasSubstr("record sequence 5 + 3"));
  EXPECT_THAT(refuse({2, 2, 2, 0, 0, 0}), HasSubstr("record sequence 5 + 0"));
  EXPECT_EQ(refuse({2, 2, 2, 0, 1, 0}), "accepted");
  EXPECT_THAT(refuse({2, 2, 0, 0, 1, 0}), HasSubstr("record kind 0"));
  EXPECT_THAT(refuse({2, 2, 2, 9, 1, 0}), HasSubstr("9 bytes announced"));
  EXPECT_THAT(refuse({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}),
              HasSubstr("beyond 64 bits"));
}

TEST(MeshWire, RefusesUnknownTopicsLargePayloadsAndEndlessHops) {
  wire::Frame frame;
  frame.mutable_payload()->set_topic(99);
  EXPECT_THAT(refusal(frame), HasSubstr("topic 99"));
  frame.mutable_payload()->set_topic(1);
  frame.mutable_payload()->set_payload(std::string(kGossipPayloadMax + 1, 'x'));
  EXPECT_THAT(refusal(frame), HasSubstr("payload of"));

  wire::Routed& routed = *frame.mutable_routed();
  routed.set_from(1);
  routed.set_to(2);
  routed.set_hops_left(33);
  EXPECT_THAT(refusal(frame), HasSubstr("33 hops left"));
}

TEST(MeshWire, TakesAVerdictOfALaterVersionForARefusal) {
  wire::Frame frame;
  frame.mutable_verdict()->set_code(static_cast<wire::Verdict::Code>(77));
  const std::string text = frame.SerializeAsString();

  const auto message = decode_message(as_bytes(text));

  EXPECT_EQ(std::get<Verdict>(message.value()).code, Verdict::Code::Malformed);
}

TEST(MeshWire, TextThatCouldConfuseATerminalIsDefused) {
  const Hello hello{kAlice, Incarnation(2), 3, "a\x1b[2Jb", "0.1", 6783, 4};

  EXPECT_EQ(decode_hello(encode(hello)).value().nickname, "a?[2Jb");
}

TEST(MeshWire, TextStaysOnlyIfItIsUtf8) {
  const auto nickname = [](const std::string& text) {
    return decode_hello(encode(Hello{kAlice, Incarnation(2), 3, text, "0.1", 6783, 4}))
        .value()
        .nickname;
  };

  EXPECT_EQ(nickname("Köln €𝄞"), "Köln €𝄞");
  EXPECT_EQ(nickname("a\xff"), "a?");
  EXPECT_EQ(nickname("cut \xe2\x82"), "cut ??");
  EXPECT_EQ(nickname("long \xc0\xaf"), "long ??");
  EXPECT_EQ(nickname("high \xf7\xbf\xbf\xbf"), "high ????");
}

TEST(MeshWire, RefusesPeerRecordsOverTheirLimits) {
  PeerInfo info;
  info.addresses.resize(kAddressesMax + 1, Ipv4(2));
  EXPECT_THAT(decode_peer_info(encode(info)).error().what, HasSubstr("17 addresses"));

  wire::PeerInfo odd;
  odd.add_addresses("abc");
  odd.set_key(std::string(32, 'k'));
  EXPECT_FALSE(decode_peer_info(as_bytes(odd.SerializeAsString())).ok());
  odd.clear_addresses();
  odd.set_key("short");
  EXPECT_THAT(decode_peer_info(as_bytes(odd.SerializeAsString())).error().what,
              HasSubstr("static key of 5 bytes"));
}

}  // namespace
}  // namespace weft::router
