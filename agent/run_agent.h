// `weft agent`: prepares the host, runs the wiring until a signal or the control API ends it.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/config.h"

namespace weft::agent {

// Returns when the agent has ended. Kernel objects stay, so that containers keep talking.
ExitCode run_agent(const Config& config);

// --print-peer-name: the name of the agent that runs, else what its next start would take, from the
// same sources. Nothing is made, and no name is drawn.
ExitCode print_peer_name(const Config& config);

}  // namespace weft::agent
