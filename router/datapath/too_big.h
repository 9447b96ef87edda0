// What to do with a frame that is larger than its path carries: tell its sender (ICMP, RFC 792 and
// RFC 1191; ICMPv6, RFC 4443), or cut it into fragments (RFC 791). Pure; total for any frame.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace weft::router {

// The answer to the sender of an IPv4 packet that must not be fragmented, or of any IPv6 packet:
// packets of at most `mtu` octets, please. It comes from the packet's destination, as there is no
// router between. Nothing for what must not be answered: other protocols, ICMP errors, groups (of
// IPv4), later fragments, headers that are cut short.
std::optional<Bytes> too_big_answer(ByteView frame, std::size_t mtu);

// An IPv4 packet that may be fragmented, in frames of at most `frame_max` octets; empty if it may
// not, is no IPv4, or `frame_max` leaves no room. VLAN tags are not looked behind.
std::vector<Bytes> fragment(ByteView frame, std::size_t frame_max);

}  // namespace weft::router
