#include "router/datapath/nd.h"

#include <algorithm>

#include "router/datapath/ethernet.h"
#include "router/datapath/ip.h"

namespace weft::router {
namespace {

constexpr std::uint8_t kHopLimit = 255;  // Proof that no router was in between.
constexpr std::uint8_t kTypeSolicitation = 135;
constexpr std::uint8_t kTypeAdvertisement = 136;
constexpr std::uint8_t kOptionSourceLinkLayer = 1;
constexpr std::uint8_t kOptionTargetLinkLayer = 2;
constexpr std::uint32_t kFlagSolicited = 0x40000000;
constexpr std::uint32_t kFlagOverride = 0x20000000;
constexpr std::size_t kOptionUnit = 8;
constexpr std::size_t kAddressSize = 16;

constexpr Ipv6 kAllNodes(Ipv6::Octets{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
constexpr Mac kAllNodesMac({0x33, 0x33, 0, 0, 0, 1});

bool is_multicast(const Ipv6& address) {
  return address.octets().front() == 0xff;
}

std::uint32_t add_words(std::uint32_t sum, ByteView bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0U;
    sum += (static_cast<std::uint32_t>(bytes[i]) << 8U) | low;
  }
  return sum;
}

Result<Ipv6> take_address(Reader& reader) {
  const ByteView bytes = WEFT_TRY(reader.take(kAddressSize));
  Ipv6::Octets octets{};
  std::copy(bytes.begin(), bytes.end(), octets.begin());
  return Ipv6(octets);
}

struct Ipv6Packet {
  Ipv6 source;
  Ipv6 destination;
  ByteView icmp;
};

Result<Ipv6Packet> decode_icmpv6(ByteView packet) {
  Reader reader(packet);
  const auto version_and_flow = WEFT_TRY(reader.u32());
  const auto length = WEFT_TRY(reader.u16());
  const auto next_header = WEFT_TRY(reader.u8());
  const auto hop_limit = WEFT_TRY(reader.u8());
  if (version_and_flow >> 28U != 6 || next_header != kProtocolIcmpv6 || hop_limit != kHopLimit) {
    return Error{Errc::Invalid, "no ICMPv6 of a neighbour"};
  }
  Ipv6Packet result;
  result.source = WEFT_TRY(take_address(reader));
  result.destination = WEFT_TRY(take_address(reader));
  result.icmp = WEFT_TRY(reader.take(length));
  return result;
}

// True if the options are well-formed and none tells a link-layer address (a probe must not).
bool options_are_valid(Reader options, bool is_probe) {
  while (!options.empty()) {
    const Result<std::uint8_t> type = options.u8();
    const Result<std::uint8_t> units = options.u8();
    if (!units.ok() || units.value() == 0 || !options.take(units.value() * kOptionUnit - 2).ok()) {
      return false;
    }
    if (is_probe && type.value() == kOptionSourceLinkLayer) {
      return false;
    }
  }
  return true;
}

Result<NeighborSolicitation> decode_solicitation(ByteView bytes) {
  const Ipv6Packet packet = WEFT_TRY(decode_icmpv6(bytes));
  Reader reader(packet.icmp);
  const auto type = WEFT_TRY(reader.u8());
  const auto code = WEFT_TRY(reader.u8());
  WEFT_TRY(reader.take(6));  // The checksum, covered below, and reserved bits.
  const Ipv6 target = WEFT_TRY(take_address(reader));
  if (type != kTypeSolicitation || code != 0 || is_multicast(target) || target == Ipv6()) {
    return Error{Errc::Invalid, "no Neighbor Solicitation"};
  }
  const NeighborSolicitation result{.source = packet.source, .target = target};
  if (is_multicast(result.source) || !options_are_valid(reader, result.is_probe())
      || icmpv6_checksum(packet.source, packet.destination, packet.icmp) != 0) {
    return Error{Errc::Invalid, "malformed Neighbor Solicitation"};
  }
  return result;
}

}  // namespace

std::uint16_t icmpv6_checksum(const Ipv6& source, const Ipv6& destination, ByteView message) {
  std::uint32_t sum = add_words(0, source.octets());
  sum = add_words(sum, destination.octets());
  sum += static_cast<std::uint32_t>(message.size()) + kProtocolIcmpv6;
  sum = add_words(sum, message);
  while (sum >> 16U != 0) {
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  return static_cast<std::uint16_t>(~sum);
}

std::optional<NeighborSolicitation> parse_solicitation(ByteView packet) {
  Result<NeighborSolicitation> result = decode_solicitation(packet);
  if (!result.ok()) {
    return std::nullopt;
  }
  return result.value();
}

Bytes encode_advertisement_frame(const NeighborAdvertisement& advertisement) {
  const bool probe = advertisement.asked.is_probe();
  const Ipv6 destination = probe ? kAllNodes : advertisement.asked.source;
  const auto message = [&](std::uint16_t checksum) {
    Writer icmp;
    icmp.u8(kTypeAdvertisement).u8(0).u16(checksum);
    icmp.u32(probe ? kFlagOverride : kFlagOverride | kFlagSolicited);
    icmp.append(advertisement.target.octets());
    icmp.u8(kOptionTargetLinkLayer).u8(1).append(advertisement.owner.octets());
    return icmp.take();
  };
  const Bytes icmp = message(icmpv6_checksum(advertisement.target, destination, message(0)));

  Writer writer;
  write_ethernet({.destination = probe ? kAllNodesMac : advertisement.asker,
                  .source = advertisement.owner,
                  .type = kEtherTypeIpv6},
                 writer);
  writer.u32(6U << 28U).u16(static_cast<std::uint16_t>(icmp.size()));
  writer.u8(kProtocolIcmpv6).u8(kHopLimit);
  writer.append(advertisement.target.octets()).append(destination.octets());
  writer.append(icmp);
  return writer.take();
}

}  // namespace weft::router
