// What this process takes of the host, from /proc/self.
#pragma once

#include <optional>

#include "agent/status.h"

namespace weft::agent {

std::optional<ProcessUsage> read_process_usage();

}  // namespace weft::agent
