// What `weft reset` takes away of the data path.
#include <optional>
#include <vector>

#include "base/netdev.h"
#include "router/io/datapath_service.h"
#include "sys/firewall.h"
#include "sys/nftables/policy_table.h"
#include "sys/xfrm/xfrm.h"

namespace weft::router {

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
