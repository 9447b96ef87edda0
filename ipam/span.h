// A run of addresses of either family, both ends included, as numbers; and sets of such runs.
//
// IntervalSet keeps its runs disjoint and never adjacent, so its size is the number of gaps, not of
// addresses: a whole free /12 is one node. Pure values.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "ipam/number.h"

namespace weft::ipam {

struct Span {
  Uint128 first = 0;
  Uint128 last = 0;

  static Span of(const Cidr& block);

  // Precondition: not all numbers there are.
  Uint128 size() const { return last - first + 1; }
  bool contains(Uint128 address) const { return first <= address && address <= last; }
  bool contains(const Span& other) const { return first <= other.first && other.last <= last; }
  std::optional<Span> intersect(const Span& other) const;
  std::string to_string() const;

  friend auto operator<=>(const Span&, const Span&) = default;
  friend bool operator==(const Span&, const Span&) = default;
};

// Network, broadcast and two hosts: the bits of the smallest subnet in which one can choose.
inline constexpr std::uint8_t kHostBitsMin = 2;

// Errc::Invalid, calling it `what`, unless it is a network of at least four addresses.
Result<Ok> check_subnet(std::string_view what, const Cidr& subnet);
// The addresses of a subnet that a host can have: all but the first (network of IPv4; any router of
// IPv6, RFC 4291 section 2.6.1) and, of IPv4, the last (broadcast). Precondition: at least
// kHostBitsMin host bits.
Span hosts_of(const Cidr& subnet);

class IntervalSet {
 public:
  IntervalSet() = default;
  explicit IntervalSet(const std::vector<Span>& spans);

  void add(const Span& span);     // Union.
  void remove(const Span& span);  // Difference.

  bool contains(Uint128 address) const;
  bool contains(const Span& span) const;
  Uint128 size() const { return size_; }
  // How many members lie inside `span`.
  Uint128 count_in(const Span& span) const;
  std::optional<Uint128> lowest_in(const Span& span) const;
  // The runs, clipped to `span`, ascending.
  std::vector<Span> spans_in(const Span& span) const;
  std::vector<Span> spans() const;
  std::size_t span_count() const { return spans_.size(); }
  // Members of this set that `other` lacks.
  std::vector<Span> minus(const IntervalSet& other) const;

  friend bool operator==(const IntervalSet&, const IntervalSet&) = default;

 private:
  using Runs = std::map<Uint128, Uint128>;  // First → last.

  // The first run that ends at or after `address`.
  Runs::const_iterator from(Uint128 address) const;

  Runs spans_;
  Uint128 size_ = 0;
};

}  // namespace weft::ipam
