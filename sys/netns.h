// Network namespaces of a process's or a thread's own: for tests that make kernel objects, and for
// trying what the kernel can.
#pragma once

#include "base/result.h"

namespace weft::sys {

// Leaves the present network and mount namespaces for new ones in which lo is up and /sys shows the
// new network. The calling process must have one thread; everything made inside vanishes with it.
// Errc::Denied without CAP_SYS_ADMIN.
Result<Ok> enter_new_namespace();

// The calling thread alone leaves its network namespace for a new one, in which lo is up and which
// vanishes with the thread. Errors as above.
Result<Ok> enter_scratch_network();

}  // namespace weft::sys
