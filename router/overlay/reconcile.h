// How two stores find out where they differ, at a cost that follows the difference and not the
// size: range-based set reconciliation (A. Meyer, "Range-Based Set Reconciliation", 2022), a Merkle
// trie whose nodes are made up on the spot from the fingerprints of ranges of names.
//
// One side opens with the fingerprint of everything. Whoever receives a range that differs answers
// with fingerprints of its parts or, where little is left, with what it holds; whoever receives
// that knows what to send and what to ask for. About log16(peers) messages.
//
// Pure, without state: a message that is lost, late or repeated costs a repetition and no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "router/overlay/records.h"

namespace weft::router {

// Into so many parts a range is cut; up to twice as many origins are named outright, which is what
// the fingerprints of the parts would cost.
inline constexpr std::size_t kRangeParts = 16;
inline constexpr std::size_t kRangeItemsMax = 2 * kRangeParts;
// Parts of one message: an exchange between two stores that share nothing, at the size where each
// part is named outright.
inline constexpr std::size_t kRangesMax = 1024;

struct RangePart {
  PeerName first;  // Both inclusive.
  PeerName last;
  std::optional<std::uint64_t> fingerprint;  // Without: `items` is all the sender holds there.
  Digest items;

  friend bool operator==(const RangePart&, const RangePart&) = default;
};

struct Ranges {
  std::vector<RangePart> parts;

  friend bool operator==(const Ranges&, const Ranges&) = default;
};

struct Difference {
  Digest ahead;   // Origins of which we hold more, with the version the other holds.
  Digest behind;  // Origins of which the other holds more, with the version we hold.
  Ranges reply;   // To be sent, unless empty.
};

Ranges open_reconciliation(const RecordStore& store);
Difference reconcile(const RecordStore& store, const Ranges& theirs);

}  // namespace weft::router
