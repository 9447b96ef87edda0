#include "router/datapath/arp.h"

#include <fmt/format.h>

#include "router/datapath/ethernet.h"

namespace weft::router {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint8_t kMacSize = 6;
constexpr std::uint8_t kIpv4Size = 4;

}  // namespace

Result<ArpPacket> decode_arp(ByteView payload) {
  Reader reader(payload);
  const auto hardware = WEFT_TRY(reader.u16());
  const auto protocol = WEFT_TRY(reader.u16());
  const auto hardware_size = WEFT_TRY(reader.u8());
  const auto protocol_size = WEFT_TRY(reader.u8());
  if (hardware != kHardwareEthernet || protocol != kEtherTypeIpv4 || hardware_size != kMacSize
      || protocol_size != kIpv4Size) {
    return Error{Errc::Invalid, fmt::format("ARP for hardware {} (expected Ethernet)", hardware)};
  }
  const auto operation = WEFT_TRY(reader.u16());
  if (operation != 1 && operation != 2) {
    return Error{Errc::Invalid, fmt::format("ARP operation {} (expected 1 or 2)", operation)};
  }
  ArpPacket packet;
  packet.operation = static_cast<ArpPacket::Operation>(operation);
  const ByteView sender_mac = WEFT_TRY(reader.take(kMacSize));
  packet.sender_mac = WEFT_TRY(Mac::from_bytes(sender_mac));
  const auto sender = WEFT_TRY(reader.u32());
  packet.sender = Ipv4(sender);
  const ByteView target_mac = WEFT_TRY(reader.take(kMacSize));
  packet.target_mac = WEFT_TRY(Mac::from_bytes(target_mac));
  const auto target = WEFT_TRY(reader.u32());
  packet.target = Ipv4(target);
  return packet;
}

Bytes encode_arp_frame(const ArpPacket& packet) {
  Writer writer;
  write_ethernet(
      {.destination = packet.target_mac, .source = packet.sender_mac, .type = kEtherTypeArp},
      writer);
  writer.u16(kHardwareEthernet).u16(kEtherTypeIpv4).u8(kMacSize).u8(kIpv4Size);
  writer.u16(static_cast<std::uint16_t>(packet.operation));
  writer.append(packet.sender_mac.octets()).u32(packet.sender.number());
  writer.append(packet.target_mac.octets()).u32(packet.target.number());
  return writer.take();
}

}  // namespace weft::router
