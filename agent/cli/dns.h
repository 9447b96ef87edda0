// `weft dns-add`, `dns-remove`, `dns-lookup` and `dns-args`.
#pragma once

#include <string>

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "base/result.h"

namespace weft::agent {

// A name in full, with its final dot: a single label gets the agent's domain behind it. Empty stays
// empty. Errc::NotFound where DNS is off.
Result<std::string> qualified_name(const Settings& settings, const std::string& fqdn);

// The same of a name that addresses are to get; warns of one that the agent will leave out, as
// Weave did, since it is outside its domain.
Result<std::string> name_to_give(const Settings& settings, const std::string& fqdn);

ExitCode run_dns_add(const Settings& settings);
ExitCode run_dns_remove(const Settings& settings);
ExitCode run_dns_lookup(const Settings& settings);
ExitCode run_dns_args(const Settings& settings);

}  // namespace weft::agent
