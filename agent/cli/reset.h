// `weft reset`: ends the agent and removes every kernel object and file of weft from this host.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"

namespace weft::agent {

ExitCode run_reset(const Settings& settings);

}  // namespace weft::agent
