// Containers that hang on the bridge and that nobody on record brought there: of a store that was
// lost, or attached by other hands. Their addresses are claimed back, so that nobody else gets
// them, for as long as the containers are seen.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "sys/netlink/guests.h"

namespace weft::agent {

// What to do about the guests seen at one look. Pure.
class FoundGuests {
 public:
  struct Known {
    std::set<Ip> held;            // Addresses that somebody holds in ipam.
    std::set<std::string> ports;  // Of Docker's endpoints and of attachments.
  };
  struct Steps {
    std::vector<Cidr> claim;
    std::vector<sys::Guest> plug;    // Bring into the data path.
    std::vector<sys::Guest> unplug;  // Gone.
    std::vector<Ip> release;         // In use no more.
  };

  // A guest counts as gone when two looks in a row missed it: it may have been on its way from one
  // namespace to another.
  Steps look(const std::vector<sys::Guest>& guests, const Known& known);
  // Claimed in an earlier run.
  void remember(const Ip& address) { addresses_.emplace(address, false); }
  // Whether one of the last looks saw it.
  bool has(const Ip& address) const { return addresses_.contains(address); }
  bool empty() const { return guests_.empty() && addresses_.empty(); }

 private:
  struct Seen {
    sys::Guest guest;
    bool missed = false;
  };
  std::map<std::string, Seen> guests_;  // By port.
  std::map<Ip, bool> addresses_;        // Claimed; whether the last look missed them.
};

}  // namespace weft::agent
