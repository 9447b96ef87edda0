// One link as rtnetlink describes it (RTM_NEWLINK): the public LinkInfo, and what ensure_*() must
// compare. Internal to sys.
#pragma once

#include <cstdint>
#include <optional>

#include <linux/netlink.h>

#include "base/netdev.h"

namespace weft::sys {

struct VxlanState {
  bool external = false;
  std::uint32_t vni = 0;
  std::uint16_t port = 0;

  friend bool operator==(const VxlanState&, const VxlanState&) = default;
};

struct BridgeState {
  bool stp = false;
  bool vlan_filtering = false;
  bool multicast_snooping = false;
  std::uint32_t ageing_ticks = 0;  // USER_HZ, hundredths of a second.

  friend bool operator==(const BridgeState&, const BridgeState&) = default;
};

struct LinkState {
  LinkInfo info;
  std::optional<VxlanState> vxlan;    // Of a VXLAN device.
  std::optional<BridgeState> bridge;  // Of a bridge.
  std::optional<PortSpec> port;       // Of a bridge port; its names are left empty.
};

// Nothing if the message is not a description of a link.
std::optional<LinkState> parse_link(const nlmsghdr* message);

}  // namespace weft::sys
