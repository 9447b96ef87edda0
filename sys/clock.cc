#include "sys/clock.h"

#include <ctime>

#include "base/assert.h"

namespace weft::sys {

TimePoint SystemClock::now() const {
  timespec time{};
  WEFT_ASSERT(::clock_gettime(CLOCK_BOOTTIME, &time) == 0);
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

Duration thread_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace weft::sys
