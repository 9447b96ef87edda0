// A peer as an operator names it: "host", "host:port", "[v6]" or "[v6]:port". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::agent {

// The target as the mesh takes it, or what was expected. Names are not resolved here: that happens
// at every attempt, because what a name means may change.
Result<std::string> parse_target(std::string_view text);

// Whether two targets mean the same place: "10.0.0.1" and "10.0.0.1:6783" do where that port is the
// default.
bool is_same_target(const std::string& a, const std::string& b, std::uint16_t default_port);

}  // namespace weft::agent
