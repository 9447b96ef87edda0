// The contract between a replicated state (the address ring, later names) and the mesh.
//
// The state is a CRDT that offers full() and merge(bytes) -> what was news. The mesh delivers
// payloads between direct neighbours and, hop by hop, to any reachable peer. From that a module
// builds convergence: send everything to a new neighbour, pass on only news to the others.
//
// A module appends these to its actions; agent/wiring.cc hands them to router::Mesh under the
// module's topic, and hands arriving payloads back. Delivery is at most once; order is kept only
// between direct neighbours; a payload is at most kGossipPayloadMax bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/peer_name.h"

namespace weft {

// The largest payload of one gossip message: a ring of 16,384 entries fits twice over.
inline constexpr std::size_t kGossipPayloadMax = 1U << 20U;

// Which module a payload belongs to. Part of the wire format: never renumber.
enum class Topic : std::uint8_t {
  Ring = 1,   // ipam: ring state, between neighbours.
  Ipam = 2,   // ipam: requests and answers between two peers.
  Probe = 5,  // probe and app: who watches, and reports to them.
  Ring6 = 6,  // As Ring and Ipam, of the IPv6 range.
  Ipam6 = 7,
};

// To every direct neighbour but `except` (usually where the news came from).
struct GossipAll {
  Topic topic = Topic::Ring;
  std::optional<PeerName> except;
  Bytes payload;

  friend bool operator==(const GossipAll&, const GossipAll&) = default;
};

// To one peer, routed hop by hop if it is no neighbour; dropped if it cannot be reached.
struct GossipTo {
  Topic topic = Topic::Ring;
  PeerName to;
  Bytes payload;

  friend bool operator==(const GossipTo&, const GossipTo&) = default;
};

}  // namespace weft
