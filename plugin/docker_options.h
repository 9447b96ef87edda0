// What a user may ask of a Docker network of ours with `docker network create --opt`.
//
//   weft.multicast, works.weave.multicast      yes or no: a route to 224.0.0.0/4 (default: yes)
//   weft.mtu, com.docker.network.driver.mtu    octets, if less than the overlay carries
//   weft.encrypted, encrypted                  never in clear between hosts, or not at all
//
// Where both names of an option are given, ours counts. Unknown options that begin with "weft." are
// mistakes and refused; those of others ("com.docker.…", "foo") are left to them, as Weave Net did.
#pragma once

#include <cstdint>

#include <boost/json/fwd.hpp>

#include "base/result.h"

namespace weft::plugin {

struct NetworkOptions {
  bool multicast = true;
  std::uint32_t mtu_bytes = 0;  // 0: what the overlay carries.
  bool encrypted = false;

  friend bool operator==(const NetworkOptions&, const NetworkOptions&) = default;
};

Result<NetworkOptions> decode_network_options(const boost::json::object& options);

}  // namespace weft::plugin
