// Links and bridge ports of KernelNetdev.
#include <cerrno>
#include <cstdint>

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "sys/netlink/netdev_kernel.h"
#include "sys/netlink/sysctl.h"

namespace weft::sys {
namespace {

// The 300 s every bridge has by default (IEEE 802.1D); stated so that drift is repaired.
constexpr std::uint32_t kAgeingTicks = 300 * 100;
// A bridge that snoops would keep containers' reports from the agent, which snoops for all hosts
// (docs/adr/0033). Kernels without snooping ignore the attribute.
constexpr BridgeState kBridgeOptions = {.stp = false,
                                        .vlan_filtering = false,
                                        .multicast_snooping = false,
                                        .ageing_ticks = kAgeingTicks};

// IPv6 needs 1,280 of a link (RFC 8200), below which the kernel gives it no IPv6 settings.
constexpr std::uint32_t kIpv6MtuMin = 1280;

// "weft" in ASCII, a group nobody else has links in.
constexpr std::uint32_t kRemovalGroup = 0x77656674;

ByteView view(const Mac& mac) {
  return mac.octets();
}

Result<Ok> check_name(const std::string& name) {
  if (name.empty() || name.size() > kInterfaceNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("interface name '{}' of {} bytes (expected 1 to {})",
                             name,
                             name.size(),
                             kInterfaceNameMax)};
  }
  if (name == "." || name == ".." || name.find_first_of("/: \t\n") != name.npos) {
    return Error{Errc::Invalid, fmt::format("interface name '{}' has a forbidden character", name)};
  }
  return Ok{};
}

Error wrong_kind(const LinkInfo& link, std::string_view expected) {
  return Error{Errc::Conflict,
               fmt::format("link {} is a {} (expected a {})",
                           link.name,
                           link.kind.empty() ? "plain device" : link.kind,
                           expected)};
}

// One we made and died before we could name it has neither ports nor addresses.
Error others_bridge(const LinkInfo& bridge) {
  return Error{Errc::Conflict,
               fmt::format("bridge {} is somebody else's: it has ports or addresses, and not the "
                           "alias \"{}\" (expected no such link, or one that weft made)",
                           bridge.name,
                           kLinkAlias)};
}

ifinfomsg header_of(std::uint32_t index) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  return header;
}

NetlinkMessage creation(const std::string& name) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(header_of(0)).text(IFLA_IFNAME, name);
  return message;
}

NetlinkMessage change(std::uint32_t index) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(header_of(index));
  return message;
}

// A container must not be able to number or route the host by a router advertisement.
Result<Ok> refuse_router_advertisements(const std::string& name) {
  WEFT_TRY(set_sysctl("net/ipv6/conf/" + name + "/accept_ra", "0"));
  return set_sysctl("net/ipv6/conf/" + name + "/autoconf", "0");
}

// VLAN filtering is only named to switch it off: kernels built without it refuse to hear of it.
void put_bridge_options(NetlinkMessage& message, const BridgeState& is) {
  message.nested(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.text(IFLA_INFO_KIND, "bridge");
    info.nested(IFLA_INFO_DATA, [&](NetlinkMessage& data) {
      data.u32(IFLA_BR_STP_STATE, kBridgeOptions.stp ? 1 : 0);
      data.u32(IFLA_BR_AGEING_TIME, kBridgeOptions.ageing_ticks);
      data.u8(IFLA_BR_MCAST_SNOOPING, kBridgeOptions.multicast_snooping ? 1 : 0);
      if (is.vlan_filtering != kBridgeOptions.vlan_filtering) {
        data.u8(IFLA_BR_VLAN_FILTERING, kBridgeOptions.vlan_filtering ? 1 : 0);
      }
    });
  });
}

