// Which addresses of the ranges we own are free and which are used.
//
// Belongs to the allocator. Free space is kept as runs, so a whole /12 costs one node. It knows
// nothing of peers or owners: the ring says what is ours, the claims say who holds what.
// Some free space may be withheld: known as ours, but not to be handed out (docs/adr/0010). Some
// may be reserved for who asks for a certain address: whoever asks for any gets another. Invariant:
// ready ⊆ free ⊆ owned; every owned address that is not free is used.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ipam/span.h"

namespace weft::ipam {

class Space {
 public:
  // What somebody may use: the addresses of `within`, of which only `usable` can be handed out (the
  // rest are a network or a broadcast address).
  struct Want {
    Span within;
    Span usable;

    friend auto operator<=>(const Want&, const Want&) = default;
    friend bool operator==(const Want&, const Want&) = default;
  };

  // Precondition: not owned yet. All of it is free.
  void add(const Span& span);
  // Precondition: owned, and all of it free.
  void remove(const Span& span);

  bool is_owned(Uint128 address) const { return owned_.contains(address); }
  bool is_free(Uint128 address) const { return free_.contains(address); }
  bool is_ready(Uint128 address) const { return ready_.contains(address); }
  // From here on all that is free but this is ready.
  void withhold(IntervalSet withheld);
  // From here on these are reserved, and no others.
  void reserve(IntervalSet reserved) { reserved_ = std::move(reserved); }
  const IntervalSet& reserved() const { return reserved_; }
  // Precondition: free.
  void take(Uint128 address);
  // Precondition: owned and used.
  void give_back(Uint128 address);

  std::optional<Uint128> lowest_free(const Span& span) const { return lowest(free_, span); }
  std::optional<Uint128> lowest_ready(const Span& span) const { return lowest(ready_, span); }
  // Runs of what is free, or ready, for who asks for any address of `span`; a span of one address
  // is asked for by who wants that one.
  std::vector<Span> free_for(const Span& span) const { return open_in(free_, span); }
  bool has_ready_for(const Span& span) const {
    return span.size() == 1 ? ready_.contains(span.first) : lowest(ready_, span).has_value();
  }
  Uint128 ready_count() const { return ready_.size(); }
  // The biggest CIDR-aligned free block for somebody who runs dry: no more than half of what is
  // free there (rounded up, so the last one can be given too), the highest of equals, because we
  // hand out from below. Aligned powers of two keep the ring from fragmenting.
  std::optional<Span> donatable(const Want& want) const;

  Uint128 free_count(const Span& span) const { return free_.count_in(span); }
  Uint128 used_count(const Span& span) const {
    return owned_.count_in(span) - free_.count_in(span);
  }
  Uint128 owned_count() const { return owned_.size(); }
  Uint128 used_count() const { return owned_.size() - free_.size(); }
  const IntervalSet& owned() const { return owned_; }
  const IntervalSet& free() const { return free_; }
  IntervalSet authority() const;  // Ready and not reserved, or used.

  void check_invariants() const;

 private:
  std::vector<Span> open_in(const IntervalSet& set, const Span& span) const;
  std::optional<Uint128> lowest(const IntervalSet& set, const Span& span) const;

  IntervalSet owned_;
  IntervalSet free_;
  IntervalSet withheld_;
  IntervalSet reserved_;  // Free or not, ours or not.
  IntervalSet ready_;
};

}  // namespace weft::ipam
