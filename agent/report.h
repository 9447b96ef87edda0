// `weft report`: the status under the names that Weave Net's report has, which scripts rely on
// (.Router.Name, .Router.Targets, .IPAM.DefaultSubnet …), and under "Weft" everything as in
// `weft status --json`. What weft has no counterpart of is empty, never missing. Pure.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "agent/status.h"

namespace weft::agent {

boost::json::object to_report(const AgentStatus& status);

// Whether what containers send over it is, too: not where both sides trust the network.
bool is_encrypted(const AgentStatus& status, const router::ConnectionStatus& connection);

// A connection in Weave's words, where a target that waits for the next attempt has "failed".
std::string_view weave_state(router::ConnectionState state);
std::string weave_info(const AgentStatus& status, const router::ConnectionStatus& connection);

}  // namespace weft::agent