void put_vxlan_options(NetlinkMessage& message, const VxlanSpec& spec) {
  message.nested(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.text(IFLA_INFO_KIND, "vxlan");
    info.nested(IFLA_INFO_DATA, [&](NetlinkMessage& data) {
      data.be16(IFLA_VXLAN_PORT, spec.port);
      data.u8(IFLA_VXLAN_LEARNING, 0);  // The control plane alone says who is where.
      // The fast path sends IPv6 without a UDP checksum (RFC 6935), as the inner frame has its own.
      data.u8(IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
      if (spec.external) {
        data.u8(IFLA_VXLAN_COLLECT_METADATA, 1);
      } else {
        data.u32(IFLA_VXLAN_ID, spec.vni);
      }
    });
  });
}

// Changing nothing is news to whoever listens, so nothing is changed that is as it should be.
bool behaves_as(const PortSpec& port, const PortSpec& wanted) {
  return port.learning == wanted.learning && port.flood_unknown == wanted.flood_unknown
         && port.flood_multicast == wanted.flood_multicast
         && port.flood_broadcast == wanted.flood_broadcast && port.isolated == wanted.isolated
         && port.hairpin == wanted.hairpin;
}

}  // namespace

// --- finding -------------------------------------------------------------------------------------

Result<std::optional<LinkState>> KernelNetdev::ask_for_link(NetlinkMessage& message,
                                                            const std::string& doing) {
  std::optional<LinkState> found;
  const Result<Ok> asked =
      netlink_->query(message, doing, [&](const nlmsghdr* answer) { found = parse_link(answer); });
  if (!asked.ok() && asked.error().code == Errc::NotFound) {
    return std::optional<LinkState>();
  }
  WEFT_TRY(asked);
  return found;
}

Result<std::optional<LinkState>> KernelNetdev::find_state(const std::string& name) {
  WEFT_TRY(check_name(name));
  NetlinkMessage message(RTM_GETLINK, 0);
  message.header(header_of(0)).text(IFLA_IFNAME, name);
  message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return ask_for_link(message, "find link " + name);
}

