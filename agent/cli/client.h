// The side of the CLI that talks to a running agent over its control socket.
#pragma once

#include <string>
#include <vector>

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "base/result.h"

namespace weft::agent {

// The pid of the agent that answers on this socket. Errc::Unavailable if there is none.
Result<int> running_agent(const std::string& socket);

// The name of the peer whose agent answers there, as text.
Result<std::string> name_of_agent(const std::string& socket);

// Tells the agent to end and waits until it has.
Result<Ok> stop_agent(const std::string& socket);

ExitCode run_stop(const Settings& settings);
ExitCode run_connect(const Settings& settings);
ExitCode run_forget(const Settings& settings);
ExitCode run_report(const Settings& settings);
ExitCode run_reload(const Settings& settings);
ExitCode run_status(const Settings& settings);

// Says what went wrong on stderr; the exit code for it.
ExitCode report(const Error& error);

}  // namespace weft::agent
