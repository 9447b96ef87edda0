// What a container's interface is to have, decided from the configuration and the addresses it got
// (Weave's rules), and whether it has it (CHECK). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/netdev.h"
#include "base/result.h"
#include "plugin/cni/config.h"
#include "plugin/cni/result.h"

namespace weft::plugin::cni {

// Whether the host is to be the gateway of an address: where neither routes nor a gateway were
// given, by the configuration or by a foreign plugin for addresses.
bool needs_gateway(const NetworkConfig& config, const AddResult& addresses, const IpConfig& ip);

// None given: a default route for each family that has a gateway, with a route to the gateway
// itself where it lies outside the subnet. Else exactly those given; one without a gateway of its
// own takes that of its family's first address.
std::vector<Route> plan_routes(const NetworkConfig& config, const AddResult& addresses);

// What is in the container.
struct Observed {
  std::optional<LinkInfo> link;
  std::vector<Cidr> addresses;    // Of the link.
  std::vector<RouteInfo> routes;  // Of the namespace.
};

// Errc::Conflict names what prevResult has and the container has not; what is there beyond it may
// be another plugin's.
Result<Ok> check(const AddResult& previous, const std::string& interface, const Observed& observed);

}  // namespace weft::plugin::cni
