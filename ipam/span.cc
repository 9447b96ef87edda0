#include "ipam/span.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::ipam {

Span Span::of(const Cidr& block) {
  WEFT_ASSERT(block.is_v4());
  return {block.first().v4().number(), block.last().v4().number()};
}

std::optional<Span> Span::intersect(const Span& other) const {
  const Span both{std::max(first, other.first), std::min(last, other.last)};
  if (both.first > both.last) {
    return std::nullopt;
  }
  return both;
}

std::string Span::to_string() const {
  return fmt::format("{}-{}", Ipv4(first).to_string(), Ipv4(last).to_string());
}

IntervalSet::IntervalSet(const std::vector<Span>& spans) {
  for (const Span& span : spans) {
    add(span);
  }
}

IntervalSet::Runs::const_iterator IntervalSet::from(std::uint32_t address) const {
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
  while (it != spans_.end() && std::uint64_t{it->first} <= std::uint64_t{span.last} + 1) {
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

bool IntervalSet::contains(std::uint32_t address) const {
  return contains(Span{address, address});
}

bool IntervalSet::contains(const Span& span) const {
  const auto it = from(span.first);
  return it != spans_.end() && it->first <= span.first && span.last <= it->second;
}

std::uint64_t IntervalSet::count_in(const Span& span) const {
  std::uint64_t count = 0;
  for (auto it = from(span.first); it != spans_.end() && it->first <= span.last; ++it) {
    count += Span{std::max(it->first, span.first), std::min(it->second, span.last)}.size();
  }
  return count;
}

std::optional<std::uint32_t> IntervalSet::lowest_in(const Span& span) const {
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
  return spans_in({0, UINT32_MAX});
}

std::vector<Span> IntervalSet::minus(const IntervalSet& other) const {
  IntervalSet rest = *this;
  for (const auto& [first, last] : other.spans_) {
    rest.remove({first, last});
  }
  return rest.spans();
}

}  // namespace weft::ipam
