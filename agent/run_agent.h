// `weft agent`: prepares the host, runs the wiring until a signal or the control API ends it.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/config.h"

namespace weft::agent {

// Returns when the agent has ended. Kernel objects stay, so that containers keep talking.
ExitCode run_agent(const Config& config);

}  // namespace weft::agent
