#include "ipam/span.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::ipam {
namespace {

// Whether a run that ends at `last` reaches one that starts at `first`, or would be adjacent.
bool reaches(Uint128 last, Uint128 first) {
  return first <= last || first - last == 1;
}

}  // namespace

Span Span::of(const Cidr& block) {
  return {number_of(block.first()), number_of(block.last())};
}

Result<Ok> check_subnet(std::string_view what, const Cidr& subnet) {
  const int prefix_max = subnet.address().bits() - kHostBitsMin;
  if (!subnet.is_network() || subnet.prefix() > prefix_max) {
    return Error{Errc::Invalid,
                 fmt::format("{} {} (expected a network of at least 4 addresses, such as "
                             "{}/{})",
                             what,
                             subnet.to_string(),
                             subnet.first().to_string(),
                             std::min<int>(subnet.prefix(), prefix_max))};
  }
  return Ok{};
}

Span hosts_of(const Cidr& subnet) {
  WEFT_ASSERT(subnet.prefix() + kHostBitsMin <= subnet.address().bits());
  const Span all = Span::of(subnet);
  return {all.first + 1, subnet.is_v4() ? all.last - 1 : all.last};
}

std::optional<Span> Span::intersect(const Span& other) const {
  const Span both{std::max(first, other.first), std::min(last, other.last)};
  if (both.first > both.last) {
    return std::nullopt;
  }
  return both;
}

std::string Span::to_string() const {
  return fmt::format("{}-{}", ip_of(first).to_string(), ip_of(last).to_string());
}

IntervalSet::IntervalSet(const std::vector<Span>& spans) {
  for (const Span& span : spans) {
    add(span);
  }
}

IntervalSet::Runs::const_iterator IntervalSet::from(Uint128 address) const {
  auto it = spans_.upper_bound(address);
  if (it != spans_.begin() && std::prev(it)->second >= address) {
    --it;
  }
  return it;
}

void IntervalSet::add(const Span& span) {
  WEFT_ASSERT(span.first <= span.last);
  Span joined = span;
  // Starting one address early also finds the run that ends right before the span.
  auto it = from(span.first == 0 ? 0 : span.first - 1);
  while (it != spans_.end() && reaches(span.last, it->first)) {
    joined.first = std::min(joined.first, it->first);
    joined.last = std::max(joined.last, it->second);
    size_ -= Span{it->first, it->second}.size();
    it = spans_.erase(it);
  }
  spans_.emplace(joined.first, joined.last);
  size_ += joined.size();
}

void IntervalSet::remove(const Span& span) {
  WEFT_ASSERT(span.first <= span.last);
  auto it = from(span.first);
  while (it != spans_.end() && it->first <= span.last) {
    const Span run{it->first, it->second};
    size_ -= run.size();
    it = spans_.erase(it);
    if (run.first < span.first) {
      spans_.emplace(run.first, span.first - 1);
      size_ += Span{run.first, span.first - 1}.size();
    }
    if (run.last > span.last) {
      it = spans_.emplace(span.last + 1, run.last).first;
      size_ += Span{span.last + 1, run.last}.size();
      break;
    }
  }
}

bool IntervalSet::contains(Uint128 address) const {
  return contains(Span{address, address});
}

bool IntervalSet::contains(const Span& span) const {
  const auto it = from(span.first);
  return it != spans_.end() && it->first <= span.first && span.last <= it->second;
}

Uint128 IntervalSet::count_in(const Span& span) const {
  Uint128 count = 0;
  for (auto it = from(span.first); it != spans_.end() && it->first <= span.last; ++it) {
    count += Span{std::max(it->first, span.first), std::min(it->second, span.last)}.size();
  }
  return count;
}

std::optional<Uint128> IntervalSet::lowest_in(const Span& span) const {
  const auto it = from(span.first);
  if (it == spans_.end() || it->first > span.last) {
    return std::nullopt;
  }
  return std::max(it->first, span.first);
}

std::vector<Span> IntervalSet::spans_in(const Span& span) const {
  std::vector<Span> found;
  for (auto it = from(span.first); it != spans_.end() && it->first <= span.last; ++it) {
    found.push_back({std::max(it->first, span.first), std::min(it->second, span.last)});
  }
  return found;
}

std::vector<Span> IntervalSet::spans() const {
  return spans_in({0, kUint128Max});
}

std::vector<Span> IntervalSet::minus(const IntervalSet& other) const {
  IntervalSet rest = *this;
  for (const auto& [first, last] : other.spans_) {
    rest.remove({first, last});
  }
  return rest.spans();
}

}  // namespace weft::ipam
