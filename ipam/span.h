// A run of IPv4 addresses, both ends included, as host-order numbers; and sets of such runs.
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
#include <vector>

#include "base/address.h"

namespace weft::ipam {

struct Span {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  // Precondition: an IPv4 block.
  static Span of(const Cidr& block);

  std::uint64_t size() const { return std::uint64_t{last} - first + 1; }
  bool contains(std::uint32_t address) const { return first <= address && address <= last; }
  bool contains(const Span& other) const { return first <= other.first && other.last <= last; }
  std::optional<Span> intersect(const Span& other) const;
  std::string to_string() const;

  friend auto operator<=>(const Span&, const Span&) = default;
  friend bool operator==(const Span&, const Span&) = default;
};

class IntervalSet {
 public:
  IntervalSet() = default;
  explicit IntervalSet(const std::vector<Span>& spans);

  void add(const Span& span);     // Union.
  void remove(const Span& span);  // Difference.

  bool contains(std::uint32_t address) const;
  bool contains(const Span& span) const;
  std::uint64_t size() const { return size_; }
  // How many members lie inside `span`.
  std::uint64_t count_in(const Span& span) const;
  std::optional<std::uint32_t> lowest_in(const Span& span) const;
  // The runs, clipped to `span`, ascending.
  std::vector<Span> spans_in(const Span& span) const;
  std::vector<Span> spans() const;
  std::size_t span_count() const { return spans_.size(); }
  // Members of this set that `other` lacks.
  std::vector<Span> minus(const IntervalSet& other) const;

  friend bool operator==(const IntervalSet&, const IntervalSet&) = default;

 private:
  using Runs = std::map<std::uint32_t, std::uint32_t>;  // First → last.

  // The first run that ends at or after `address`.
  Runs::const_iterator from(std::uint32_t address) const;

  Runs spans_;
  std::uint64_t size_ = 0;
};

}  // namespace weft::ipam
