// Kernel network objects as plain values: what we want to exist, and what exists.
//
// sys/netdev.h makes the kernel agree with a *Spec; sys/fake/fake_netdev.h is its in-memory twin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace weft {

// IFNAMSIZ - 1 (linux/if.h).
inline constexpr std::size_t kInterfaceNameMax = 15;

// Put on every link we make (IFLA_IFALIAS), so that reset removes ours and nothing else.
inline constexpr const char* kLinkAlias = "weft";

struct BridgeSpec {
  std::string name;
  Mac mac;
  std::uint32_t mtu = 1450;
};

// External mode (collect metadata): tunnel keys come from BPF. Otherwise one VNI, with an FDB.
struct VxlanSpec {
  std::string name;
  bool external = true;
  std::uint32_t vni = 0;  // Ignored in external mode.
  std::uint16_t port = 0;
  std::uint32_t mtu = 1450;
};

struct VethSpec {
  std::string name;
  std::string peer;
  Mac peer_mac;
  std::uint32_t mtu = 1450;
  // The largest super-frame the peer end hands over (IFLA_GSO_MAX_SIZE); 0: the kernel's 65,536.
  // Set when the pair is made.
  std::uint32_t peer_gso_max = 0;
  bool peer_is_silent = false;  // No IPv6 of its own, as the host end. Set when the pair is made.
};

// How a link behaves as a port of a bridge (IFLA_BRPORT_*).
struct PortSpec {
  std::string link;
  std::string bridge;
  bool learning = true;
  bool flood_unknown = true;
  bool flood_multicast = true;
  bool flood_broadcast = true;
  bool isolated = false;  // Never to another isolated port.
  bool hairpin = false;
};

// The host as the gateway of containers' subnets. Each address, with the prefix of its subnet, is
// the host's own on the link. Two may be of one subnet: the first is what the host speaks as.
struct GatewaySpec {
  std::string link;
  std::vector<Cidr> addresses;
};

// A subnet whose containers the world beyond this host may reach through it, under an address of
// the host's in that subnet.
struct Exposure {
  Cidr address;            // With the prefix of its subnet.
  bool masquerade = true;  // What comes in or goes out takes the host's address.

  friend bool operator==(const Exposure&, const Exposure&) = default;
};

struct LinkInfo {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;  // "bridge", "vxlan", "veth", "tun", …; empty for a plain device.
  std::string alias;
  Mac mac;
  std::uint32_t mtu = 0;
  bool up = false;
  std::uint32_t master = 0;  // Index of its bridge, 0 if none.
  std::uint32_t peer = 0;    // Of a veth: index of the other end, 0 if in another namespace.
  std::uint32_t peer_elsewhere = 0;  // Then its index there.

  friend bool operator==(const LinkInfo&, const LinkInfo&) = default;
};

struct RouteInfo {
  Cidr destination;  // Prefix 0 is the default route.
  std::string link;
  std::optional<Ip> gateway;

  friend bool operator==(const RouteInfo&, const RouteInfo&) = default;
};

// How the host reaches an address: RTM_GETROUTE.
struct PathInfo {
  std::uint32_t ifindex = 0;
  std::string link;
  Ip source;
  std::uint32_t mtu = 0;  // Of the link, or of the route if lower.
  bool on_link = false;   // The address itself is asked for on the link; else a gateway's is.
};

// A bridge port's forwarding entry (AF_BRIDGE neighbour). With `remote`: the VXLAN device's own.
struct FdbEntry {
  Mac mac;
  std::string link;
  std::optional<Ip> remote;

  friend auto operator<=>(const FdbEntry&, const FdbEntry&) = default;
  friend bool operator==(const FdbEntry&, const FdbEntry&) = default;
};

}  // namespace weft
