// `weft launch`: starts `weft agent` in the background and waits until it is ready.
#pragma once

#include <span>
#include <string>

#include "agent/cli/exit_code.h"
#include "agent/config.h"

namespace weft::agent {

// `words` go to the agent as they are.
ExitCode run_launch(const Config& config, std::span<const std::string> words);

}  // namespace weft::agent
