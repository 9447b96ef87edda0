// How many addresses there are, as JSON: a number that is exact while it fits 64 bits, and as close
// as a double comes beyond, which only IPv6 reaches.
#pragma once

#include <cstdint>

#include <boost/json/value.hpp>

#include "ipam/number.h"

namespace weft::agent {

inline boost::json::value count_json(ipam::Uint128 count) {
  return count >> 64U == 0 ? boost::json::value(static_cast<std::uint64_t>(count))
                           : boost::json::value(static_cast<double>(count));
}

}  // namespace weft::agent
