#include "sys/fake/fake_netdev.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::sys {
namespace {

Result<Ok> check_name(const std::string& name) {
  if (name.empty() || name.size() > kInterfaceNameMax
      || name.find_first_of("/: \t\n") != name.npos) {
    return Error{Errc::Invalid, fmt::format("interface name '{}'", name)};
  }
  return Ok{};
}

Error missing(const std::string& name) {
  return Error{Errc::NotFound, fmt::format("link {} does not exist", name), ENODEV};
}

Error wrong_kind(const LinkInfo& link, const std::string& expected) {
  return Error{Errc::Conflict,
               fmt::format("link {} is a {} (expected a {})", link.name, link.kind, expected)};
}

bool same_device(const VxlanSpec& a, const VxlanSpec& b) {
  return a.external == b.external && a.port == b.port && (a.external || a.vni == b.vni);
}

// Whether adding `entry` takes the place of `old`.
bool replaces(const FdbEntry& entry, const FdbEntry& old) {
  const bool same_table = entry.remote.has_value() == old.remote.has_value();
  const bool same_place = entry.mac != Mac() || entry.remote == old.remote;
  return entry.mac == old.mac && same_table && same_place;
}

}  // namespace

FakeNetdev::FakeNetdev() {
  constexpr std::uint32_t kLoopbackMtu = 65536;
  make("lo", "", kLoopbackMtu).info.up = true;
}

// --- inside --------------------------------------------------------------------------------------

Result<Ok> FakeNetdev::enter(const std::string& doing) {
  ++calls_;
  if (fail_in_ && --*fail_in_ == 0) {
    fail_in_.reset();
    return Error{Errc::Os, doing + ": told to fail", EIO};
  }
  return Ok{};
}

Result<FakeNetdev::Link*> FakeNetdev::get(const std::string& name) {
  WEFT_TRY(check_name(name));
  const auto found = links_.find(name);
  if (found == links_.end()) {
    return missing(name);
  }
  return &found->second;
}

FakeNetdev::Link& FakeNetdev::make(const std::string& name,
                                   const std::string& kind,
                                   std::uint32_t mtu) {
  Link link;
  link.info.index = ++last_index_;
  link.info.name = name;
  link.info.kind = kind;
  link.info.mtu = mtu;
  if (!kind.empty()) {
    const auto low = static_cast<std::uint8_t>(last_index_);
    link.info.mac = Mac({0x02, 0xfa, 0xce, 0, static_cast<std::uint8_t>(last_index_ >> 8U), low});
  }
  return links_.insert_or_assign(name, std::move(link)).first->second;
}

void FakeNetdev::settle(Link& link, std::uint32_t mtu) {
  link.info.mtu = mtu;
  link.info.up = true;
  link.info.alias = kLinkAlias;
}

bool FakeNetdev::is_in_use(const Link& bridge) const {
  return !bridge.addresses.empty()
         || std::any_of(links_.begin(), links_.end(), [&](const auto& one) {
              return one.second.info.master == bridge.info.index;
            });
}

void FakeNetdev::erase(const std::string& name) {
  const auto found = links_.find(name);
  if (found == links_.end()) {
    return;
  }
  const Link link = std::move(found->second);
  links_.erase(found);
  std::erase_if(routes_, [&](const RouteInfo& route) { return route.link == name; });
  if (gateway_.link == name) {
    gateway_ = {};
  }
  for (auto& [other_name, other] : links_) {
    if (other.info.master == link.info.index) {
      other.info.master = 0;
      other.port.reset();
    }
  }
  if (!link.veth_peer.empty()) {
    erase(link.veth_peer);
  }
}

// --- links ---------------------------------------------------------------------------------------

Result<std::uint32_t> FakeNetdev::ensure_bridge(const BridgeSpec& spec) {
  WEFT_TRY(enter("ensure bridge " + spec.name));
  WEFT_TRY(check_name(spec.name));
  const auto found = links_.find(spec.name);
  if (found != links_.end() && found->second.info.kind != "bridge") {
    return wrong_kind(found->second.info, "bridge");
  }
  if (found != links_.end() && found->second.info.alias != kLinkAlias
      && found->second.info.mac != spec.mac && is_in_use(found->second)) {
    return Error{Errc::Conflict, "bridge " + spec.name + " is somebody else's"};
  }
  Link& link = found != links_.end() ? found->second : make(spec.name, "bridge", spec.mtu);
  link.info.mac = spec.mac;
  settle(link, spec.mtu);
  return link.info.index;
}

