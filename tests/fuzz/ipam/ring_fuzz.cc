// Two rings of the cluster from arbitrary bytes: what decodes is valid, encodes to the same ring
// and merges to the same ring in either order unless the two contradict each other. Or a part of a
// ring and a ring.
//
// Input: u16 length of the first payload, the first payload, the second payload.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <variant>

#include "base/assert.h"
#include "base/bytes.h"
#include "ipam/messages.h"

namespace {

using weft::ByteView;
using weft::ipam::Ring;

void check_merge(const Ring& a, const Ring& b) {
  Ring left = a;
  Ring right = b;
  const auto to_left = left.merge(b);
  const auto to_right = right.merge(a);
  WEFT_ASSERT(to_left.ok() == to_right.ok());
  left.check_invariants();
  if (!to_left.ok()) {
    WEFT_ASSERT(left == a);
    return;
  }
  WEFT_ASSERT(to_left.value().conflicts.size() == to_right.value().conflicts.size());
  if (to_left.value().conflicts.empty()) {
    WEFT_ASSERT(left == right);
    WEFT_ASSERT(to_left.value().they_lack_news == !to_right.value().changed.empty());
  }
  const auto again = left.merge(b);
  WEFT_ASSERT(again.ok());
  WEFT_ASSERT(again.value().changed.empty());
}

// A part that has all of a ring merges as the ring does; any other leaves a ring valid, and as it
// was if it is refused.
void check_part(const Ring& ours, const Ring::Part& part) {
  Ring merged = ours;
  const bool is_merged = merged.merge(part).ok();
  merged.check_invariants();
  WEFT_ASSERT(is_merged || merged == ours);
  WEFT_ASSERT(!is_merged || !merged.merge(part).value().they_lack_news || !ours.has(part));
}

void check_whole_part(const Ring& ours, const Ring& theirs) {
  std::set<weft::ipam::Uint128> tokens;
  for (const auto& [token, entry] : theirs.entries()) {
    tokens.insert(token);
  }
  Ring by_part = ours;
  Ring by_whole = ours;
  const Ring::Part part = theirs.part(tokens);
  const bool is_merged = by_part.merge(part).ok();
  check_part(ours, part);
  if (ours.basis() == theirs.basis()) {
    WEFT_ASSERT(by_whole.merge(theirs).ok() == is_merged);
    WEFT_ASSERT(by_part == by_whole);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::Reader reader(ByteView(data, size));
  const auto length = reader.u16();
  if (!length.ok()) {
    return 0;
  }
  const auto first = reader.take(std::min<std::size_t>(length.value(), reader.remaining()));
  const auto a = weft::ipam::decode_ring_gossip(first.value());
  if (!a.ok()) {
    return 0;
  }
  if (const auto* claims = std::get_if<weft::ipam::ElectorState>(&a.value())) {
    WEFT_ASSERT(weft::ipam::decode_ring_gossip(weft::ipam::encode(*claims)).value() == a.value());
    return 0;
  }
  if (std::holds_alternative<weft::ipam::ElectorNews>(a.value())) {
    return 0;
  }
  const auto b = weft::ipam::decode_ring_gossip(reader.rest());
  if (const auto* part = std::get_if<Ring::Part>(&a.value())) {
    WEFT_ASSERT(weft::ipam::decode_ring_gossip(weft::ipam::encode(*part)).value() == a.value());
    if (b.ok() && std::holds_alternative<Ring>(b.value())) {
      check_part(std::get<Ring>(b.value()), *part);
    }
    return 0;
  }
  const Ring& ring = std::get<Ring>(a.value());
  ring.check_invariants();
  WEFT_ASSERT(weft::ipam::decode_ring_gossip(weft::ipam::encode(ring)).value() == a.value());
  check_merge(ring, ring);
  if (b.ok() && std::holds_alternative<Ring>(b.value())) {
    check_merge(ring, std::get<Ring>(b.value()));
    check_whole_part(ring, std::get<Ring>(b.value()));
  }
  return 0;
}
