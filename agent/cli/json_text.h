// JSON for people: two spaces of indentation, one value a line. Pure.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace weft::agent {

std::string pretty(const boost::json::value& value);

}  // namespace weft::agent
