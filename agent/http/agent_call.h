// One call of a command to an agent: over the control socket of this host, or, with an --http-addr
// of https://HOST[:PORT], to the control API of another (docs/adr/0045).
#pragma once

#include <string>
#include <string_view>

#include "agent/cli/options.h"
#include "base/result.h"
#include "sys/http_server.h"

namespace weft::agent {

// What the control API of another host serves of what the control socket does, behind Weave's
// calls.
inline constexpr std::string_view kControlPrefix = "/weft/";

// Whether the command is for the agent of another host.
bool is_remote(const Settings& settings);

// Errc::Denied if we may not, Errc::Unavailable if nobody answers. Other answers than 2xx are
// answers.
Result<sys::HttpResponse> call_agent(const Settings& settings,
                                     const std::string& method,
                                     const std::string& target,
                                     const std::string& body,
                                     int timeout_seconds);

}  // namespace weft::agent
