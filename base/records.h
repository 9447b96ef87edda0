// Facts a peer states about itself: each record has one origin, which alone may change it. The mesh
// replicates them to every peer (router/overlay/records.h); what a value means is its module's
// business.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/peer_name.h"

namespace weft {

// Part of the wire format: never renumber.
enum class RecordKind : std::uint8_t {
  Peer = 1,      // router: nickname, addresses, key of the origin; one per peer, empty key.
  Endpoint = 2,  // datapath: key = MAC of a container's interface, value = its addresses.
  Name = 3,      // dns: key = part and owner, value = names with their addresses.
  Links = 4,     // router: whom the origin is connected to; one per peer, empty key. Stays inside.
};

struct RecordKey {
  RecordKind kind = RecordKind::Peer;
  Bytes key;

  friend auto operator<=>(const RecordKey&, const RecordKey&) = default;
  friend bool operator==(const RecordKey&, const RecordKey&) = default;
};

// `origin` now says `value` under `key`; nothing means it withdrew the record or is gone for good.
struct RecordChanged {
  PeerName origin;
  RecordKey key;
  std::optional<Bytes> value;

  friend bool operator==(const RecordChanged&, const RecordChanged&) = default;
};

// What we state ourselves, or take back.
struct PublishRecord {
  RecordKey key;
  std::optional<Bytes> value;

  friend bool operator==(const PublishRecord&, const PublishRecord&) = default;
};

}  // namespace weft
