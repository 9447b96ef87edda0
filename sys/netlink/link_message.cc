#include "sys/netlink/link_message.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "sys/netlink/netlink.h"

namespace weft::sys {
namespace {

VxlanState parse_vxlan(const NetlinkAttributes& data) {
  return {.external = data.u8(IFLA_VXLAN_COLLECT_METADATA, 0) != 0,
          .vni = data.u32(IFLA_VXLAN_ID, 0),
          .port = data.be16(IFLA_VXLAN_PORT, 0)};
}

BridgeState parse_bridge(const NetlinkAttributes& data) {
  return {.stp = data.u32(IFLA_BR_STP_STATE, 0) != 0,
          .vlan_filtering = data.u8(IFLA_BR_VLAN_FILTERING, 0) != 0,
          .multicast_snooping = data.u8(IFLA_BR_MCAST_SNOOPING, 0) != 0,
          .ageing_ticks = data.u32(IFLA_BR_AGEING_TIME, 0)};
}

PortSpec parse_port(const NetlinkAttributes& data) {
  PortSpec port;
  port.learning = data.u8(IFLA_BRPORT_LEARNING, 1) != 0;
  port.flood_unknown = data.u8(IFLA_BRPORT_UNICAST_FLOOD, 1) != 0;
  port.flood_multicast = data.u8(IFLA_BRPORT_MCAST_FLOOD, 1) != 0;
  port.flood_broadcast = data.u8(IFLA_BRPORT_BCAST_FLOOD, 1) != 0;
  port.isolated = data.u8(IFLA_BRPORT_ISOLATED, 0) != 0;
  port.hairpin = data.u8(IFLA_BRPORT_MODE, 0) != 0;
  return port;
}

}  // namespace

std::optional<LinkState> parse_link(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(message, sizeof(ifinfomsg))) {
    return std::nullopt;
  }
  const auto* const header = static_cast<const ifinfomsg*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(ifinfomsg));
  const NetlinkAttributes kind = attributes.nest(IFLA_LINKINFO);
  LinkState link;
  link.info.index = static_cast<std::uint32_t>(header->ifi_index);
  link.info.name = attributes.text(IFLA_IFNAME);
  link.info.kind = kind.text(IFLA_INFO_KIND);
  link.info.alias = attributes.text(IFLA_IFALIAS);
  // Devices other than Ethernet have addresses of other lengths, or none.
  link.info.mac = Mac::from_bytes(attributes.bytes(IFLA_ADDRESS)).value_or(Mac());
  link.info.mtu = attributes.u32(IFLA_MTU, 0);
  link.info.up = (header->ifi_flags & IFF_UP) != 0;
  if (link.info.kind == "vxlan") {
    link.vxlan = parse_vxlan(kind.nest(IFLA_INFO_DATA));
  }
  if (link.info.kind == "bridge") {
    link.bridge = parse_bridge(kind.nest(IFLA_INFO_DATA));
  }
  if (link.info.kind == "veth") {
    const bool is_here = attributes.find(IFLA_LINK_NETNSID) == nullptr;
    (is_here ? link.info.peer : link.info.peer_elsewhere) = attributes.u32(IFLA_LINK, 0);
  }
  link.info.master = attributes.u32(IFLA_MASTER, 0);
  if (kind.text(IFLA_INFO_SLAVE_KIND) == "bridge") {
    link.port = parse_port(kind.nest(IFLA_INFO_SLAVE_DATA));
  }
  return link;
}

}  // namespace weft::sys
