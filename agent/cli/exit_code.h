// What `weft` returns to the shell. One table: `weft help exit-codes` and the documentation print
// it, the systemd unit relies on it.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace weft::agent {

enum class ExitCode : int {
  Ok = 0,
  Failure = 1,
  Usage = 2,
  AlreadyRunning = 3,
  NotRunning = 4,
  Denied = 5,
  Refused = 6,
};

struct ExitCodeInfo {
  ExitCode code;
  std::string_view meaning;
};

inline constexpr std::array<ExitCodeInfo, 7> kExitCodes{{
    {ExitCode::Ok, "done"},
    {ExitCode::Failure, "failed; the message on stderr says why"},
    {ExitCode::Usage, "unknown command, unknown flag or bad value; nothing was done"},
    {ExitCode::AlreadyRunning, "an agent is running already on this host"},
    {ExitCode::NotRunning, "no agent answers on the control socket"},
    {ExitCode::Denied, "root (or, for the control socket, group weft) is needed"},
    {ExitCode::Refused,
     "the agent will not start: its options, or they and its state, contradict each other"},
}};

}  // namespace weft::agent
