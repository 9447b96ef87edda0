// One interface inside a container: moved there, named, numbered, routed and announced.
//
// Desired state, as sys/netdev.h. Each call takes a thread of its own into the container's network
// namespace and waits for it: some 2 ms. Errors carry errno in Error::os.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/netdev.h"
#include "base/result.h"

namespace weft::sys {

// A route of the container's main table, out of the interface.
struct GuestRoute {
  Cidr destination;           // Prefix 0 is the default route.
  std::optional<Ip> gateway;  // Nothing: all of it is on the link.

  friend bool operator==(const GuestRoute&, const GuestRoute&) = default;
};

struct GuestSpec {
  std::string netns;                 // A path: /proc/PID/ns/net, /run/netns/NAME.
  std::string name = "ethwe";        // Of the interface in there.
  std::vector<Cidr> addresses;       // To be there, each with its subnet's prefix.
  std::vector<Cidr> gone;            // Not to be there; what is in neither list is left alone.
  bool multicast_route = true;       // 224.0.0.0/4 leads to the interface.
  std::vector<GuestRoute> routes{};  // To be there, in this order; others are left alone.
};

// What tells network namespaces apart while they exist (the inode of /proc/PID/ns/net).
// Errc::NotFound if there is none at the path.
Result<std::uint64_t> netns_identity(const std::string& path);
// That of the calling process.
Result<std::uint64_t> own_netns_identity();

// The link `from` of this namespace goes into the container, unless it is there already; then the
// interface is as the spec says. Every address is announced (gratuitous ARP, unsolicited neighbour
// advertisement), so that who had its old place in memory follows. Errc::Conflict if something else
// has the name.
Result<Ok> ensure_guest(const std::string& from, const GuestSpec& spec);

// What is in a container: the interface of that name, if there is one, and what it has.
struct GuestState {
  std::optional<LinkInfo> link;
  std::vector<Cidr> addresses;    // Of the link, without link-local ones of IPv6.
  std::vector<RouteInfo> routes;  // Of the container, those of the main table.
};
Result<GuestState> observe_guest(const std::string& netns, const std::string& name);

// Removes the interface if it is the other end of a pair that is ours. Ok if there is none.
Result<Ok> remove_guest(const std::string& netns, const std::string& name);

}  // namespace weft::sys
