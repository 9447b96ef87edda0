// attach, detach, expose, hide and ps.
#pragma once

#include <vector>

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "base/address.h"
#include "base/result.h"

namespace weft::agent {

// What `attach` does, for settings of that command.
Result<std::vector<Cidr>> attach_container(const Settings& settings);

ExitCode run_attach(const Settings& settings);
ExitCode run_detach(const Settings& settings);
ExitCode run_expose(const Settings& settings);
ExitCode run_hide(const Settings& settings);
ExitCode run_ps(const Settings& settings);

// How attach, detach, expose and hide end: the addresses, or what went wrong.
ExitCode report_addresses(const Result<std::vector<Cidr>>& addresses);

}  // namespace weft::agent
