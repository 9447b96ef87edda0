// weft graph, edges, top, reach: the topology of the whole cluster, as any agent can tell it.
#pragma once

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"

namespace weft::agent {

ExitCode run_graph(const Settings& settings);
ExitCode run_edges(const Settings& settings);
ExitCode run_top(const Settings& settings);
ExitCode run_reach(const Settings& settings);
// A line for --ui-users-file, with the password read from standard input.
ExitCode run_ui_user(const Settings& settings);

}  // namespace weft::agent
