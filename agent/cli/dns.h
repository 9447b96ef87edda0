// `weft dns-add`, `dns-remove`, `dns-lookup` and `dns-args`.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"

namespace weft::agent {

ExitCode run_dns_add(const Settings& settings);
ExitCode run_dns_remove(const Settings& settings);
ExitCode run_dns_lookup(const Settings& settings);
ExitCode run_dns_args(const Settings& settings);

}  // namespace weft::agent
