// The host as a gateway, for KernelNetdev: addresses on the link, routes in a table of weft's own,
// and the policy rules that say who follows them.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "sys/netlink/netdev_kernel.h"
#include "sys/netlink/sysctl.h"

namespace weft::sys {
namespace {

// Docker looks for conflicts in the main table alone; "we" in ASCII.
constexpr std::uint32_t kTable = 0x7765;
// Marks routes and rules as weft's. Numbers up to 4 are the kernel's, routing daemons have
// registered theirs in rtnetlink.h, the last of them 192.
constexpr std::uint8_t kProtocol = 119;
// Between the local table (0) and the main one (32766), ahead of what VPNs put before the latter.
constexpr std::uint32_t kRefusePriority = 776;
constexpr std::uint32_t kLookupPriority = 777;
// Marks the addresses of IPv4; those of IPv6 have no labels, but nobody else puts whole addresses
// without a route on a bridge of ours. By convention a label begins with the link's name and a
// colon.
constexpr std::string_view kLabelSuffix = ":gw";

std::string label_of(const std::string& link) {
  return link + std::string(kLabelSuffix);
}

constexpr std::array<std::uint8_t, 2> kFamilies = {AF_INET, AF_INET6};

std::uint8_t family_of(const Ip& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

// IPv6 may be compiled out or switched off: then there is nothing of it.
bool is_missing_family(const Error& error) {
  return error.os == EAFNOSUPPORT || error.os == EOPNOTSUPP;
}

struct Route {
  Cidr subnet;
  Ip source;

  friend bool operator==(const Route&, const Route&) = default;
};

// `subnet` set: refuse what comes from `link` for it. Otherwise: look up our table.
struct Rule {
  std::uint8_t family = AF_INET;
  std::string link;
  std::optional<Cidr> subnet;

  friend bool operator==(const Rule&, const Rule&) = default;
};

std::optional<Ip> address_in(ByteView bytes) {
  const Result<Ip> ip = Ip::from_bytes(bytes);
  return ip.ok() ? std::optional<Ip>(ip.value()) : std::nullopt;
}

template <class T>
bool is_in(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::optional<Ip> parse_address(const nlmsghdr* message,
                                std::uint32_t index,
                                std::string_view label) {
  if (message->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(message, sizeof(ifaddrmsg))) {
    return std::nullopt;
  }
  const auto* const header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(ifaddrmsg));
  if (header->ifa_index != index) {
    return std::nullopt;
  }
  if (header->ifa_family == AF_INET) {
    return attributes.text(IFA_LABEL) == label ? address_in(attributes.bytes(IFA_LOCAL))
                                               : std::nullopt;
  }
  const std::optional<Ip> address = address_in(attributes.bytes(IFA_ADDRESS));
  const bool has_route = (attributes.u32(IFA_FLAGS, 0) & IFA_F_NOPREFIXROUTE) == 0;
  const bool is_ours = address && header->ifa_prefixlen == address->bits() && !has_route
                       && header->ifa_scope == RT_SCOPE_UNIVERSE;
  return is_ours ? address : std::nullopt;
}

std::optional<Route> parse_route(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(message, sizeof(rtmsg))) {
    return std::nullopt;
  }
  const auto* const header = static_cast<const rtmsg*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(rtmsg));
  const std::optional<Ip> destination = address_in(attributes.bytes(RTA_DST));
  if (attributes.u32(RTA_TABLE, header->rtm_table) != kTable || header->rtm_protocol != kProtocol
      || !destination || header->rtm_dst_len > destination->bits()) {
    return std::nullopt;
  }
  return Route{.subnet = Cidr(*destination, header->rtm_dst_len),
               .source = address_in(attributes.bytes(RTA_PREFSRC)).value_or(Ip())};
}

std::optional<Rule> parse_rule(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWRULE || !nlmsg_valid_hdr(message, sizeof(fib_rule_hdr))) {
    return std::nullopt;
  }
  const auto* const header = static_cast<const fib_rule_hdr*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(fib_rule_hdr));
  if (attributes.u8(FRA_PROTOCOL, 0) != kProtocol) {
    return std::nullopt;
  }
  const std::optional<Ip> destination = address_in(attributes.bytes(FRA_DST));
  Rule rule{
      .family = header->family, .link = std::string(attributes.text(FRA_IIFNAME)), .subnet = {}};
  if (destination && header->dst_len <= destination->bits()) {
    rule.subnet = Cidr(*destination, header->dst_len);
  }
  return rule;
}

