#include "sys/bulk/thread_priority.h"

#include <cstdint>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::sys {
namespace {

// Nine tenths of a processor if one ordinary thread wants it as well (docs/adr/0026).
constexpr int kPreferredNiceness = -10;
// The longest there is. A thread that wakes and has the default of some milliseconds goes first as
// long as it has had less than its share (docs/adr/0042).
constexpr std::uint64_t kYieldingSliceNs = 100'000'000;

// struct sched_attr, first version (sched_setattr(2)); the C library has neither it nor the call.
struct Attributes {
  std::uint32_t size = 48;
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t niceness = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 0;  // 0: the default. Linux before 6.12 ignores it.
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

bool set_thread_priority(ThreadPriority priority) {
  Attributes wanted;
  if (priority != ThreadPriority::Usual) {
    wanted.niceness = kPreferredNiceness;
  }
  if (priority == ThreadPriority::Yielding) {
    wanted.slice_ns = kYieldingSliceNs;
  }
  return ::syscall(SYS_sched_setattr, 0, &wanted, 0) == 0;
}

}  // namespace weft::sys
