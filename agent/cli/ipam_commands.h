// `weft prime` and `weft rmpeer`.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"

namespace weft::agent {

// Waits until addresses can be handed out.
ExitCode run_prime(const Settings& settings);
// Takes over the addresses of dead peers and says how many.
ExitCode run_rmpeer(const Settings& settings);

}  // namespace weft::agent