NetlinkMessage message_for(const Ip& address,
                           std::uint32_t index,
                           std::string_view label,
                           std::pair<int, int> type_and_flags) {
  ifaddrmsg header{};
  header.ifa_family = family_of(address);
  header.ifa_prefixlen = address.bits();
  header.ifa_index = index;
  NetlinkMessage message(type_and_flags.first, type_and_flags.second);
  message.header(header).bytes(IFA_LOCAL, address.bytes()).bytes(IFA_ADDRESS, address.bytes());
  if (address.is_v4()) {
    message.text(IFA_LABEL, label);
  } else {
    // Handed out once, so not to be probed for duplicates.
    message.u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
  }
  return message;
}

NetlinkMessage message_for(const Route& route, std::uint32_t index, int type, int flags) {
  rtmsg header{};
  header.rtm_family = family_of(route.subnet.address());
  header.rtm_dst_len = route.subnet.prefix();
  header.rtm_protocol = kProtocol;
  header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  NetlinkMessage message(type, flags);
  message.header(header).bytes(RTA_DST, route.subnet.address().bytes()).u32(RTA_TABLE, kTable);
  if (index != 0) {
    message.u32(RTA_OIF, index).bytes(RTA_PREFSRC, route.source.bytes());
  }
  return message;
}

NetlinkMessage message_for(const Rule& rule, int type, int flags) {
  fib_rule_hdr header{};
  header.family = rule.family;
  header.action = rule.subnet ? FR_ACT_PROHIBIT : FR_ACT_TO_TBL;
  header.dst_len = rule.subnet ? rule.subnet->prefix() : 0;
  NetlinkMessage message(type, flags);
  message.header(header).u8(FRA_PROTOCOL, kProtocol);
  if (rule.subnet) {
    message.u32(FRA_PRIORITY, kRefusePriority).text(FRA_IIFNAME, rule.link);
    message.bytes(FRA_DST, rule.subnet->address().bytes());
  } else {
    message.u32(FRA_PRIORITY, kLookupPriority).u32(FRA_TABLE, kTable);
  }
  return message;
}

// For what is there already when it is added, or gone when it is taken away.
Result<Ok> unless(int harmless, Result<Ok> result) {
  return !result.ok() && result.error().os == harmless ? Result<Ok>(Ok{}) : result;
}

}  // namespace

struct KernelNetdev::Gateway {
  std::string link;
  std::uint32_t index = 0;  // 0: there is no such link.
  std::vector<Ip> addresses;
  std::vector<Route> routes;
  std::vector<Rule> rules;
};

Result<KernelNetdev::Gateway> KernelNetdev::find_gateway(const std::string& link,
                                                         std::uint32_t index) {
  return consistent([&]() -> Result<Gateway> {
    Gateway found{.link = link, .index = index, .addresses = {}, .routes = {}, .rules = {}};
    for (const std::uint8_t family : kFamilies) {
      const Result<Ok> added = find_gateway_of(family, found);
      if (!added.ok() && !is_missing_family(added.error())) {
        return added.error();
      }
    }
    return found;
  });
}

