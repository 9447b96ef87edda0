// Who holds which address on this host: containers, Docker's pools, reserved owners.
//
// Belongs to the allocator. Knows addresses inside and outside the range alike; whether one may be
// held is decided before it gets here. Invariant: one holder per address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"

namespace weft::ipam {

// Holds what was found in use and nobody remembers having been given: whoever names such an address
// may claim it or let it go.
inline constexpr const char* kFoundOwner = "weft:found";

// The range of who hands out nothing and only records what is claimed: addresses of "this network",
// which no container can have (RFC 1122, 3.2.1.3).
inline Cidr no_range() {
  return {Ipv4(), 30};
}

class Claims {
 public:
  struct Holding {
    std::string owner;
    std::uint8_t prefix = 0;  // Of the subnet the address was given in.

    friend bool operator==(const Holding&, const Holding&) = default;
  };

  // Precondition: nobody holds the address.
  void add(const std::string& owner, const Cidr& address);
  // Precondition: somebody holds the address.
  void remove(const Ip& address);

  const Holding* find(const Ip& address) const;
  // Ascending.
  std::vector<Ip> addresses_of(const std::string& owner) const;
  // The lowest address the owner holds in exactly this subnet.
  std::optional<Cidr> held_in(const std::string& owner, const Cidr& subnet) const;
  std::vector<std::pair<std::string, Cidr>> all() const;  // By owner, then address.
  const std::map<Ip, Holding>& by_address() const { return by_address_; }
  std::size_t count() const { return by_address_.size(); }

 private:
  std::map<Ip, Holding> by_address_;
  std::map<std::string, std::set<Ip>> by_owner_;
};

}  // namespace weft::ipam
