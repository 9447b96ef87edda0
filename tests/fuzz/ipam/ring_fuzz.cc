// Two rings of the cluster from arbitrary bytes: what decodes is valid, encodes to the same ring
// and merges to the same ring in either order unless the two contradict each other.
//
// Input: u16 length of the first payload, the first payload, the second payload.
#include <algorithm>
#include <cstddef>
#include <cstdint>
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
  if (const auto* claims = std::get_if<weft::ipam::ElectorClaims>(&a.value())) {
    WEFT_ASSERT(weft::ipam::decode_ring_gossip(weft::ipam::encode(*claims)).value() == a.value());
    return 0;
  }
  const Ring& ring = std::get<Ring>(a.value());
  ring.check_invariants();
  WEFT_ASSERT(weft::ipam::decode_ring_gossip(weft::ipam::encode(ring)).value() == a.value());
  check_merge(ring, ring);
  const auto b = weft::ipam::decode_ring_gossip(reader.rest());
  if (b.ok() && std::holds_alternative<Ring>(b.value())) {
    check_merge(ring, std::get<Ring>(b.value()));
  }
  return 0;
}
