// A peer as an operator names it: "host", "host:port", "[v6]" or "[v6]:port". Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::agent {

// The target as the mesh takes it, or what was expected. Names are not resolved here: that happens
// at every attempt, because what a name means may change.
Result<std::string> parse_target(std::string_view text);

}  // namespace weft::agent