Result<Ok> KernelNetdev::find_gateway_of(std::uint8_t family, Gateway& found) {
  const std::string label = label_of(found.link);
  NetlinkMessage addresses(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg inet{};
  inet.ifa_family = family;
  addresses.header(inet);
  WEFT_TRY(netlink_->query(addresses, "list addresses", [&](const nlmsghdr* answer) {
    const auto address = parse_address(answer, found.index, label);
    if (address && family_of(*address) == family) {  // Without IPv6 its dump has all there is.
      found.addresses.push_back(*address);
    }
  }));
  NetlinkMessage routes(RTM_GETROUTE, NLM_F_DUMP);
  rtmsg header{};
  header.rtm_family = family;
  routes.header(header);
  WEFT_TRY(netlink_->query(routes, "list routes", [&](const nlmsghdr* answer) {
    const auto route = parse_route(answer);
    if (route && family_of(route->subnet.address()) == family) {
      found.routes.push_back(*route);
    }
  }));
  NetlinkMessage rules(RTM_GETRULE, NLM_F_DUMP);
  fib_rule_hdr rule_header{};
  rule_header.family = family;
  rules.header(rule_header);
  return netlink_->query(rules, "list routing rules", [&](const nlmsghdr* answer) {
    const auto rule = parse_rule(answer);
    if (rule && rule->family == family) {
      found.rules.push_back(*rule);
    }
  });
}

// Rules that refuse before routes that lead: no moment in which one subnet reaches another.
Result<Ok> KernelNetdev::add_to_gateway(const Gateway& wanted, const Gateway& present) {
  constexpr int kNew = NLM_F_CREATE | NLM_F_EXCL;
  for (const Rule& rule : wanted.rules) {
    if (!is_in(present.rules, rule)) {
      NetlinkMessage message = message_for(rule, RTM_NEWRULE, kNew);
      WEFT_TRY(unless(EEXIST, netlink_->request(message, "add a routing rule for " + wanted.link)));
    }
  }
  for (const Ip& address : wanted.addresses) {
    if (!is_in(present.addresses, address)) {
      NetlinkMessage message =
          message_for(address, wanted.index, label_of(wanted.link), {RTM_NEWADDR, kNew});
      const std::string doing =
          fmt::format("add address {} to {}", address.to_string(), wanted.link);
      WEFT_TRY(unless(EEXIST, netlink_->request(message, doing)));
    }
  }
  for (const Route& route : wanted.routes) {
    if (!is_in(present.routes, route)) {
      NetlinkMessage message =
          message_for(route, wanted.index, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
      WEFT_TRY(netlink_->request(message, "add a route to " + route.subnet.to_string()));
    }
  }
  return Ok{};
}

Result<Ok> KernelNetdev::take_from_gateway(const Gateway& wanted, const Gateway& present) {
  for (const Route& route : present.routes) {
    const bool replaced = std::any_of(wanted.routes.begin(),
                                      wanted.routes.end(),
                                      [&](const auto& r) { return r.subnet == route.subnet; });
    if (!replaced) {
      NetlinkMessage message = message_for(route, 0, RTM_DELROUTE, 0);
      WEFT_TRY(unless(
          ESRCH, netlink_->request(message, "remove the route to " + route.subnet.to_string())));
    }
  }
  for (const Ip& address : present.addresses) {
    if (!is_in(wanted.addresses, address)) {
      NetlinkMessage message =
          message_for(address, present.index, label_of(present.link), {RTM_DELADDR, 0});
      WEFT_TRY(unless(EADDRNOTAVAIL,
                      netlink_->request(message, "remove address " + address.to_string())));
    }
  }
  for (const Rule& rule : present.rules) {
    if (!is_in(wanted.rules, rule)) {
      NetlinkMessage message = message_for(rule, RTM_DELRULE, 0);
      WEFT_TRY(unless(ENOENT, netlink_->request(message, "remove a routing rule")));
    }
  }
  return Ok{};
}

Result<Ok> KernelNetdev::ensure_gateway(const GatewaySpec& spec) {
  const std::optional<LinkState> link = WEFT_TRY(find_state(spec.link));
  if (!link && !spec.addresses.empty()) {
    return Error{Errc::NotFound, fmt::format("link {} does not exist", spec.link), ENODEV};
  }
  const std::uint32_t index = link ? link->info.index : 0;
  Gateway wanted{.link = spec.link, .index = index, .addresses = {}, .routes = {}, .rules = {}};
  for (const Cidr& address : spec.addresses) {
    const std::uint8_t family = family_of(address.address());
    const Rule refuse{.family = family, .link = spec.link, .subnet = address.network()};
    wanted.addresses.push_back(address.address());
    if (!is_in(wanted.rules, refuse)) {
      wanted.rules.push_back(refuse);
      wanted.routes.push_back({.subnet = address.network(), .source = address.address()});
    }
  }
  for (const std::uint8_t family : kFamilies) {
    const auto is_of = [family](const Ip& address) { return family_of(address) == family; };
    if (std::any_of(wanted.addresses.begin(), wanted.addresses.end(), is_of)) {
      wanted.rules.push_back({.family = family, .link = {}, .subnet = {}});
      WEFT_TRY(family == AF_INET ? ensure_sysctl("net/ipv4/ip_forward", "1")
                                 : ensure_ipv6_forwarding());
    }
  }
  const Gateway present = WEFT_TRY(find_gateway(spec.link, index));
  WEFT_TRY(add_to_gateway(wanted, present));
  return take_from_gateway(wanted, present);
}

}  // namespace weft::sys
