// A network namespace of the calling process's own, for tests that make kernel objects.
#pragma once

#include "base/result.h"

namespace weft::sys {

// Leaves the present network and mount namespaces for new ones in which lo is up and /sys shows the
// new network. The calling process must have one thread; everything made inside vanishes with it.
// Errc::Denied without CAP_SYS_ADMIN.
Result<Ok> enter_new_namespace();

}  // namespace weft::sys