Result<std::optional<LinkState>> KernelNetdev::find_state(std::uint32_t index) {
  NetlinkMessage message(RTM_GETLINK, 0);
  message.header(header_of(index)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return ask_for_link(message, fmt::format("find link of index {}", index));
}

Result<LinkState> KernelNetdev::state(const std::string& name) {
  std::optional<LinkState> found = WEFT_TRY(find_state(name));
  if (!found) {
    return Error{Errc::NotFound, fmt::format("link {} does not exist", name), ENODEV};
  }
  return *std::move(found);
}

Result<std::vector<LinkState>> KernelNetdev::link_states() {
  return consistent([this]() -> Result<std::vector<LinkState>> {
    std::vector<LinkState> all;
    NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
    message.header(header_of(0)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    WEFT_TRY(netlink_->query(message, "list links", [&](const nlmsghdr* answer) {
      std::optional<LinkState> link = parse_link(answer);
      if (link) {
        all.push_back(*std::move(link));
      }
    }));
    return all;
  });
}

Result<std::map<std::uint32_t, std::string>> KernelNetdev::link_names() {
  const std::vector<LinkState> all = WEFT_TRY(link_states());
  std::map<std::uint32_t, std::string> names;
  for (const LinkState& link : all) {
    names.emplace(link.info.index, link.info.name);
  }
  return names;
}

Result<std::optional<LinkInfo>> KernelNetdev::find_link(const std::string& name) {
  const std::optional<LinkState> found = WEFT_TRY(find_state(name));
  return found ? std::optional<LinkInfo>(found->info) : std::nullopt;
}

Result<std::optional<PortSpec>> KernelNetdev::find_port(const std::string& link) {
  const LinkState found = WEFT_TRY(state(link));
  if (!found.port) {
    return std::optional<PortSpec>();
  }
  const std::optional<LinkState> bridge = WEFT_TRY(find_state(found.info.master));
  PortSpec port = *found.port;
  port.link = link;
  port.bridge = bridge ? bridge->info.name : "";
  return std::optional<PortSpec>(port);
}

Result<std::vector<LinkInfo>> KernelNetdev::links() {
  const std::vector<LinkState> all = WEFT_TRY(link_states());
  std::vector<LinkInfo> infos;
  infos.reserve(all.size());
  for (const LinkState& link : all) {
    infos.push_back(link.info);
  }
  return infos;
}

// --- making --------------------------------------------------------------------------------------

Result<LinkState> KernelNetdev::create(NetlinkMessage& message, const std::string& name) {
  WEFT_TRY(netlink_->request(message, "create link " + name));
  return state(name);
}

Result<Ok> KernelNetdev::settle(const LinkState& link, const Wanted& wanted) {
  const LinkInfo& is = link.info;
  const bool mac_differs = wanted.mac && *wanted.mac != is.mac;
  if (!mac_differs && is.mtu == wanted.mtu && is.alias == kLinkAlias && is.up) {
    return Ok{};
  }
  NetlinkMessage message(RTM_NEWLINK, 0);
  ifinfomsg header = header_of(is.index);
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  message.header(header);
  if (mac_differs) {
    message.bytes(IFLA_ADDRESS, view(*wanted.mac));
  }
  if (is.mtu != wanted.mtu) {
    message.u32(IFLA_MTU, wanted.mtu);
  }
  if (is.alias != kLinkAlias) {
    message.text(IFLA_IFALIAS, kLinkAlias);
  }
  return netlink_->request(message, fmt::format("configure link {} (mtu {})", is.name, wanted.mtu));
}

Result<Ok> KernelNetdev::settle_bridge_options(const LinkState& link) {
  if (link.bridge == kBridgeOptions) {
    return Ok{};
  }
  NetlinkMessage message = change(link.info.index);
  put_bridge_options(message, link.bridge.value_or(BridgeState()));
  return netlink_->request(message, "configure bridge " + link.info.name);
}

Result<bool> KernelNetdev::is_in_use(const LinkInfo& bridge) {
  const std::vector<LinkInfo> all = WEFT_TRY(links());
  const bool has_ports = std::any_of(
      all.begin(), all.end(), [&](const LinkInfo& link) { return link.master == bridge.index; });
  const Cidr link_local = Cidr::parse("fe80::/10").value();
  const std::vector<Cidr> given = WEFT_TRY(addresses(bridge.name));
  return has_ports || std::any_of(given.begin(), given.end(), [&](const Cidr& address) {
           return !link_local.contains(address.address());
         });
}

Result<std::uint32_t> KernelNetdev::ensure_bridge(const BridgeSpec& spec) {
  std::optional<LinkState> bridge = WEFT_TRY(find_state(spec.name));
  if (bridge && bridge->info.kind != "bridge") {
    return wrong_kind(bridge->info, "bridge");
  }
  const bool is_ours = !bridge || bridge->info.alias == kLinkAlias || bridge->info.mac == spec.mac;
  if (!is_ours && WEFT_TRY(is_in_use(bridge->info))) {
    return others_bridge(bridge->info);
  }
  if (!bridge) {
    NetlinkMessage message = creation(spec.name);
    message.bytes(IFLA_ADDRESS, view(spec.mac));
    // A bridge follows the MTU of its ports until somebody changes its own, so it is born with
    // another than the wanted one for settle() to change.
    message.u32(IFLA_MTU, spec.mtu == kIpv6MtuMin ? kIpv6MtuMin + 1 : kIpv6MtuMin);
    put_bridge_options(message, BridgeState());
    bridge = WEFT_TRY(create(message, spec.name));
  }
  WEFT_TRY(settle_bridge_options(*bridge));
  WEFT_TRY(refuse_router_advertisements(spec.name));
  WEFT_TRY(settle(*bridge, {.mtu = spec.mtu, .mac = spec.mac}));
  return bridge->info.index;
}

Result<std::uint32_t> KernelNetdev::ensure_vxlan(const VxlanSpec& spec) {
  const VxlanState wanted = {
      .external = spec.external, .vni = spec.external ? 0 : spec.vni, .port = spec.port};
  std::optional<LinkState> device = WEFT_TRY(find_state(spec.name));
  if (device && device->vxlan != wanted) {
    WEFT_TRY(remove_link(spec.name));
    device.reset();
  }
  if (!device) {
    NetlinkMessage message = creation(spec.name);
    message.u32(IFLA_MTU, spec.mtu);
    put_vxlan_options(message, spec);
    device = WEFT_TRY(create(message, spec.name));
    WEFT_TRY(silence_ipv6(spec.name));
  }
  WEFT_TRY(settle(*device, {.mtu = spec.mtu, .mac = {}}));
  return device->info.index;
}

Result<Ok> KernelNetdev::create_veth(const VethSpec& spec) {
  NetlinkMessage message = creation(spec.name);
  message.u32(IFLA_MTU, spec.mtu);
  message.nested(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.text(IFLA_INFO_KIND, "veth");
    info.nested(IFLA_INFO_DATA, [&](NetlinkMessage& data) {
      data.nested(VETH_INFO_PEER, [&](NetlinkMessage& peer) {
        peer.header(header_of(0));
        peer.text(IFLA_IFNAME, spec.peer);
        peer.bytes(IFLA_ADDRESS, view(spec.peer_mac));
        peer.u32(IFLA_MTU, spec.mtu);
        if (spec.peer_gso_max != 0) {
          peer.u32(IFLA_GSO_MAX_SIZE, spec.peer_gso_max);
        }
      });
    });
  });
  WEFT_TRY(netlink_->request(message, fmt::format("create veth {} with {}", spec.name, spec.peer)));
  if (spec.peer_is_silent) {
    WEFT_TRY(silence_ipv6(spec.peer));
  }
  return silence_ipv6(spec.name);
}

Result<std::uint32_t> KernelNetdev::ensure_veth(const VethSpec& spec) {
  WEFT_TRY(check_name(spec.peer));
  std::optional<LinkState> host = WEFT_TRY(find_state(spec.name));
  if (host && host->info.kind != "veth") {
    return wrong_kind(host->info, "veth");
  }
  if (!host) {
    WEFT_TRY(create_veth(spec));
    host = WEFT_TRY(state(spec.name));
  }
  WEFT_TRY(settle(*host, {.mtu = spec.mtu, .mac = {}}));
  const std::optional<LinkState> peer = WEFT_TRY(find_state(spec.peer));
  if (peer && peer->info.index == host->info.peer) {
    WEFT_TRY(settle(*peer, {.mtu = spec.mtu, .mac = spec.peer_mac}));
  }
  return host->info.index;
}

Result<Ok> KernelNetdev::ensure_port(const PortSpec& spec) {
  const LinkState link = WEFT_TRY(state(spec.link));
  const LinkState bridge = WEFT_TRY(state(spec.bridge));
  if (!bridge.bridge) {
    return wrong_kind(bridge.info, "bridge");
  }
  if (link.info.master != bridge.info.index) {
    NetlinkMessage message = change(link.info.index);
    message.u32(IFLA_MASTER, bridge.info.index);
    WEFT_TRY(
        netlink_->request(message, fmt::format("make {} a port of {}", spec.link, spec.bridge)));
  } else if (link.port && behaves_as(*link.port, spec)) {
    return Ok{};
  }
  NetlinkMessage message = change(link.info.index);
  message.nested(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.text(IFLA_INFO_SLAVE_KIND, "bridge");
    info.nested(IFLA_INFO_SLAVE_DATA, [&](NetlinkMessage& data) {
      data.u8(IFLA_BRPORT_LEARNING, spec.learning ? 1 : 0);
      data.u8(IFLA_BRPORT_UNICAST_FLOOD, spec.flood_unknown ? 1 : 0);
      data.u8(IFLA_BRPORT_MCAST_FLOOD, spec.flood_multicast ? 1 : 0);
      data.u8(IFLA_BRPORT_BCAST_FLOOD, spec.flood_broadcast ? 1 : 0);
      data.u8(IFLA_BRPORT_ISOLATED, spec.isolated ? 1 : 0);
      data.u8(IFLA_BRPORT_MODE, spec.hairpin ? 1 : 0);
    });
  });
  return netlink_->request(message, "configure bridge port " + spec.link);
}

