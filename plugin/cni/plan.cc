#include "plugin/cni/plan.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::plugin::cni {
namespace {

std::optional<Ip> gateway_for(const AddResult& addresses, bool is_v4) {
  for (const IpConfig& ip : addresses.ips) {
    if (ip.address.is_v4() == is_v4 && ip.gateway) {
      return ip.gateway;
    }
  }
  return std::nullopt;
}

bool has_routes(const NetworkConfig& config, const AddResult& addresses) {
  return config.ipam.routes.has_value() || !addresses.routes.empty();
}

void add_default_route(const IpConfig& ip, std::vector<Route>& routes) {
  const Ip any = ip.address.is_v4() ? Ip(Ipv4()) : Ip(Ipv6());
  const Route route{.destination = Cidr(any, 0), .gateway = ip.gateway};
  const bool is_there = std::any_of(routes.begin(), routes.end(), [&route](const Route& other) {
    return other.destination == route.destination;
  });
  if (is_there) {
    return;
  }
  if (!ip.address.contains(*ip.gateway)) {
    routes.push_back({.destination = Cidr(*ip.gateway, ip.gateway->bits()), .gateway = {}});
  }
  routes.push_back(route);
}

Error missing(std::string_view what, const std::string& which, const std::string& interface) {
  return Error{Errc::Conflict, fmt::format("{} {} of {} is missing", what, which, interface)};
}

}  // namespace

bool needs_gateway(const NetworkConfig& config, const AddResult& addresses, const IpConfig& ip) {
  return !ip.gateway && !has_routes(config, addresses);
}

std::vector<Route> plan_routes(const NetworkConfig& config, const AddResult& addresses) {
  std::vector<Route> routes = addresses.routes.empty()
                                  ? config.ipam.routes.value_or(std::vector<Route>())
                                  : addresses.routes;
  if (has_routes(config, addresses)) {
    for (Route& route : routes) {
      route.gateway =
          route.gateway ? route.gateway : gateway_for(addresses, route.destination.is_v4());
    }
    return routes;
  }
  for (const IpConfig& ip : addresses.ips) {
    if (ip.gateway && ip.gateway->is_v4() == ip.address.is_v4()) {
      add_default_route(ip, routes);
    }
  }
  return routes;
}

Result<Ok> check(const AddResult& previous,
                 const std::string& interface,
                 const Observed& observed) {
  const auto expected = std::find_if(
      previous.interfaces.begin(), previous.interfaces.end(), [&](const Interface& one) {
        return one.name == interface && !one.sandbox.empty();
      });
  if (expected == previous.interfaces.end()) {
    return Error{Errc::Invalid, fmt::format("prevResult has no interface {}", interface)};
  }
  if (!observed.link) {
    return Error{Errc::Conflict, fmt::format("interface {} is missing", interface)};
  }
  if (!observed.link->up) {
    return Error{Errc::Conflict, fmt::format("interface {} is down", interface)};
  }
  if (expected->mac && *expected->mac != observed.link->mac) {
    return Error{Errc::Conflict,
                 fmt::format("interface {} has the MAC {} (expected {})",
                             interface,
                             observed.link->mac.to_string(),
                             expected->mac->to_string())};
  }
  const auto index = static_cast<std::size_t>(expected - previous.interfaces.begin());
  for (const IpConfig& ip : previous.ips) {
    const bool is_there =
        std::find(observed.addresses.begin(), observed.addresses.end(), ip.address)
        != observed.addresses.end();
    if (ip.interface.value_or(index) == index && !is_there) {
      return missing("address", ip.address.to_string(), interface);
    }
  }
  for (const Route& route : previous.routes) {
    const bool is_there =
        std::any_of(observed.routes.begin(), observed.routes.end(), [&](const RouteInfo& one) {
          return one.destination == route.destination
                 && (!route.gateway || one.gateway == route.gateway);
        });
    if (!is_there) {
      return missing("route", route.destination.to_string(), interface);
    }
  }
  return Ok{};
}

}  // namespace weft::plugin::cni
