// What was counted between two looks, as rates. Pure.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace weft::probe {

inline std::uint64_t per_second(std::uint64_t amount, Duration elapsed) {
  if (elapsed <= Duration::zero()) {
    return 0;
  }
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return static_cast<std::uint64_t>(static_cast<double>(amount) / seconds);
}

// Of one CPU.
inline double percent_of(Duration used, Duration elapsed) {
  if (elapsed <= Duration::zero() || used < Duration::zero()) {
    return 0;
  }
  constexpr double kPercent = 100;
  return kPercent * static_cast<double>(used.count()) / static_cast<double>(elapsed.count());
}

}  // namespace weft::probe
