// Routes, addresses and paths of KernelNetdev.
#include <algorithm>

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "sys/netlink/netdev_kernel.h"

namespace weft::sys {
namespace {

using LinkNames = std::map<std::uint32_t, std::string>;

std::optional<Ip> address_in(ByteView bytes) {
  const Result<Ip> ip = Ip::from_bytes(bytes);
  return ip.ok() ? std::optional<Ip>(ip.value()) : std::nullopt;
}

// The gateway is RTA_GATEWAY, or RTA_VIA where it is of the other family (RFC 5549).
std::optional<Ip> gateway_in(const NetlinkAttributes& attributes) {
  const std::optional<Ip> gateway = address_in(attributes.bytes(RTA_GATEWAY));
  const ByteView via = attributes.bytes(RTA_VIA);
  if (gateway || via.size() < sizeof(std::uint16_t)) {
    return gateway;
  }
  return address_in(via.subspan(sizeof(std::uint16_t)));  // Past struct rtvia's family.
}

std::string name_of(const LinkNames& names, std::uint32_t index) {
  const auto found = names.find(index);
  return found == names.end() ? "" : found->second;
}

// RTA_MULTIPATH: one route for each of its next hops.
void append_next_hops(const NetlinkAttributes& attributes,
                      const LinkNames& names,
                      const Cidr& destination,
                      std::vector<RouteInfo>& out) {
  ByteView rest = attributes.bytes(RTA_MULTIPATH);
  while (rest.size() >= sizeof(rtnexthop)) {
    const auto* const hop = reinterpret_cast<const rtnexthop*>(rest.data());
    const std::size_t size =
        (hop->rtnh_len + std::size_t{RTNH_ALIGNTO} - 1) / RTNH_ALIGNTO * RTNH_ALIGNTO;
    if (hop->rtnh_len < sizeof(rtnexthop) || hop->rtnh_len > rest.size()) {
      return;
    }
    std::optional<Ip> gateway;
    const auto* const first = reinterpret_cast<const nlattr*>(hop + 1);
    const int length = static_cast<int>(hop->rtnh_len - sizeof(rtnexthop));
    if (const nlattr* const found = nla_find(first, length, RTA_GATEWAY)) {
      gateway = address_in({static_cast<const std::uint8_t*>(nla_data(found)),
                            static_cast<std::size_t>(nla_len(found))});
    }
    out.push_back({.destination = destination,
                   .link = name_of(names, static_cast<std::uint32_t>(hop->rtnh_ifindex)),
                   .gateway = gateway});
    rest = rest.subspan(std::min(size, rest.size()));
  }
}

void append_route(const nlmsghdr* message, const LinkNames& names, std::vector<RouteInfo>& out) {
  if (message->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(message, sizeof(rtmsg))) {
    return;
  }
  const auto* const header = static_cast<const rtmsg*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(rtmsg));
  const bool is_inet = header->rtm_family == AF_INET || header->rtm_family == AF_INET6;
  if (!is_inet || header->rtm_type != RTN_UNICAST || (header->rtm_flags & RTM_F_CLONED) != 0
      || attributes.u32(RTA_TABLE, header->rtm_table) != RT_TABLE_MAIN) {
    return;
  }
  const Ip any = header->rtm_family == AF_INET ? Ip(Ipv4()) : Ip(Ipv6());
  const Ip destination = address_in(attributes.bytes(RTA_DST)).value_or(any);
  if (header->rtm_dst_len > destination.bits()) {
    return;
  }
  const Cidr cidr(destination, header->rtm_dst_len);
  if (attributes.find(RTA_MULTIPATH) != nullptr) {
    append_next_hops(attributes, names, cidr, out);
    return;
  }
  out.push_back({.destination = cidr,
                 .link = name_of(names, attributes.u32(RTA_OIF, 0)),
                 .gateway = gateway_in(attributes)});
}

}  // namespace

Result<std::vector<RouteInfo>> KernelNetdev::routes() {
  const LinkNames names = WEFT_TRY(link_names());
  return consistent([&]() -> Result<std::vector<RouteInfo>> {
    std::vector<RouteInfo> all;
    for (const int family : {AF_INET, AF_INET6}) {
      rtmsg header{};
      header.rtm_family = static_cast<unsigned char>(family);
      NetlinkMessage message(RTM_GETROUTE, NLM_F_DUMP);
      message.header(header);
      WEFT_TRY(netlink_->query(message, "list routes", [&](const nlmsghdr* answer) {
        append_route(answer, names, all);
      }));
    }
    return all;
  });
}

Result<std::vector<Cidr>> KernelNetdev::addresses(const std::string& link) {
  const LinkState found = WEFT_TRY(state(link));
  return consistent([&]() -> Result<std::vector<Cidr>> {
    std::vector<Cidr> all;
    NetlinkMessage message(RTM_GETADDR, NLM_F_DUMP);
    message.header(ifaddrmsg{});
    WEFT_TRY(netlink_->query(message, "list addresses of " + link, [&](const nlmsghdr* answer) {
      if (answer->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(answer, sizeof(ifaddrmsg))) {
        return;
      }
      const auto* const header = static_cast<const ifaddrmsg*>(nlmsg_data(answer));
      if (header->ifa_index != found.info.index) {
        return;
      }
      const NetlinkAttributes attributes(answer, sizeof(ifaddrmsg));
      // On a point-to-point link IFA_ADDRESS is the other side's.
      const std::optional<Ip> local = address_in(attributes.bytes(IFA_LOCAL));
      const std::optional<Ip> address = local ? local : address_in(attributes.bytes(IFA_ADDRESS));
      if (address && header->ifa_prefixlen <= address->bits()) {
        all.emplace_back(*address, header->ifa_prefixlen);
      }
    }));
    return all;
  });
}

Result<PathInfo> KernelNetdev::path_to(const Ip& destination) {
  const std::string doing = "find the path to " + destination.to_string();
  rtmsg header{};
  header.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = destination.bits();
  NetlinkMessage message(RTM_GETROUTE, 0);
  message.header(header).bytes(RTA_DST, destination.bytes());

  PathInfo path;
  bool usable = false;
  std::uint32_t route_mtu = 0;
  WEFT_TRY(netlink_->query(message, doing, [&](const nlmsghdr* answer) {
    if (answer->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(answer, sizeof(rtmsg))) {
      return;
    }
    const auto type = static_cast<const rtmsg*>(nlmsg_data(answer))->rtm_type;
    const NetlinkAttributes attributes(answer, sizeof(rtmsg));
    const std::optional<Ip> source = address_in(attributes.bytes(RTA_PREFSRC));
    path.ifindex = attributes.u32(RTA_OIF, 0);
    path.source = source.value_or(Ip());
    path.on_link = attributes.bytes(RTA_GATEWAY).empty() && attributes.bytes(RTA_VIA).empty();
    route_mtu = attributes.nest(RTA_METRICS).u32(RTAX_MTU, 0);
    usable = source && (type == RTN_UNICAST || type == RTN_LOCAL);
  }));
  if (!usable) {
    return os_error(doing, ENETUNREACH);
  }
  auto link = path_links_.find(path.ifindex);
  if (link == path_links_.end()) {
    const std::optional<LinkState> found = WEFT_TRY(find_state(path.ifindex));
    if (!found) {
      return os_error(doing, ENETUNREACH);
    }
    link = path_links_.emplace(path.ifindex, found->info).first;
  }
  path.link = link->second.name;
  path.mtu = route_mtu == 0 ? link->second.mtu : std::min(route_mtu, link->second.mtu);
  return path;
}

}  // namespace weft::sys
