// Frames, names and addresses the data path's tests talk about.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "router/datapath/arp.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/nd.h"

namespace weft::router {

inline Ip ip(std::string_view text) {
  return Ip::parse(text).value();
}

inline Mac mac(std::uint8_t last) {
  return Mac({0x02, 0, 0, 0, 0, last});
}

inline Bytes ethernet_frame(Mac destination, Mac source, std::uint16_t type, ByteView payload) {
  Writer writer;
  write_ethernet({.destination = destination, .source = source, .type = type}, writer);
  writer.append(payload);
  return writer.take();
}

// "Who has `target`? Tell `sender`", broadcast.
inline Bytes arp_request(Mac sender_mac, std::string_view sender, std::string_view target) {
  Bytes frame = encode_arp_frame({.operation = ArpPacket::Operation::Request,
                                  .sender_mac = sender_mac,
                                  .sender = Ipv4::parse(sender).value(),
                                  .target_mac = Mac(),
                                  .target = Ipv4::parse(target).value()});
  const Mac::Octets broadcast = Mac::broadcast().octets();
  std::copy(broadcast.begin(), broadcast.end(), frame.begin());
  return frame;
}

// An ICMPv6 packet in IPv6 with a right checksum.
inline Bytes icmpv6_packet(std::string_view source,
                           std::string_view destination,
                           std::uint8_t hop_limit,
                           Bytes message) {
  const Ipv6 from = Ipv6::parse(source).value();
  const Ipv6 to = Ipv6::parse(destination).value();
  const std::uint16_t checksum = icmpv6_checksum(from, to, message);
  message[2] = static_cast<std::uint8_t>(checksum >> 8U);
  message[3] = static_cast<std::uint8_t>(checksum & 0xffU);
  Writer writer;
  writer.u32(6U << 28U).u16(static_cast<std::uint16_t>(message.size())).u8(58).u8(hop_limit);
  writer.append(from.octets()).append(to.octets()).append(message);
  return writer.take();
}

inline Bytes solicitation_message(std::string_view target, ByteView options) {
  Writer writer;
  writer.u8(135).u8(0).u16(0).u32(0);
  writer.append(Ipv6::parse(target).value().octets()).append(options);
  return writer.take();
}

inline Bytes source_link_layer_option(Mac asker) {
  Writer writer;
  writer.u8(1).u8(1).append(asker.octets());
  return writer.take();
}

inline Bytes solicitation_frame(Mac asker, std::string_view source, std::string_view target) {
  const bool probe = source == "::";
  const Bytes option = probe ? Bytes{} : source_link_layer_option(asker);
  return ethernet_frame(
      Mac({0x33, 0x33, 0xff, 0, 0, 2}),
      asker,
      kEtherTypeIpv6,
      icmpv6_packet(source, "ff02::1:ff00:2", 255, solicitation_message(target, option)));
}

}  // namespace weft::router
