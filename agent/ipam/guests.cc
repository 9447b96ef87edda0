#include "agent/ipam/guests.h"

namespace weft::agent {

FoundGuests::Steps FoundGuests::look(const std::vector<sys::Guest>& guests, const Known& known) {
  Steps steps;
  std::set<std::string> ports;
  std::set<Ip> addresses;
  for (const sys::Guest& guest : guests) {
    for (const Cidr& address : guest.addresses) {
      addresses.insert(address.address());
      if (!known.held.contains(address.address())) {
        steps.claim.push_back(address);
        addresses_[address.address()] = false;
      }
    }
    ports.insert(guest.port);
    if (!guest.is_ours || known.ports.contains(guest.port)) {
      guests_.erase(guest.port);
      continue;
    }
    const auto seen = guests_.find(guest.port);
    if (seen == guests_.end() || seen->second.guest != guest) {
      steps.plug.push_back(guest);
    }
    guests_.insert_or_assign(guest.port, Seen{.guest = guest, .missed = false});
  }
  for (auto seen = guests_.begin(); seen != guests_.end();) {
    if (ports.contains(seen->first) || !std::exchange(seen->second.missed, true)) {
      ++seen;
      continue;
    }
    steps.unplug.push_back(seen->second.guest);
    seen = guests_.erase(seen);
  }
  for (auto address = addresses_.begin(); address != addresses_.end();) {
    if (addresses.contains(address->first)) {
      address->second = false;
      ++address;
    } else if (!std::exchange(address->second, true)) {
      ++address;
    } else {
      steps.release.push_back(address->first);
      address = addresses_.erase(address);
    }
  }
  return steps;
}

}  // namespace weft::agent
