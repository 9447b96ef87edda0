// The machine's monotonic clock as a TimePoint source. The only now() in the product.
#pragma once

#include "base/time.h"

namespace weft::sys {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

// CLOCK_BOOTTIME: goes on while the machine sleeps.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
};

// CPU time the calling thread has used.
Duration thread_cpu_time();

}  // namespace weft::sys