Result<std::uint32_t> KernelNetdev::ensure_up(const std::string& link, std::uint32_t mtu) {
  const LinkState found = WEFT_TRY(state(link));
  WEFT_TRY(settle(found, {.mtu = mtu, .mac = {}}));
  return found.info.index;
}

Result<Ok> KernelNetdev::set_mtu(const std::string& link, std::uint32_t mtu) {
  const LinkState found = WEFT_TRY(state(link));
  if (found.info.mtu == mtu) {
    return Ok{};
  }
  NetlinkMessage message = change(found.info.index);
  message.u32(IFLA_MTU, mtu);
  return netlink_->request(message, fmt::format("set mtu of {} to {}", link, mtu));
}

Result<Ok> KernelNetdev::rename_link(const std::string& from, const std::string& to) {
  WEFT_TRY(check_name(to));
  const LinkState link = WEFT_TRY(state(from));
  const auto rename = [&] {
    NetlinkMessage message = change(link.info.index);
    message.text(IFLA_IFNAME, to);
    return netlink_->request(message, fmt::format("rename link {} to {}", from, to));
  };
  const auto switch_up = [&](unsigned flags) {
    NetlinkMessage message(RTM_NEWLINK, 0);
    ifinfomsg header = header_of(link.info.index);
    header.ifi_flags = flags;
    header.ifi_change = IFF_UP;
    message.header(header);
    return netlink_->request(message, fmt::format("switch link {} up or down", from));
  };
  Result<Ok> renamed = rename();
  if (renamed.ok() || renamed.error().os != EBUSY) {
    return renamed;
  }
  WEFT_TRY(switch_up(0));
  renamed = rename();
  WEFT_TRY(switch_up(IFF_UP));
  return renamed;
}

