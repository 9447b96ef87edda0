// `weft setup-cni`: puts the program where container runtimes look for CNI plugins, and a network
// of weft's where they look for networks (CLI-3 of Weave).
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "agent/cni/conflist.h"
#include "base/result.h"

namespace weft::agent {

// Links to this program replace whatever is there under their names; under a root, where it is not,
// they lead to a copy. The network is written only if its folder exists and it is not there. Each
// file is whole or not there at all.
Result<Ok> setup_cni(const CniSetup& setup);

ExitCode run_setup_cni(const Settings& settings);

}  // namespace weft::agent
