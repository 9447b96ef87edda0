// Who hangs on a bridge of this host: the other ends of its veth ports, in whatever network
// namespace they are, with the addresses they have there.
//
// What an agent that has lost its memory can still see. Namespaces are found where something keeps
// them alive and names them: processes (/proc/*/ns/net) and bind mounts (/run/netns,
// /run/docker/netns). Blocking: some 0.1 ms per namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

struct Guest {
  std::string port;       // The end on the bridge.
  std::string name;       // The other end.
  std::uint32_t pid = 0;  // One process of its namespace; 0 if there is none.
  Mac mac;
  bool is_ours = false;         // The port carries kLinkAlias.
  std::vector<Cidr> addresses;  // Without link-local ones, ascending.

  friend bool operator==(const Guest&, const Guest&) = default;
};

// By port. Empty if there is no such bridge. The calling thread visits other namespaces and is back
// home when this returns.
Result<std::vector<Guest>> find_guests(const std::string& bridge, const HostPaths& host = {});

}  // namespace weft::sys
