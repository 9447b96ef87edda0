// The kernel's links, bridge ports, forwarding entries, addresses and routes in one network
// namespace.
//
// Desired state, not commands: ensure_*() succeeds if it already is so and repairs what differs.
// Calls are synchronous netlink round trips (tens of microseconds). Errors carry errno in Error::os
// and name the object. Contract tests (tests/integration/sys) run against this interface for both
// implementations.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/netdev.h"
#include "base/result.h"

namespace weft::sys {

class Netdev {
 public:
  Netdev() = default;
  Netdev(const Netdev&) = delete;
  Netdev& operator=(const Netdev&) = delete;
  virtual ~Netdev() = default;

  // Links are created up and carry kLinkAlias. Each returns the interface index. A bridge that has
  // ports or addresses, and neither that alias nor our MAC, is refused (Conflict), left as it is.
  virtual Result<std::uint32_t> ensure_bridge(const BridgeSpec& spec) = 0;
  // An existing device of another kind, mode, VNI or port is replaced.
  virtual Result<std::uint32_t> ensure_vxlan(const VxlanSpec& spec) = 0;
  // Index of the host end. If the host end exists it is kept, wherever its peer has been moved to.
  virtual Result<std::uint32_t> ensure_veth(const VethSpec& spec) = 0;
  virtual Result<Ok> ensure_port(const PortSpec& spec) = 0;
  virtual Result<Ok> set_mtu(const std::string& link, std::uint32_t mtu) = 0;
  // Its ports stay. Before Linux 6.2 the link is down for that moment. What ensure_gateway() made
  // is to be removed before: the kernel would no longer tell it from others' addresses.
  virtual Result<Ok> rename_link(const std::string& from, const std::string& to) = 0;
  // Ok if there is none.
  virtual Result<Ok> remove_link(const std::string& name) = 0;
  // All at once, which takes the kernel hardly longer than one: most of the 20 ms are grace periods
  // that they share.
  virtual Result<Ok> remove_links(const std::vector<std::string>& names) = 0;

  virtual Result<std::optional<LinkInfo>> find_link(const std::string& name) = 0;
  // How a link is a port of its bridge; nothing if it is none.
  virtual Result<std::optional<PortSpec>> find_port(const std::string& link) = 0;
  virtual Result<std::vector<LinkInfo>> links() = 0;
  // Unicast routes of the main table, both families.
  virtual Result<std::vector<RouteInfo>> routes() = 0;
  virtual Result<std::vector<Cidr>> addresses(const std::string& link) = 0;
  // Asked for every peer: what is known of the links that paths leave by is kept until the caller
  // says that links may have changed.
  virtual Result<PathInfo> path_to(const Ip& destination) = 0;
  virtual void forget_paths() = 0;
  // Exactly these addresses on the link (as /32, so that the main table gets no route that others
  // would take for a conflict), with routes to their subnets that all but the link's own stations
  // follow: what those send to another subnet is refused. Turns on IPv4 forwarding. Without
  // addresses everything earlier calls made is removed, and the link need not exist.
  virtual Result<Ok> ensure_gateway(const GatewaySpec& spec) = 0;

  // Static, externally learned entries (NTF_EXT_LEARNED); adding replaces. The all-zero MAC of a
  // VXLAN device, where it floods to, may have several remotes.
  virtual Result<Ok> add_fdb(const FdbEntry& entry) = 0;
  // Ok if there is none.
  virtual Result<Ok> remove_fdb(const FdbEntry& entry) = 0;
  // What add_fdb() put there; neither what the bridge learned nor its own addresses.
  virtual Result<std::vector<FdbEntry>> fdb(const std::string& link) = 0;
};

// The namespace of the calling process.
Result<std::unique_ptr<Netdev>> open_netdev();

}  // namespace weft::sys
