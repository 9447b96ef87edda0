#include "router/checksums/checksum_probe.h"

#include <cstring>

#include <fmt/format.h>

#include "router/datapath/carrier.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/ip.h"
#include "router/sealed/octets.h"
#include "router/sealed/super_frame.h"

namespace weft::router {
namespace {

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::size_t kChecksumOffset = 6;  // In the UDP header.
constexpr std::uint8_t kVersion = 1;
// Behind version, origin and id: enough that a sum over too little of it is wrong.
constexpr std::size_t kFillerSize = 49;
constexpr std::size_t kPayloadSize = 1 + 6 + 8 + kFillerSize;
constexpr std::size_t kDatagramSize = kUdpSize + kPayloadSize;
constexpr std::size_t kPacketSize = kIpv4Size + kDatagramSize;
constexpr std::size_t kUdpAt = kEthernetHeaderSize + kIpv4Size;
static_assert(kPayloadSize % 2 == 0);  // What checksums are made of.

// Source, destination, protocol, length (RFC 768).
std::uint32_t pseudo_header_sum(const std::uint8_t* ip) {
  return sum_words(ip + 12, 8) + kProtocolUdp + static_cast<std::uint32_t>(kDatagramSize);
}

}  // namespace

Bytes encode_checksum_probe(const ChecksumProbe& probe, PeerName to, const Ipv4& underlay) {
  Writer out;
  write_ethernet(
      {.destination = bridge_mac(to), .source = bridge_mac(probe.origin), .type = kEtherTypeIpv4},
      out);
  out.u8(0x45).u8(0).u16(kPacketSize).u16(0).u16(kDontFragment);
  out.u8(1).u8(kProtocolUdp).u16(0).u32(0).u32(underlay.number());
  out.u16(kChecksumProbePort).u16(kChecksumProbePort).u16(kDatagramSize).u16(0);
  out.u8(kVersion);
  write_name(probe.origin, out);
  out.u64(probe.id);
  for (std::size_t i = 0; i < kFillerSize; ++i) {
    out.u8(static_cast<std::uint8_t>(probe.id >> (i % 8 * 8)));
  }
  Bytes frame = out.take();
  std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  write16(ip + 10, checksum_of(sum_words(ip, kIpv4Size)));
  // Who completes the checksum sums the field as well, so it starts as that of the pseudo-header.
  write16(frame.data() + kUdpAt + kChecksumOffset, fold(pseudo_header_sum(ip)));
  const VnetHeader offload{.flags = VnetHeader::kNeedsChecksum,
                           .checksum_start = kUdpAt,
                           .checksum_offset = kChecksumOffset};
  Writer whole;
  whole.append({reinterpret_cast<const std::uint8_t*>(&offload), sizeof offload});
  return whole.append(frame).take();
}

Result<HeardChecksum> decode_checksum_probe(ByteView heard) {
  Reader reader(heard);
  const ByteView metadata = WEFT_TRY(reader.take(sizeof(VnetHeader)));
  VnetHeader offload;
  std::memcpy(&offload, metadata.data(), sizeof offload);
  const EthernetFrame frame = WEFT_TRY(decode_ethernet(reader.rest()));
  const ByteView packet = frame.payload;
  if (frame.header.type != kEtherTypeIpv4 || packet.size() < kPacketSize) {
    return Error{Errc::Invalid, fmt::format("a probe of {} octets", packet.size())};
  }
  const std::uint8_t* ip = packet.data();
  const std::uint8_t* udp = ip + kIpv4Size;
  if (read16(ip) != 0x4500 || read16(ip + 2) != kPacketSize || ip[9] != kProtocolUdp
      || read32(ip + 12) != 0 || read16(udp + 2) != kChecksumProbePort
      || read16(udp + 4) != kDatagramSize) {
    return Error{Errc::Invalid, "not the headers of a probe"};
  }
  Reader payload(packet.subspan(kIpv4Size + kUdpSize, kPayloadSize));
  const std::uint8_t version = WEFT_TRY(payload.u8());
  if (version != kVersion) {
    return Error{Errc::Invalid, fmt::format("probe version {} (expected {})", version, kVersion)};
  }
  const PeerName origin = WEFT_TRY(read_name(payload));
  const std::uint64_t id = WEFT_TRY(payload.u64());
  const bool is_unfinished = (offload.flags & VnetHeader::kNeedsChecksum) != 0;
  const bool is_sum_right =
      read16(udp + kChecksumOffset) != 0
      && fold(pseudo_header_sum(ip) + sum_words(udp, kDatagramSize)) == 0xffff;
  return HeardChecksum{.probe = {.origin = origin, .id = id},
                       .is_right = is_unfinished || is_sum_right};
}

}  // namespace weft::router
