// The program as a CNI plugin, under the names weft-net (or weave-net) and weft-ipam (weave-ipam):
// called by a container runtime, it does what the specification's verbs say by means of the agent,
// and ends (docs/adr/0067).
#pragma once

#include <optional>
#include <string_view>

#include "agent/cni/session.h"

namespace weft::agent {

// Nothing for a program of another name.
std::optional<CniRole> cni_role(std::string_view program);

// Reads the environment and standard input, answers on standard output and returns what the process
// is to return. Nothing but the answer goes to standard output.
int run_cni(CniRole role);

}  // namespace weft::agent
