// From the words of a command line to an exit code.
#pragma once

#include <span>
#include <string>

#include "agent/cli/exit_code.h"

namespace weft::agent {

// `words` are those behind the program's name.
ExitCode run_cli(std::span<const std::string> words);

}  // namespace weft::agent
