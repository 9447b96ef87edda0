// `weft report`: the status under the names that Weave Net's report has, which scripts rely on
// (.Router.Name, .Router.Targets, .IPAM.DefaultSubnet …), and under "Weft" everything as in
// `weft status --json`. What weft has no counterpart of is empty, never missing. Pure.
#pragma once

#include <boost/json/object.hpp>

#include "agent/status.h"

namespace weft::agent {

boost::json::object to_report(const AgentStatus& status);

}  // namespace weft::agent
