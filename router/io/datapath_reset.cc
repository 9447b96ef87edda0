// What `weft reset` takes away of the data path, and what a start under another name does.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/netdev.h"
#include "router/datapath/carrier.h"
#include "router/io/datapath_service.h"
#include "router/io/device_names.h"
#include "sys/firewall.h"
#include "sys/nftables/policy_table.h"
#include "sys/xfrm/xfrm.h"

namespace weft::router {
namespace {

// Of a pair the other end goes along.
constexpr std::array kOwnDevices{kTapSuffix, kVxlanSuffix, kSealPortSuffix, kLanePortSuffix};

Result<Ok> remove_own_devices(sys::Netdev& netdev, const std::string& bridge) {
  for (const std::string_view suffix : kOwnDevices) {
    if (bridge.size() + suffix.size() <= kInterfaceNameMax) {
      WEFT_TRY(netdev.remove_link(bridge + std::string(suffix)));
    }
  }
  return Ok{};
}

// A start that failed halfway leaves one that nobody is on. Anything else is not ours to remove.
Result<Ok> make_way(sys::Netdev& netdev, const std::string& bridge, const LinkInfo& earlier) {
  const std::optional<LinkInfo> present = WEFT_TRY(netdev.find_link(bridge));
  if (!present) {
    return Ok{};
  }
  const bool is_ours = present->kind == "bridge" && present->alias == kLinkAlias;
  if (is_ours) {
    WEFT_TRY(remove_own_devices(netdev, bridge));
  }
  const std::vector<LinkInfo> links = WEFT_TRY(netdev.links());
  const bool has_ports = std::any_of(links.begin(), links.end(), [&present](const LinkInfo& link) {
    return link.master == present->index;
  });
  if (is_ours && !has_ports) {
    return netdev.remove_link(bridge);
  }
  return Error{Errc::Conflict,
               fmt::format("containers are on the bridge {} of an earlier run, which cannot go on "
                           "as {}: there is such a link (expected none, or --bridge {})",
                           earlier.name,
                           bridge,
                           earlier.name)};
}

}  // namespace

Result<Ok> DatapathService::take_over(sys::Netdev& netdev,
                                      PeerName self,
                                      const std::string& bridge) {
  const std::vector<LinkInfo> links = WEFT_TRY(netdev.links());
  const auto earlier = std::find_if(links.begin(), links.end(), [&](const LinkInfo& link) {
    return link.kind == "bridge" && link.alias == kLinkAlias && link.mac == bridge_mac(self)
           && link.name != bridge;
  });
  if (earlier == links.end()) {
    return Ok{};
  }
  WEFT_TRY(make_way(netdev, bridge, *earlier));
  log::info("the bridge of an earlier run goes on under another name",
            {"from", earlier->name},
            {"to", bridge});
  WEFT_TRY(remove_own_devices(netdev, earlier->name));
  WEFT_TRY(netdev.ensure_gateway({.link = earlier->name, .addresses = {}}));
  WEFT_TRY(netdev.rename_link(earlier->name, bridge));
  WEFT_TRY(sys::remove_gateway_rules(earlier->name));
  WEFT_TRY(sys::remove_policy_hooks(earlier->name));
  WEFT_TRY(sys::remove_forward_accept(earlier->name));
  const bool is_joined = std::any_of(links.begin(), links.end(), [&](const LinkInfo& link) {
    return link.master == earlier->index && link.name.starts_with(kJoinedPortPrefix);
  });
  if (is_joined) {
    WEFT_TRY(sys::ensure_bridged_unchanged(bridge));
  }
  return sys::remove_bridged_unchanged(earlier->name);
}

Result<Ok> DatapathService::reset(sys::Netdev& netdev, const std::string& bridge) {
  WEFT_TRY(sys::detach_fast_path());
  WEFT_TRY(sys::clear_xfrm());
  WEFT_TRY(netdev.ensure_gateway({.link = bridge, .addresses = {}}));
  WEFT_TRY(sys::remove_gateway_rules(bridge));
  WEFT_TRY(sys::remove_policy_table());
  WEFT_TRY(sys::remove_policy_hooks(bridge));
  WEFT_TRY(sys::remove_forward_accept(bridge));
  const std::optional<LinkInfo> own = WEFT_TRY(netdev.find_link(bridge));
  const std::vector<LinkInfo> links = WEFT_TRY(netdev.links());
  for (const LinkInfo& link : links) {
    // Ports of our bridge, the bridge itself, and what a start that failed halfway left loose.
    const bool loose = link.master == 0 && link.kind != "bridge";
    const bool belongs = loose || link.name == bridge || (own && link.master == own->index);
    if (link.alias == kLinkAlias && belongs) {
      WEFT_TRY(netdev.remove_link(link.name));
    }
  }
  return Ok{};
}

}  // namespace weft::router
