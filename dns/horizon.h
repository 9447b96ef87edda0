// Which network those who ask are on: names that have addresses on several networks are answered
// with those of the client's own (docs/adr/0037). An immutable table of this host's containers, as
// only they ask this host's DNS. Part of a Zone; may be read from any thread. Pure.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"

namespace weft::dns {

class Horizon {
 public:
  // Addresses of containers, each with the prefix of its network.
  explicit Horizon(std::vector<Cidr> clients);

  // Nothing for who is no container of this host's on a network of weft's.
  std::optional<Cidr> network_of(const Ip& client) const;

  friend bool operator==(const Horizon&, const Horizon&) = default;

 private:
  std::vector<std::pair<Ip, Cidr>> networks_;  // By client, ascending.
};

}  // namespace weft::dns
