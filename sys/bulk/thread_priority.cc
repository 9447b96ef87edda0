#include "sys/bulk/thread_priority.h"

#include <sys/resource.h>

namespace weft::sys {
namespace {

// Nine tenths of a processor if one ordinary thread wants it as well (docs/adr/0026).
constexpr int kPreferredNiceness = -10;

}  // namespace

bool set_thread_priority(ThreadPriority priority) {
  const int niceness = priority == ThreadPriority::Preferred ? kPreferredNiceness : 0;
  // On Linux 0 is the calling thread, not its process (setpriority(2), C library/kernel
  // differences).
  return ::setpriority(PRIO_PROCESS, 0, niceness) == 0;
}

}  // namespace weft::sys
