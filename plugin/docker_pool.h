// The address pools Docker knows by name: what RequestPool made, spelled in the pool's own id, so
// that no table of pools has to survive a restart of either side.
//
//   weft-10.40.0.0/16                 docker network create --subnet 10.40.0.0/16
//   weft-10.40.0.0/16-10.40.1.0/24    … --ip-range 10.40.1.0/24
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"

namespace weft::plugin {

struct DockerPool {
  Cidr subnet;
  std::optional<Cidr> within;  // Addresses are chosen inside it only.

  // `subnet` and `within` as the user wrote them. Fails, naming both sides of what does not fit,
  // unless each is a block that can hold containers and the second lies inside the first.
  static Result<DockerPool> make(std::string_view subnet, std::string_view within);
  static Result<DockerPool> from_id(std::string_view id);

  std::string id() const;
  // Whose the addresses chosen by us are, and the address somebody asked for by name: the latter
  // has an owner of its own, so that asking again after a restart finds it.
  std::string owner() const;
  std::string owner_of(const Ip& address) const { return owner() + "/" + address.to_string(); }
  static bool is_owner(std::string_view owner);  // One of the two.
  // The part of the pool that addresses are chosen from.
  const Cidr& chosen_from() const { return within ? *within : subnet; }
  // "10.40.0.7/16": an address with the mask of the pool.
  Cidr with_mask(const Ip& address) const { return Cidr(address, subnet.prefix()); }

  friend bool operator==(const DockerPool&, const DockerPool&) = default;
};

// Neither the network (of IPv6: the routers' anycast address) nor the broadcast address of its
// block.
bool is_host_address(const Cidr& address);

}  // namespace weft::plugin
