// One interface inside a container: moved there, named, numbered and announced.
//
// Desired state, as sys/netdev.h. Each call takes a thread of its own into the container's network
// namespace and waits for it: some 2 ms. Errors carry errno in Error::os.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace weft::sys {

struct GuestSpec {
  std::string netns;            // A path: /proc/PID/ns/net, /run/netns/NAME.
  std::string name = "ethwe";   // Of the interface in there.
  std::vector<Cidr> addresses;  // To be there, each with its subnet's prefix.
  std::vector<Cidr> gone;       // Not to be there; what is in neither list is left alone.
  bool multicast_route = true;  // 224.0.0.0/4 leads to the interface.
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

}  // namespace weft::sys