Result<std::uint32_t> FakeNetdev::ensure_vxlan(const VxlanSpec& spec) {
  WEFT_TRY(enter("ensure vxlan " + spec.name));
  WEFT_TRY(check_name(spec.name));
  const auto found = links_.find(spec.name);
  const bool fits =
      found != links_.end() && found->second.vxlan && same_device(*found->second.vxlan, spec);
  if (!fits) {
    erase(spec.name);
  }
  Link& link = fits ? found->second : make(spec.name, "vxlan", spec.mtu);
  link.vxlan = spec;
  settle(link, spec.mtu);
  return link.info.index;
}

Result<std::uint32_t> FakeNetdev::ensure_veth(const VethSpec& spec) {
  WEFT_TRY(enter("ensure veth " + spec.name));
  WEFT_TRY(check_name(spec.name));
  WEFT_TRY(check_name(spec.peer));
  const auto found = links_.find(spec.name);
  if (found != links_.end() && found->second.info.kind != "veth") {
    return wrong_kind(found->second.info, "veth");
  }
  if (found == links_.end()) {
    if (links_.contains(spec.peer)) {
      return Error{Errc::Conflict, fmt::format("link {} exists", spec.peer), EEXIST};
    }
    make(spec.peer, "veth", spec.mtu).veth_peer = spec.name;
    Link& made = make(spec.name, "veth", spec.mtu);
    made.veth_peer = spec.peer;
    made.info.peer = links_.at(spec.peer).info.index;
    links_.at(spec.peer).info.peer = made.info.index;
  }
  Link& host = links_.at(spec.name);
  settle(host, spec.mtu);
  if (host.veth_peer == spec.peer) {
    Link& peer = links_.at(spec.peer);
    settle(peer, spec.mtu);
    peer.info.mac = spec.peer_mac;
  }
  return host.info.index;
}

Result<Ok> FakeNetdev::ensure_port(const PortSpec& spec) {
  WEFT_TRY(enter("ensure port " + spec.link));
  Link* const link = WEFT_TRY(get(spec.link));
  Link* const bridge = WEFT_TRY(get(spec.bridge));
  if (bridge->info.kind != "bridge") {
    return wrong_kind(bridge->info, "bridge");
  }
  if (link->info.master != bridge->info.index) {
    std::erase_if(link->fdb, [](const FdbEntry& entry) { return !entry.remote; });
  }
  link->info.master = bridge->info.index;
  link->port = spec;
  return Ok{};
}

Result<Ok> FakeNetdev::set_mtu(const std::string& link, std::uint32_t mtu) {
  WEFT_TRY(enter("set mtu of " + link));
  Link* const found = WEFT_TRY(get(link));
  found->info.mtu = mtu;
  return Ok{};
}

Result<Ok> FakeNetdev::rename_link(const std::string& from, const std::string& to) {
  WEFT_TRY(enter("rename link " + from));
  WEFT_TRY(check_name(to));
  WEFT_TRY(get(from));
  if (links_.contains(to)) {
    return Error{Errc::Conflict, fmt::format("link {} exists", to), EEXIST};
  }
  auto node = links_.extract(from);
  node.key() = to;
  node.mapped().info.name = to;
  if (!node.mapped().veth_peer.empty()) {
    links_.at(node.mapped().veth_peer).veth_peer = to;
  }
  links_.insert(std::move(node));
  for (RouteInfo& route : routes_) {
    route.link = route.link == from ? to : route.link;
  }
  gateway_.link = gateway_.link == from ? to : gateway_.link;
  for (auto& [name, link] : links_) {
    if (link.port && link.port->bridge == from) {
      link.port->bridge = to;
    }
    for (FdbEntry& entry : link.fdb) {
      entry.link = entry.link == from ? to : entry.link;
    }
  }
  return Ok{};
}

Result<Ok> FakeNetdev::remove_link(const std::string& name) {
  WEFT_TRY(enter("remove link " + name));
  WEFT_TRY(check_name(name));
  erase(name);
  return Ok{};
}

Result<Ok> FakeNetdev::remove_links(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    WEFT_TRY(remove_link(name));
  }
  return Ok{};
}

Result<std::optional<LinkInfo>> FakeNetdev::find_link(const std::string& name) {
  WEFT_TRY(enter("find link " + name));
  WEFT_TRY(check_name(name));
  const auto found = links_.find(name);
  return found == links_.end() ? std::nullopt : std::optional<LinkInfo>(found->second.info);
}

Result<std::optional<PortSpec>> FakeNetdev::find_port(const std::string& link) {
  WEFT_TRY(enter("find port " + link));
  Link* const found = WEFT_TRY(get(link));
  return found->port;
}

Result<std::vector<LinkInfo>> FakeNetdev::links() {
  WEFT_TRY(enter("list links"));
  std::vector<LinkInfo> all;
  for (const auto& [name, link] : links_) {
    all.push_back(link.info);
  }
  std::ranges::sort(all, {}, &LinkInfo::index);
  return all;
}

