// An integer that means one thing.
//
//   using LinkId = StrongId<struct LinkIdTag>;
//
// Two ids of different tags do not compare, convert or mix; order is the order of the numbers.
#pragma once

#include <compare>
#include <cstdint>

namespace weft {

template <class Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(std::uint64_t value) : value_(value) {}

  constexpr std::uint64_t value() const { return value_; }

  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  friend constexpr bool operator==(StrongId, StrongId) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace weft
