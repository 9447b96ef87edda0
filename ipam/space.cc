#include "ipam/space.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/assert.h"

namespace weft::ipam {
namespace {

// The highest aligned block of `size` addresses, a power of two, inside `run`.
std::optional<Span> highest_block(const Span& run, Uint128 size) {
  if (run.size() < size) {
    return std::nullopt;
  }
  const Uint128 end = run.last + 1;
  const Uint128 first = (end / size) * size - size;
  if (end / size == 0 || first < run.first) {
    return std::nullopt;
  }
  return Span{first, first + size - 1};
}

// The largest power of two that is no larger than `count`. Precondition: there is one.
Uint128 power_below(Uint128 count) {
  const auto high = static_cast<std::uint64_t>(count >> 64U);
  return high != 0 ? Uint128{std::bit_floor(high)} << 64U
                   : Uint128{std::bit_floor(static_cast<std::uint64_t>(count))};
}

}  // namespace

void Space::add(const Span& span) {
  WEFT_ASSERT(owned_.count_in(span) == 0);
  owned_.add(span);
  free_.add(span);
  ready_.add(span);
  for (const Span& part : withheld_.spans_in(span)) {
    ready_.remove(part);
  }
}

void Space::remove(const Span& span) {
  WEFT_ASSERT(owned_.contains(span));
  WEFT_ASSERT(free_.contains(span));
  owned_.remove(span);
  free_.remove(span);
  ready_.remove(span);
}

void Space::withhold(IntervalSet withheld) {
  withheld_ = std::move(withheld);
  ready_ = free_;
  for (const Span& span : withheld_.spans()) {
    ready_.remove(span);
  }
}

void Space::take(Uint128 address) {
  WEFT_ASSERT(free_.contains(address));
  free_.remove({address, address});
  ready_.remove({address, address});
}

void Space::give_back(Uint128 address) {
  WEFT_ASSERT(owned_.contains(address));
  WEFT_ASSERT(!free_.contains(address));
  free_.add({address, address});
  if (!withheld_.contains(address)) {
    ready_.add({address, address});
  }
}

std::vector<Span> Space::open_in(const IntervalSet& set, const Span& span) const {
  std::vector<Span> runs = set.spans_in(span);
  return reserved_.size() == 0 || span.size() == 1 ? runs : IntervalSet(runs).minus(reserved_);
}

std::optional<Uint128> Space::lowest(const IntervalSet& set, const Span& span) const {
  if (reserved_.size() == 0) {
    return set.lowest_in(span);
  }
  const std::vector<Span> runs = IntervalSet(set.spans_in(span)).minus(reserved_);
  return runs.empty() ? std::nullopt : std::optional(runs.front().first);
}

std::optional<Span> Space::donatable(const Want& want) const {
  const std::vector<Span> runs = open_in(free_, want.within);
  Uint128 free = 0;
  for (const Span& run : runs) {
    free += run.size();
  }
  if (free == 0) {
    return std::nullopt;
  }
  for (Uint128 size = power_below((free + 1) / 2); size > 0; size /= 2) {
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
      const auto block = highest_block(*run, size);
      if (block && block->intersect(want.usable)) {
        return block;
      }
    }
  }
  // Only blocks of one address can be unusable, so nothing but those is left. The highest of a run
  // may be the broadcast address while its neighbour could be used.
  const auto usable = lowest(free_, want.usable);
  if (!usable || !want.within.contains(*usable)) {
    return std::nullopt;
  }
  return Span{*usable, *usable};
}

IntervalSet Space::authority() const {
  IntervalSet all(owned_.minus(free_));
  for (const Span& span : ready_.minus(reserved_)) {
    all.add(span);
  }
  return all;
}

void Space::check_invariants() const {
  WEFT_ASSERT(free_.minus(owned_).empty());
  WEFT_ASSERT(ready_.minus(free_).empty());
}

}  // namespace weft::ipam