Result<Ok> KernelNetdev::remove_link(const std::string& name) {
  const std::optional<LinkState> link = WEFT_TRY(find_state(name));
  if (!link) {
    return Ok{};
  }
  NetlinkMessage message(RTM_DELLINK, 0);
  message.header(header_of(link->info.index));
  const Result<Ok> removed = netlink_->request(message, "remove link " + name);
  // Somebody else was quicker.
  return !removed.ok() && removed.error().code == Errc::NotFound ? Result<Ok>(Ok{}) : removed;
}

// The kernel's way of removing several links together is by their group.
Result<Ok> KernelNetdev::remove_links(const std::vector<std::string>& names) {
  if (names.size() == 1) {
    return remove_link(names.front());
  }
  std::size_t found = 0;
  for (const std::string& name : names) {
    const std::optional<LinkState> link = WEFT_TRY(find_state(name));
    if (!link) {
      continue;
    }
    NetlinkMessage message = change(link->info.index);
    message.u32(IFLA_GROUP, kRemovalGroup);
    WEFT_TRY(netlink_->request(message, "mark link " + name + " for removal"));
    ++found;
  }
  if (found == 0) {
    return Ok{};
  }
  NetlinkMessage message(RTM_DELLINK, 0);
  message.header(header_of(0)).u32(IFLA_GROUP, kRemovalGroup);
  return netlink_->request(message, fmt::format("remove {} links", found));
}

Result<std::unique_ptr<Netdev>> open_netdev() {
  std::unique_ptr<Netlink> netlink = WEFT_TRY(Netlink::open());
  return std::unique_ptr<Netdev>(std::make_unique<KernelNetdev>(std::move(netlink)));
}

}  // namespace weft::sys
