#include "agent/underlay.h"

#include <algorithm>
#include <string>

#include "base/netdev.h"

namespace weft::agent {

namespace {

bool is_routable(const Ip& ip) {
  if (ip.is_v4()) {
    constexpr std::uint32_t kLoopback = 127;
    constexpr std::uint32_t kLinkLocal = 0xa9fe;  // 169.254/16, RFC 3927.
    return ip.v4().number() >> 24U != kLoopback && ip.v4().number() >> 16U != kLinkLocal;
  }
  const Ipv6::Octets& octets = ip.v6().octets();
  const bool link_local = octets[0] == 0xfe && (octets[1] & 0xc0U) == 0x80;  // fe80::/10.
  const bool loopback =
      std::all_of(octets.begin(), octets.end() - 1, [](std::uint8_t octet) { return octet == 0; });
  return !link_local && !loopback;
}

bool is_underlay(const LinkInfo& link) {
  // Docker's bridges have an address that is the same on many hosts.
  const bool of_docker =
      link.kind == "bridge"
      && (link.name == "docker0" || link.name == "docker_gwbridge" || link.name.starts_with("br-"));
  return link.up && link.name != "lo" && link.alias != kLinkAlias && !of_docker;
}

}  // namespace

Result<std::vector<Ip>> underlay_addresses(sys::Netdev& netdev, const Ip& host) {
  if (!host.is_unspecified()) {
    return std::vector<Ip>{host};
  }
  const std::vector<RouteInfo> routes = WEFT_TRY(netdev.routes());
  const auto has_default_route = [&](const std::string& link) {
    return std::any_of(routes.begin(), routes.end(), [&](const RouteInfo& route) {
      return route.destination.prefix() == 0 && route.link == link;
    });
  };
  std::vector<Ip> best;
  std::vector<Ip> others;
  const std::vector<LinkInfo> links = WEFT_TRY(netdev.links());
  for (const LinkInfo& link : links) {
    if (!is_underlay(link)) {
      continue;
    }
    std::vector<Ip>& ips = has_default_route(link.name) ? best : others;
    const std::vector<Cidr> addresses = WEFT_TRY(netdev.addresses(link.name));
    for (const Cidr& address : addresses) {
      if (is_routable(address.address())) {
        ips.push_back(address.address());
      }
    }
  }
  best.insert(best.end(), others.begin(), others.end());
  // Two families on four networks; a Peer record has room for twice that (router/mesh_wire.h).
  constexpr std::size_t kAddressesMax = 8;
  best.resize(std::min(best.size(), kAddressesMax));
  return best;
}

}  // namespace weft::agent
