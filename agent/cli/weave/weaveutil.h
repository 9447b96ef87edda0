// The program under the name `weaveutil`: those of its sub-commands that manifests and scripts
// call. What the others did, weft does by itself or by verbs of `weave`.
#pragma once

#include <span>
#include <string>

namespace weft::agent {

// Returns what the process is to return: 0, or 1 with the reason on stderr.
int run_weaveutil(std::span<const std::string> words);

}  // namespace weft::agent
