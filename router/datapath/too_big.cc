#include "router/datapath/too_big.h"

#include <algorithm>

#include "router/datapath/ethernet.h"
#include "router/datapath/ip.h"
#include "router/datapath/nd.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

constexpr std::size_t kIcmpSize = 8;
constexpr std::uint8_t kIcmpUnreachable = 3;
constexpr std::uint8_t kIcmpFragmentationNeeded = 4;
constexpr std::uint8_t kIcmpEchoReply = 0;
constexpr std::uint8_t kIcmpEcho = 8;
constexpr std::uint8_t kIcmpv6PacketTooBig = 2;
constexpr std::uint8_t kIcmpv6Informational = 128;  // And above (RFC 4443, 2.1).
constexpr std::uint8_t kTtl = 64;
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kOffsetMask = 0x1fff;
// How much of the packet goes back: RFC 1812, 4.3.2.3 (576 in all) and RFC 4443, 2.4 (1,280 in
// all).
constexpr std::size_t kQuotedV4 = 576 - kIpv4Size - kIcmpSize;
constexpr std::size_t kQuotedV6 = 1280 - kIpv6Size - kIcmpSize;

bool is_group(Mac mac) {
  return (mac.octets()[0] & 1U) != 0;
}

// Behind Ethernet, a whole header without looking at options; nothing if it is not one.
std::optional<std::size_t> ipv4_header_size(ByteView packet) {
  if (packet.size() < kIpv4Size || packet[0] >> 4U != 4) {
    return std::nullopt;
  }
  const std::size_t size = static_cast<std::size_t>(packet[0] & 0x0fU) * 4;
  return size >= kIpv4Size && size <= packet.size() ? std::optional(size) : std::nullopt;
}

Bytes ipv4_answer(const EthernetFrame& frame, std::size_t mtu) {
  const ByteView packet = frame.payload;
  // An even number of octets, which is what checksums are made of.
  const ByteView quoted = packet.first(std::min(packet.size(), kQuotedV4) / 2 * 2);
  Writer out;
  write_ethernet({.destination = frame.header.source,
                  .source = frame.header.destination,
                  .type = kEtherTypeIpv4},
                 out);
  out.u8(0x45).u8(0).u16(static_cast<std::uint16_t>(kIpv4Size + kIcmpSize + quoted.size()));
  out.u32(0).u8(kTtl).u8(kProtocolIcmp).u16(0);
  out.append(packet.subspan(16, 4)).append(packet.subspan(12, 4));
  out.u8(kIcmpUnreachable).u8(kIcmpFragmentationNeeded).u16(0).u16(0);
  out.u16(static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 0xffff))).append(quoted);
  Bytes answer = out.take();
  std::uint8_t* ip = answer.data() + kEthernetHeaderSize;
  write16(ip + 10, checksum_of(sum_words(ip, kIpv4Size)));
  write16(ip + kIpv4Size + 2, checksum_of(sum_words(ip + kIpv4Size, kIcmpSize + quoted.size())));
  return answer;
}

Bytes ipv6_answer(const EthernetFrame& frame, Mac from, std::size_t mtu) {
  const ByteView packet = frame.payload;
  const ByteView quoted = packet.first(std::min(packet.size(), kQuotedV6));
  Writer message;
  message.u8(kIcmpv6PacketTooBig).u8(0).u16(0).u32(static_cast<std::uint32_t>(mtu));
  Bytes icmp = message.append(quoted).take();
  // From the sender itself where its packet went to a group, which nothing may come from.
  const ByteView target = packet.subspan(packet[24] == 0xff ? 8 : 24, 16);
  Ipv6::Octets source{};
  Ipv6::Octets destination{};
  std::copy(target.begin(), target.end(), source.begin());
  std::copy_n(packet.begin() + 8, 16, destination.begin());
  write16(icmp.data() + 2, icmpv6_checksum(Ipv6(source), Ipv6(destination), icmp));
  Writer out;
  write_ethernet({.destination = frame.header.source, .source = from, .type = kEtherTypeIpv6}, out);
  out.u32(0x60000000).u16(static_cast<std::uint16_t>(icmp.size())).u8(kProtocolIcmpv6).u8(kTtl);
  return out.append(source).append(destination).append(icmp).take();
}

}  // namespace

std::optional<Bytes> too_big_answer(ByteView bytes, std::size_t mtu) {
  const Result<EthernetFrame> decoded = decode_ethernet(bytes);
  if (!decoded.ok()) {
    return std::nullopt;
  }
  const EthernetFrame& frame = decoded.value();
  const ByteView packet = frame.payload;
  if (frame.header.type == kEtherTypeIpv4) {
    const auto header = ipv4_header_size(packet);
    if (!header || is_group(frame.header.destination) || packet.size() < *header + kIcmpSize) {
      return std::nullopt;
    }
    const std::uint16_t flags = read16(packet.data() + 6);
    const std::uint8_t icmp_type = packet[*header];
    const bool is_error =
        packet[9] == kProtocolIcmp && icmp_type != kIcmpEcho && icmp_type != kIcmpEchoReply;
    if ((flags & kDontFragment) == 0 || (flags & kOffsetMask) != 0 || is_error) {
      return std::nullopt;
    }
    return ipv4_answer(frame, mtu);
  }
  if (frame.header.type != kEtherTypeIpv6 || packet.size() < kIpv6Size + kIcmpSize
      || packet[0] >> 4U != 6) {
    return std::nullopt;
  }
  if (packet[6] == kProtocolIcmpv6 && packet[kIpv6Size] < kIcmpv6Informational) {
    return std::nullopt;
  }
  // No frame comes from a group: then the bridge sees it come from a station of nobody.
  const Mac from =
      is_group(frame.header.destination) ? Mac({0x02, 0, 0, 0, 0, 0x02}) : frame.header.destination;
  return ipv6_answer(frame, from, mtu);
}

std::vector<Bytes> fragment(ByteView bytes, std::size_t frame_max) {
  const Result<EthernetFrame> decoded = decode_ethernet(bytes);
  if (!decoded.ok() || decoded.value().header.type != kEtherTypeIpv4) {
    return {};
  }
  ByteView packet = decoded.value().payload;
  const auto header = ipv4_header_size(packet);
  if (!header || frame_max < kEthernetHeaderSize + *header + 8) {
    return {};
  }
  const std::uint16_t flags = read16(packet.data() + 6);
  const std::size_t total = read16(packet.data() + 2);
  if ((flags & kDontFragment) != 0 || total > packet.size() || total <= *header) {
    return {};
  }
  packet = packet.first(total);  // Ethernet may have padded it.
  const ByteView payload = packet.subspan(*header);
  // Offsets count in units of eight octets.
  const std::size_t piece_max = (frame_max - kEthernetHeaderSize - *header) / 8 * 8;
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < payload.size(); at += piece_max) {
    const ByteView piece = payload.subspan(at, std::min(piece_max, payload.size() - at));
    const bool is_last = at + piece.size() == payload.size();
    Bytes frame = to_bytes(bytes.first(kEthernetHeaderSize));
    frame.insert(
        frame.end(), packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(*header));
    frame.insert(frame.end(), piece.begin(), piece.end());
    std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
    const std::size_t offset = (flags & kOffsetMask) + at / 8;
    const std::uint16_t more = is_last ? flags & kMoreFragments : kMoreFragments;
    write16(ip + 2, *header + piece.size());
    write16(ip + 6, more | offset);
    write16(ip + 10, 0);
    write16(ip + 10, checksum_of(sum_words(ip, *header)));
    pieces.push_back(std::move(frame));
  }
  return pieces;
}

}  // namespace weft::router
