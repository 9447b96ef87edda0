// IPv6 Neighbor Discovery (RFC 4861): the one question we answer, and the answer. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"

namespace weft::router {

struct NeighborSolicitation {
  Ipv6 source;  // Unspecified while the asker checks whether the address is free (RFC 4862, 5.4).
  Ipv6 target;

  bool is_probe() const { return source == Ipv6(); }

  friend bool operator==(const NeighborSolicitation&, const NeighborSolicitation&) = default;
};

// Reads an IPv6 packet. Nothing if it is not a Neighbor Solicitation that RFC 4861, 7.1.1 tells
// receivers to believe: hop limit 255, valid checksum, no extension header, well-formed options.
std::optional<NeighborSolicitation> parse_solicitation(ByteView packet);

struct NeighborAdvertisement {
  Mac owner;  // Who has the target: source of the frame and content of the option.
  Ipv6 target;
  NeighborSolicitation asked;
  Mac asker;
};

// A whole frame: to the asker, or to all nodes when the question was a probe (RFC 4861, 7.2.4).
Bytes encode_advertisement_frame(const NeighborAdvertisement& advertisement);

// The ICMPv6 checksum (RFC 4443, 2.3) of `message`, whose own checksum field counts as it stands.
std::uint16_t icmpv6_checksum(const Ipv6& source, const Ipv6& destination, ByteView message);

}  // namespace weft::router
