#include "dns/horizon.h"

#include <algorithm>

namespace weft::dns {

Horizon::Horizon(std::vector<Cidr> clients) {
  networks_.reserve(clients.size());
  for (const Cidr& client : clients) {
    networks_.emplace_back(client.address(), client.network());
  }
  std::sort(networks_.begin(), networks_.end(), [](const auto& a, const auto& b) {
    return a.first < b.first;
  });
}

std::optional<Cidr> Horizon::network_of(const Ip& client) const {
  const auto found = std::lower_bound(
      networks_.begin(), networks_.end(), client, [](const auto& known, const Ip& wanted) {
        return known.first < wanted;
      });
  return found != networks_.end() && found->first == client ? std::optional(found->second)
                                                            : std::nullopt;
}

}  // namespace weft::dns
