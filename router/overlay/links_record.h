// The value of a Links record: whom its origin is connected to, what each link costs, and whom it
// accuses of silence (router/overlay/liveness.h).
//
//   u8 layout, varint life, varint count, count × (u48 peer, u8 cost),
//                           varint count, count × (u48 peer, varint incarnation, varint life)
//
// A layout of our own (varints as in packed.h) and not Protobuf: in a large cluster these are most
// of what is ever sent, and every path computation reads all of them. Names ascend in both lists.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/result.h"

namespace weft::router {

// Neighbours and accused a peer lists: links_max of any sane configuration.
inline constexpr std::size_t kNeighboursMax = 1024;

// Which stretch of a peer's life is meant: it begins a new one whenever it refutes an accusation.
struct Life {
  std::uint32_t incarnation = 0;  // Runs of an agent, counted from 1.
  std::uint32_t count = 0;

  friend auto operator<=>(const Life&, const Life&) = default;
  friend bool operator==(const Life&, const Life&) = default;
};

struct LinksRecord {
  struct Link {
    PeerName to;
    std::uint8_t cost = 0;  // A level of router/overlay/link_meter.h.

    friend bool operator==(const Link&, const Link&) = default;
  };
  struct Accusation {
    PeerName peer;
    Life life;

    friend bool operator==(const Accusation&, const Accusation&) = default;
  };
  std::uint32_t life = 0;  // Of the origin, in its current incarnation.
  std::vector<Link> links;
  std::vector<Accusation> accusations;

  friend bool operator==(const LinksRecord&, const LinksRecord&) = default;
};

Bytes encode(const LinksRecord& record);
Result<LinksRecord> decode_links(ByteView bytes);
// The same into a record whose memory is used again; on an Error it is left half filled.
Result<Ok> decode_links(ByteView bytes, LinksRecord& out);
// How many links it lists, for who wants to know no more; 0 if it does not decode.
std::size_t link_count(ByteView bytes);

}  // namespace weft::router
