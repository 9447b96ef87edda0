// Rings, and what they are made of, as proto/ipam.proto has them.
//
// to_* accept whatever parses and return only what keeps every invariant and limit. For
// ipam/messages.cc. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <google/protobuf/repeated_field.h>

#include "base/peer_name.h"
#include "base/result.h"
#include "ipam/council/charter.h"
#include "ipam/ring.h"
#include "ipam/wire/addresses.h"

namespace weft::wire::ipam {
class Ballot;
class Charter;
class Ring;
class RingPart;
}  // namespace weft::wire::ipam

namespace weft::ipam {

Result<PeerName> to_peer(std::uint64_t number);
// 1 to kElectorMax.
Result<std::vector<PeerName>> ascending_peers(
    const google::protobuf::RepeatedField<std::uint64_t>& numbers);

void fill(const Ballot& ballot, wire::ipam::Ballot& out);
Result<Ballot> to_ballot(const wire::ipam::Ballot& in);

void fill(const Charter& charter, wire::ipam::Charter& out);
Result<Charter> to_charter(const wire::ipam::Charter& in);

// The fields of a range, in a Ring and in an Election.
template <class Message>
void fill_range(const Cidr& range, Message& out) {
  const Uint128 first = Span::of(range).first;
  if (range.is_v4()) {
    out.set_range_first(v4_of(first));
  } else {
    append_v6(first, *out.mutable_range_first_v6());
  }
  out.set_range_prefix(range.prefix());
}
Result<Cidr> to_range(std::uint32_t first, std::string_view first_v6, std::uint32_t prefix);

void fill(const Ring& ring, wire::ipam::Ring& out);
Result<Ring> to_ring(const wire::ipam::Ring& in);

void fill(const Ring::Part& part, wire::ipam::RingPart& out);
Result<Ring::Part> to_part(const wire::ipam::RingPart& in);

}  // namespace weft::ipam
