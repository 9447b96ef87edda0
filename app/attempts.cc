#include "app/attempts.h"

#include <algorithm>

namespace weft::app {
namespace {

Cidr network_of(const Ip& client) {
  constexpr std::uint8_t kV6Bits = 64;
  return Cidr(client, client.is_v4() ? client.bits() : kV6Bits).network();
}

}  // namespace

bool Attempts::may_try(TimePoint now, const Ip& client) const {
  const auto found = clients_.find(network_of(client));
  return found == clients_.end() || found->second.count < kAttemptsMax
         || now - found->second.since >= kAttemptsIn;
}

void Attempts::count(TimePoint now, const Ip& client) {
  const Cidr network = network_of(client);
  if (clients_.size() >= kClientsMax && !clients_.contains(network)) {
    clients_.erase(
        std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
          return a.second.since < b.second.since;
        }));
  }
  Window& window = clients_[network];
  if (window.count == 0 || now - window.since >= kAttemptsIn) {
    window = {.since = now, .count = 0};
  }
  ++window.count;
}

void Attempts::forgive(const Ip& client) {
  const auto found = clients_.find(network_of(client));
  if (found != clients_.end() && --found->second.count <= 0) {
    clients_.erase(found);
  }
}

}  // namespace weft::app
