// attach, detach, expose, hide and ps.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"

namespace weft::agent {

ExitCode run_attach(const Settings& settings);
ExitCode run_detach(const Settings& settings);
ExitCode run_expose(const Settings& settings);
ExitCode run_hide(const Settings& settings);
ExitCode run_ps(const Settings& settings);

}  // namespace weft::agent
