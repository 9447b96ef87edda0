// What allocators say to each other: values here, Protobuf on the wire (proto/ipam.proto).
//
// decode_* accept any bytes and return only what keeps every invariant and limit; the allocator
// trusts their results. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "ipam/consensus.h"
#include "ipam/council/messages.h"
#include "ipam/ring.h"
#include "ipam/space.h"

namespace weft::ipam {

// The longest name of a holder: a container id has 64 characters; pools and reserved owners are
// shorter. Generous, because other orchestrators bring their own.
inline constexpr std::size_t kOwnerSizeMax = 256;

struct SpaceRequest {
  Space::Want want;

  friend bool operator==(const SpaceRequest&, const SpaceRequest&) = default;
};

struct ClaimRequest {
  Uint128 address = 0;

  friend bool operator==(const ClaimRequest&, const ClaimRequest&) = default;
};

// The donor's ring, in which the block belongs to whoever asked.
struct Grant {
  Ring ring;

  friend bool operator==(const Grant&, const Grant&) = default;
};

struct Denial {
  // Part of the wire format: never renumber.
  enum class Reason : std::uint8_t { NoSpace = 1, InUse = 2, NotOwner = 3 };
  Reason reason = Reason::NoSpace;
  std::string holder;  // With InUse.

  friend bool operator==(const Denial&, const Denial&) = default;
};

// "Is this your ring too?" 0 if the sender has none.
struct RingDigest {
  std::uint64_t digest = 0;

  friend bool operator==(const RingDigest&, const RingDigest&) = default;
};

// Topic::Ipam. The id belongs to the asker of space; all else has id 0.
struct PeerMessage {
  std::uint64_t id = 0;
  std::variant<SpaceRequest,
               ClaimRequest,
               Grant,
               Denial,
               RingDigest,
               Register,
               Registered,
               Prepare,
               Promise,
               Accept,
               Accepted,
               Rebuff>
      body;

  friend bool operator==(const PeerMessage&, const PeerMessage&) = default;
};

// All claims that the sender knows, and what range they are about; none: not said.
struct ElectorState {
  ElectorClaims claims;
  std::optional<Cidr> range{};

  friend bool operator==(const ElectorState&, const ElectorState&) = default;
};

// Claims that have changed; others may be known.
struct ElectorNews {
  ElectorClaims claims;
  std::optional<Cidr> range{};

  friend bool operator==(const ElectorNews&, const ElectorNews&) = default;
};

// Topic::Ring.
using RingGossip = std::variant<ElectorState, ElectorNews, Ring, Ring::Part>;

Bytes encode(const Ring& ring);
Bytes encode(const Ring::Part& part);
Bytes encode(const ElectorState& state);
Bytes encode(const ElectorNews& news);
Bytes encode(const PeerMessage& message);
Result<RingGossip> decode_ring_gossip(ByteView payload);
Result<PeerMessage> decode_peer_message(ByteView payload);

}  // namespace weft::ipam