// --- routes and addresses ------------------------------------------------------------------------

Result<std::vector<RouteInfo>> FakeNetdev::routes() {
  WEFT_TRY(enter("list routes"));
  return routes_;
}

Result<std::vector<Cidr>> FakeNetdev::addresses(const std::string& link) {
  WEFT_TRY(enter("list addresses of " + link));
  Link* const found = WEFT_TRY(get(link));
  std::vector<Cidr> all = found->addresses;
  if (gateway_.link == link) {
    for (const Cidr& gateway : gateway_.addresses) {
      all.emplace_back(gateway.address(), gateway.address().bits());
    }
  }
  return all;
}

Result<Ok> FakeNetdev::ensure_gateway(const GatewaySpec& spec) {
  WEFT_TRY(enter("make the host a gateway on " + spec.link));
  if (!spec.addresses.empty()) {
    WEFT_TRY(get(spec.link));
  }
  gateway_ = spec;
  return Ok{};
}

Result<PathInfo> FakeNetdev::path_to(const Ip& destination) {
  WEFT_TRY(enter("find the path to " + destination.to_string()));
  for (const Cidr& gateway : gateway_.addresses) {
    if (gateway.contains(destination)) {
      const LinkInfo& link = links_.at(gateway_.link).info;
      return PathInfo{.ifindex = link.index,
                      .link = link.name,
                      .source = gateway.address(),
                      .mtu = link.mtu,
                      .on_link = true};
    }
  }
  const RouteInfo* best = nullptr;
  for (const RouteInfo& route : routes_) {
    const bool fits = route.destination.contains(destination);
    if (fits && (best == nullptr || route.destination.prefix() > best->destination.prefix())) {
      best = &route;
    }
  }
  const auto link = best == nullptr ? links_.end() : links_.find(best->link);
  if (link == links_.end()) {
    return Error{Errc::Unavailable, "no route to " + destination.to_string(), ENETUNREACH};
  }
  PathInfo path{.ifindex = link->second.info.index,
                .link = best->link,
                .source = {},
                .mtu = link->second.info.mtu,
                .on_link = !best->gateway};
  for (const Cidr& address : link->second.addresses) {
    if (address.is_v4() == destination.is_v4()) {
      path.source = address.address();
      break;
    }
  }
  return path;
}

// --- forwarding entries --------------------------------------------------------------------------

Result<Ok> FakeNetdev::add_fdb(const FdbEntry& entry) {
  WEFT_TRY(enter("add forwarding entry on " + entry.link));
  Link* const link = WEFT_TRY(get(entry.link));
  if (entry.remote ? !link->vxlan : link->info.master == 0) {
    return Error{
        Errc::Os, fmt::format("{} keeps no such forwarding entries", entry.link), EOPNOTSUPP};
  }
  std::erase_if(link->fdb, [&](const FdbEntry& old) { return replaces(entry, old); });
  link->fdb.push_back(entry);
  return Ok{};
}

Result<Ok> FakeNetdev::remove_fdb(const FdbEntry& entry) {
  WEFT_TRY(enter("remove forwarding entry on " + entry.link));
  Link* const link = WEFT_TRY(get(entry.link));
  std::erase(link->fdb, entry);
  return Ok{};
}

Result<std::vector<FdbEntry>> FakeNetdev::fdb(const std::string& link) {
  WEFT_TRY(enter("list forwarding entries of " + link));
  Link* const found = WEFT_TRY(get(link));
  return found->fdb;
}

// --- behind our back -----------------------------------------------------------------------------

std::uint32_t FakeNetdev::add_device(const std::string& name,
                                     const std::string& kind,
                                     std::uint32_t mtu) {
  return make(name, kind, mtu).info.index;
}

void FakeNetdev::set_up(const std::string& link, bool up) {
  links_.at(link).info.up = up;
}

void FakeNetdev::set_alias(const std::string& link, const std::string& alias) {
  links_.at(link).info.alias = alias;
}

void FakeNetdev::set_port(const PortSpec& spec) {
  links_.at(spec.link).port = spec;
}

void FakeNetdev::add_address(const std::string& link, const Cidr& address) {
  links_.at(link).addresses.push_back(address);
  routes_.push_back({.destination = address.network(), .link = link, .gateway = std::nullopt});
}

void FakeNetdev::move_away(const std::string& link) {
  const std::string peer = links_.at(link).veth_peer;
  links_.erase(link);
  if (!peer.empty()) {
    links_.at(peer).veth_peer.clear();
    links_.at(peer).info.peer = 0;
  }
}

}  // namespace weft::sys
