// `weft status` for people, made from the JSON of agent/status.h. Pure.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "agent/status.h"
#include "base/result.h"

namespace weft::agent {

// Fails when the JSON is not of the expected shape: an agent of another version.
Result<std::string> status_text(const boost::json::value& status, StatusPart part);

// Of a whole status, why kernels encrypt between hosts, or why agents do; nothing without a
// password.
Result<std::string> sealing_text(const boost::json::value& status);

}  // namespace weft::agent
