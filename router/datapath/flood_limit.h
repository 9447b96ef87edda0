// A token bucket: so many frames per second, with a burst of one second's worth. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "base/time.h"

namespace weft::router {

class FloodLimit {
 public:
  FloodLimit(std::uint32_t rate_max, TimePoint now)
      : cost_(kCreditMax / static_cast<std::int64_t>(rate_max)),
        credit_(kCreditMax),
        updated_(now) {
    WEFT_ASSERT(rate_max > 0);
  }

  // True if one more frame may pass now.
  bool take(TimePoint now) {
    credit_ = std::min(kCreditMax, credit_ + std::max(Duration::zero(), now - updated_));
    updated_ = std::max(updated_, now);
    if (credit_ < cost_) {
      return false;
    }
    credit_ -= cost_;
    return true;
  }

 private:
  static constexpr Duration kCreditMax = std::chrono::seconds(1);

  Duration cost_;
  Duration credit_;  // Time not yet spent; a frame costs its share of a second.
  TimePoint updated_;
};

}  // namespace weft::router
