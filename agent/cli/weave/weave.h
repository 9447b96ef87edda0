// The program under the name `weave`: its verbs, output and exit codes, by means of weft's
// commands.
#pragma once

#include <span>
#include <string>

namespace weft::agent {

// Returns what the process is to return.
int run_weave(std::span<const std::string> words);

}  // namespace weft::agent
