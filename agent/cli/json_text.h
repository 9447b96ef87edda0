// JSON and text. Pure.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace weft::agent {

// For people: two spaces of indentation, one value a line.
std::string pretty(const boost::json::value& value);
// Throws std::exception where it is no string.
std::string text_of(const boost::json::value& value);

}  // namespace weft::agent
