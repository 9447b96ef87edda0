#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/arp.h"
#include "router/datapath/endpoint_record.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/nd.h"
#include "tests/unit/datapath/frames.h"

namespace weft::router {
namespace {

using ::testing::ElementsAre;

TEST(Ethernet, ReadsBackWhatItWrote) {
  const Bytes frame = ethernet_frame(mac(1), mac(2), kEtherTypeIpv4, Bytes{7, 8});

  const EthernetFrame decoded = decode_ethernet(frame).value();

  EXPECT_EQ(decoded.header,
            (EthernetHeader{.destination = mac(1), .source = mac(2), .type = kEtherTypeIpv4}));
  EXPECT_EQ(to_bytes(decoded.payload), (Bytes{7, 8}));
}

TEST(Ethernet, RefusesShortFramesAndGroupSources) {
  const Bytes whole = ethernet_frame(mac(1), mac(2), kEtherTypeIpv4, {});
  const Bytes from_group = ethernet_frame(mac(1), Mac::broadcast(), kEtherTypeIpv4, {});

  EXPECT_TRUE(decode_ethernet(whole).ok());
  EXPECT_EQ(decode_ethernet(ByteView(whole).first(13)).error().code, Errc::Invalid);
  EXPECT_EQ(decode_ethernet(from_group).error().code, Errc::Invalid);
}

TEST(Ethernet, KnowsTheSixteenAddressesBridgesNeverForward) {
  EXPECT_TRUE(is_link_local_control(Mac({0x01, 0x80, 0xc2, 0, 0, 0x00})));
  EXPECT_TRUE(is_link_local_control(Mac({0x01, 0x80, 0xc2, 0, 0, 0x0f})));
  EXPECT_FALSE(is_link_local_control(Mac({0x01, 0x80, 0xc2, 0, 0, 0x10})));
  EXPECT_FALSE(is_link_local_control(Mac::broadcast()));
}

TEST(Arp, ReadsBackWhatItWroteAlsoWithPadding) {
  const ArpPacket packet{.operation = ArpPacket::Operation::Reply,
                         .sender_mac = mac(1),
                         .sender = Ipv4(0x0a200001),
                         .target_mac = mac(2),
                         .target = Ipv4(0x0a200002)};
  Bytes frame = encode_arp_frame(packet);
  frame.resize(60);

  const EthernetFrame outer = decode_ethernet(frame).value();

  EXPECT_EQ(outer.header,
            (EthernetHeader{.destination = mac(2), .source = mac(1), .type = kEtherTypeArp}));
  EXPECT_EQ(decode_arp(outer.payload).value(), packet);
}

TEST(Arp, WritesTheOctetsOfRfc826) {
  const Bytes frame = encode_arp_frame({.operation = ArpPacket::Operation::Request,
                                        .sender_mac = mac(1),
                                        .sender = Ipv4(0x0a200001),
                                        .target_mac = mac(2),
                                        .target = Ipv4(0x0a200002)});

  EXPECT_EQ(to_hex(frame),
            "0200000000020200000000010806"
            "0001080006040001"
            "0200000000010a200001"
            "0200000000020a200002");
}

TEST(Arp, RefusesOtherHardwareUnknownOperationsAndShortPackets) {
  const Bytes frame = arp_request(mac(1), "10.32.0.1", "10.32.0.2");
  const Bytes good(frame.begin() + 14, frame.end());
  Bytes token_ring = good;
  token_ring[1] = 6;
  Bytes reverse = good;
  reverse[7] = 3;

  EXPECT_TRUE(decode_arp(good).ok());
  EXPECT_EQ(decode_arp(token_ring).error().code, Errc::Invalid);
  EXPECT_EQ(decode_arp(reverse).error().code, Errc::Invalid);
  EXPECT_EQ(decode_arp(ByteView(good).first(27)).error().code, Errc::Invalid);
}

TEST(NeighborDiscovery, ChecksumMatchesAKnownPacket) {
  const Bytes message = solicitation_message("fe80::2", {});
  const Ipv6 from = Ipv6::parse("fe80::1").value();
  const Ipv6 to = Ipv6::parse("fe80::2").value();

  // fe80+0001 + fe80+0002 + 0018 + 003a + 8700 + fe80+0002 = 382d7 -> 82da -> ~ = 7d25.
  EXPECT_EQ(icmpv6_checksum(from, to, message), 0x7d25);
}

TEST(NeighborDiscovery, ReadsASolicitation) {
  const Bytes packet =
      icmpv6_packet("fd00::1",
                    "ff02::1:ff00:2",
                    255,
                    solicitation_message("fd00::2", source_link_layer_option(mac(1))));

  const auto asked = parse_solicitation(packet);

  ASSERT_TRUE(asked);
  EXPECT_EQ(*asked,
            (NeighborSolicitation{.source = Ipv6::parse("fd00::1").value(),
                                  .target = Ipv6::parse("fd00::2").value()}));
}

TEST(NeighborDiscovery, IgnoresWhatRfc4861TellsReceiversToIgnore) {
  const auto packet = [](std::string_view source, std::uint8_t hops, Bytes message) {
    return icmpv6_packet(source, "ff02::1:ff00:2", hops, std::move(message));
  };
  const Bytes good = packet("fd00::1", 255, solicitation_message("fd00::2", {}));
  Bytes corrupt = good;
  corrupt.back() ^= 1U;
  const Bytes routed = packet("fd00::1", 254, solicitation_message("fd00::2", {}));
  const Bytes for_group = packet("fd00::1", 255, solicitation_message("ff02::2", {}));
  const Bytes empty_option =
      packet("fd00::1", 255, solicitation_message("fd00::2", Bytes{14, 0, 0, 0, 0, 0, 0, 0}));
  const Bytes long_option =
      packet("fd00::1", 255, solicitation_message("fd00::2", Bytes{14, 2, 0, 0, 0, 0, 0, 0}));
  const Bytes telling_probe =
      packet("::", 255, solicitation_message("fd00::2", source_link_layer_option(mac(1))));

  EXPECT_TRUE(parse_solicitation(good));
  EXPECT_FALSE(parse_solicitation(corrupt));
  EXPECT_FALSE(parse_solicitation(routed));
  EXPECT_FALSE(parse_solicitation(for_group));
  EXPECT_FALSE(parse_solicitation(empty_option));
  EXPECT_FALSE(parse_solicitation(long_option));
  EXPECT_FALSE(parse_solicitation(telling_probe));
  EXPECT_FALSE(parse_solicitation(ByteView(good).first(good.size() - 1)));
}

TEST(NeighborDiscovery, AnswersTheAskerWithTheOwnersAddressAndAValidChecksum) {
  const NeighborSolicitation asked{.source = Ipv6::parse("fd00::1").value(),
                                   .target = Ipv6::parse("fd00::2").value()};

  const Bytes frame = encode_advertisement_frame(
      {.owner = mac(2), .target = asked.target, .asked = asked, .asker = mac(1)});

  const EthernetFrame outer = decode_ethernet(frame).value();
  EXPECT_EQ(outer.header,
            (EthernetHeader{.destination = mac(1), .source = mac(2), .type = kEtherTypeIpv6}));
  const ByteView icmp = outer.payload.subspan(40);
  EXPECT_EQ(icmpv6_checksum(asked.target, asked.source, icmp), 0);
  EXPECT_EQ(icmp[0], 136);
  EXPECT_EQ(icmp[4], 0x60);  // Solicited and override.
  EXPECT_EQ(to_hex(icmp.last(8)), "0201020000000002");
}

TEST(NeighborDiscovery, AnswersAProbeToAllNodesUnsolicited) {
  const NeighborSolicitation probe{.source = Ipv6(), .target = Ipv6::parse("fd00::2").value()};

  const Bytes frame = encode_advertisement_frame(
      {.owner = mac(2), .target = probe.target, .asked = probe, .asker = mac(1)});

  const EthernetFrame outer = decode_ethernet(frame).value();
  EXPECT_EQ(outer.header.destination, Mac({0x33, 0x33, 0, 0, 0, 1}));
  const ByteView icmp = outer.payload.subspan(40);
  EXPECT_EQ(icmpv6_checksum(probe.target, Ipv6::parse("ff02::1").value(), icmp), 0);
  EXPECT_EQ(icmp[4], 0x20);  // Override only.
}

TEST(EndpointRecord, ReadsBackKeyAndAddressesOfBothFamilies) {
  const std::vector<Ip> addresses{ip("10.32.0.1"), ip("fd00::1")};

  EXPECT_EQ(decode_endpoint_key(endpoint_key(mac(1))).value(), mac(1));
  EXPECT_THAT(decode_endpoint(encode_endpoint(addresses)).value(),
              ElementsAre(ip("10.32.0.1"), ip("fd00::1")));
  EXPECT_EQ(to_hex(encode_endpoint({ip("10.32.0.1")})), "01040a200001");
}

TEST(EndpointRecord, TellsNoMoreAddressesThanReceiversAccept) {
  const std::vector<Ip> many(kEndpointAddressesMax + 3, ip("10.32.0.1"));

  EXPECT_EQ(decode_endpoint(encode_endpoint(many)).value().size(), kEndpointAddressesMax);
}

TEST(EndpointRecord, RefusesMalformedKeysAndValues) {
  const RecordKey short_key{.kind = RecordKind::Endpoint, .key = Bytes{1, 2}};
  Bytes too_many = encode_endpoint(std::vector<Ip>(kEndpointAddressesMax, ip("10.32.0.1")));
  too_many.insert(too_many.end(), {4, 10, 32, 0, 2});

  EXPECT_FALSE(decode_endpoint_key(short_key).ok());
  EXPECT_FALSE(decode_endpoint_key(endpoint_key(Mac::broadcast())).ok());
  EXPECT_FALSE(decode_endpoint_key(endpoint_key(Mac())).ok());
  EXPECT_FALSE(decode_endpoint({}).ok());
  EXPECT_FALSE(decode_endpoint(Bytes{2}).ok());
  EXPECT_FALSE(decode_endpoint(Bytes{1, 4, 10, 32, 0}).ok());
  EXPECT_FALSE(decode_endpoint(Bytes{1, 5, 10, 32, 0, 1, 1}).ok());
  EXPECT_FALSE(decode_endpoint(too_many).ok());
}

}  // namespace
}  // namespace weft::router
