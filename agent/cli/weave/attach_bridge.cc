#include "agent/cli/weave/attach_bridge.h"

#include <fmt/format.h>

#include "agent/identity.h"
#include "base/entropy.h"
#include "router/io/device_names.h"
#include "sys/firewall.h"
#include "sys/netdev.h"

namespace weft::agent {
namespace {

Result<LinkInfo> find_bridge(sys::Netdev& netdev, const std::string& name) {
  const auto link = WEFT_TRY(netdev.find_link(name));
  if (!link || link->kind != "bridge") {
    return Error{Errc::NotFound, fmt::format("there is no bridge {}", name)};
  }
  return *link;
}

}  // namespace

Result<Ok> attach_bridge(const std::string& ours, const std::string& theirs) {
  const auto netdev = WEFT_TRY(sys::open_netdev());
  const LinkInfo own = WEFT_TRY(find_bridge(*netdev, ours));
  const LinkInfo other = WEFT_TRY(find_bridge(*netdev, theirs));
  if (own.index == other.index) {
    return Error{Errc::Invalid, fmt::format("{} is weft's own bridge", theirs)};
  }
  // Weave's names of the pair. The kernel takes 15 octets, of which the end tells bridges apart.
  constexpr std::size_t kShownMax = 7;
  const std::string shown =
      theirs.size() > kShownMax ? theirs.substr(theirs.size() - kShownMax) : theirs;
  // Of nobody else's; the address of a port of a bridge is of no use to anybody.
  SystemEntropy entropy;
  const std::string near = std::string(router::kJoinedPortPrefix) + shown;
  const std::string far = "vethwebg" + shown;
  WEFT_TRY(netdev->ensure_veth({.name = near,
                                .peer = far,
                                .peer_mac = random_mac(entropy),
                                .mtu = own.mtu,
                                .peer_is_silent = true}));
  WEFT_TRY(netdev->ensure_port({.link = near, .bridge = ours}));
  WEFT_TRY(netdev->ensure_port({.link = far, .bridge = theirs}));
  return sys::ensure_bridged_unchanged(ours);
}

}  // namespace weft::agent
