#include "sys/clock.h"

#include <ctime>

#include <gtest/gtest.h>

namespace weft::sys {
namespace {

TEST(SystemClock, FollowsBootTimeAndNeverGoesBack) {
  const SystemClock clock;
  timespec boot{};
  ASSERT_EQ(::clock_gettime(CLOCK_BOOTTIME, &boot), 0);

  const TimePoint first = clock.now();
  const TimePoint second = clock.now();

  EXPECT_GE(first.time_since_epoch(),
            std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec));
  EXPECT_GE(second, first);
}

}  // namespace
}  // namespace weft::sys
