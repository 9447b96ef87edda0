// `weave attach-bridge`: another bridge of this host, such as Docker's own, joined to weft's, so
// that what hangs on it is on the network, too. Until `weave reset`, or `ip link del`.
#pragma once

#include <string>

#include "base/result.h"

namespace weft::agent {

// Errc::NotFound if there is no such bridge as `ours` or `theirs`. Nothing to do if they are
// joined.
Result<Ok> attach_bridge(const std::string& ours, const std::string& theirs);

}  // namespace weft::agent
