#include "router/overlay/reconcile.h"

#include <iterator>
#include <utility>

namespace weft::router {
namespace {

constexpr std::uint64_t kNameLast = (std::uint64_t{1} << 48U) - 1;

RangePart name_all(const RecordStore& store, PeerName first, PeerName last) {
  return {first, last, std::nullopt, store.digest(first, last)};
}

// Cut where our own origins lie, so that each part holds about as many.
void split(const RecordStore& store, const RangePart& part, Ranges& out) {
  const Digest held = store.digest(part.first, part.last);
  const std::size_t step = (held.size() + kRangeParts - 1) / kRangeParts;
  PeerName first = part.first;
  auto at = held.begin();
  for (std::size_t done = 0; done < held.size(); done += step) {
    const bool is_last = done + step >= held.size();
    if (!is_last) {
      std::advance(at, step);
    }
    const PeerName last = is_last ? part.last : PeerName(at->first.number() - 1);
    out.parts.push_back({first, last, store.range(first, last).fingerprint, {}});
    first = PeerName(last.number() + (is_last ? 0 : 1));
  }
}

void compare(const RecordStore& store, const RangePart& theirs, Difference& out) {
  const Digest ours = store.digest(theirs.first, theirs.last);
  for (const auto& [origin, version] : ours) {
    const auto at = theirs.items.find(origin);
    const OriginVersion known = at == theirs.items.end() ? OriginVersion{} : at->second;
    if (known < version) {
      out.ahead[origin] = known;
    }
  }
  for (const auto& [origin, version] : theirs.items) {
    const auto at = ours.find(origin);
    const OriginVersion held = at == ours.end() ? OriginVersion{} : at->second;
    if (held < version) {
      out.behind[origin] = held;
    }
  }
}

}  // namespace

Ranges open_reconciliation(const RecordStore& store) {
  const PeerName first(1);
  const PeerName last(kNameLast);
  if (store.origin_count() <= kRangeItemsMax) {
    return {{name_all(store, first, last)}};
  }
  return {{{first, last, store.range(first, last).fingerprint, {}}}};
}

Difference reconcile(const RecordStore& store, const Ranges& theirs) {
  Difference out;
  for (const RangePart& part : theirs.parts) {
    if (!part.fingerprint) {
      compare(store, part, out);
      continue;
    }
    const RecordStore::Range ours = store.range(part.first, part.last);
    if (ours.fingerprint == *part.fingerprint || out.reply.parts.size() >= kRangesMax) {
      continue;  // What does not fit into this exchange is left for the next one.
    }
    if (ours.count <= kRangeItemsMax) {
      out.reply.parts.push_back(name_all(store, part.first, part.last));
    } else {
      split(store, part, out.reply);
    }
  }
  return out;
}

}  // namespace weft::router
