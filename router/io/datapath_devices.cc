#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "router/io/datapath_impl.h"
#include "sys/firewall.h"
#include "sys/link/checksum_offload.h"

namespace weft::router {

namespace {

// The kernel says when something changes. This is for what it does not announce, such as a lower
// MTU learned on the way; at 20 µs per peer the work stays below 0.02 % of a CPU with 500 peers.
constexpr auto kRepairInterval = std::chrono::seconds(60);

constexpr std::uint32_t kEthernetMtu = 1500;
// Below, IPv4 itself does not work (RFC 791: every host accepts 576); above, TAP devices refuse.
constexpr std::uint32_t kMtuMin = 576;
constexpr std::uint32_t kMtuMax = 65000;

// Nobody speaks to it; it must only differ from the bridge's.
Mac seal_mac(PeerName self) {
  Mac::Octets octets = bridge_mac(self).octets();
  octets[5] ^= 1U;
  return Mac(octets);
}

// A port by which frames leave this host: it neither learns nor is flooded to, it gets what an
// entry names it for.
PortSpec way_out(const std::string& link, const std::string& bridge) {
  return {.link = link,
          .bridge = bridge,
          .learning = false,
          .flood_unknown = false,
          .flood_multicast = false,
          .flood_broadcast = false,
          .isolated = true};
}

}  // namespace

// Somebody may have deleted it.
Result<Ok> DatapathService::Impl::ensure_tap() {
  const std::optional<LinkInfo> link = WEFT_TRY(netdev_.find_link(tap_name_));
  if (tap_ && link && link->index == tap_->ifindex()) {
    return Ok{};
  }
  auto tap = WEFT_TRY(sys::open_tap(executor_, tap_name_, mtu_, [this](ByteView frame) {
    driver_->feed([frame](Forwarding& core, TimePoint now, ForwardingActions& out) {
      core.on_frame(now, frame, out);
    });
  }));
  tap_ = std::move(tap);
  return Ok{};
}

void DatapathService::Impl::load_programs() {
  if (options_.policies) {
    reason_ = "policies are asked at the bridge";
  } else if (!options_.bpf) {
    reason_ = "switched off";
  } else {
    Result<std::unique_ptr<sys::FastPath>> loaded = sys::load_fast_path(
        {.vni = options_.vni,
         .port = options_.vxlan_port,
         .guard = options_.sealed != nullptr && options_.sealed->may_have_esp(),
         .sealed_port = options_.sealed != nullptr ? options_.sealed->port() : std::uint16_t{0}});
    if (loaded.ok()) {
      fast_path_ = std::move(loaded).value();
      if (options_.sealed != nullptr && !fast_path_->lane()) {
        log::info("the kernel's verifier refuses the cipher: small frames are sealed by the agent");
      }
      return;
    }
    reason_ = loaded.error().what;
    log::warning("fast path not available, using the bridge", {"reason", reason_});
  }
  // Programs of an earlier run would forward by tables nobody keeps.
  note("detach fast path", sys::detach_fast_path());
}

Result<Ok> DatapathService::Impl::ensure_firewall() {
  return options_.policies ? sys::ensure_policy_hooks(options_.bridge)
                           : sys::ensure_forward_accept(options_.bridge);
}

Result<Ok> DatapathService::Impl::ensure_devices() {
  const std::uint32_t bridge = WEFT_TRY(netdev_.ensure_bridge(
      {.name = options_.bridge, .mac = bridge_mac(options_.self), .mtu = mtu_}));
  if (needs_vxlan()) {
    WEFT_TRY(ensure_vxlan());
  } else {
    WEFT_TRY(netdev_.remove_link(vxlan_));  // Of an earlier run without a password.
  }
  if (options_.sealed != nullptr) {
    WEFT_TRY(ensure_seal());
  } else {
    WEFT_TRY(netdev_.remove_link(seal_port_));
  }
  WEFT_TRY(ensure_tap());
  WEFT_TRY(netdev_.ensure_port(
      {.link = tap_name_, .bridge = options_.bridge, .learning = false, .isolated = true}));
  if (bridge == bridge_index_) {
    return Ok{};
  }
  // New, also to the containers that were on one of that name before.
  bridge_index_ = bridge;
  WEFT_TRY(ensure_carriers());
  for (const auto& [host, port] : ports_) {
    WEFT_TRY(ensure_container_port(host, port));
  }
  return Ok{};
}

Result<Ok> DatapathService::Impl::ensure_vxlan() {
  const std::uint32_t vxlan = WEFT_TRY(netdev_.ensure_vxlan({.name = vxlan_,
                                                             .external = fast_path_ != nullptr,
                                                             .vni = options_.vni,
                                                             .port = options_.vxlan_port,
                                                             .mtu = mtu_}));
  // An external device without its gate would let every stranger's frames in: gate first.
  if (fast_path_ && vxlan != vxlan_index_) {
    WEFT_TRY(fast_path_->attach_vxlan(vxlan));
  }
  if (std::exchange(vxlan_index_, vxlan) != vxlan && has_esp_) {
    for (const auto& [peer, path] : peers_) {
      tell_fast_path(peer);
    }
  }
  WEFT_TRY(netdev_.ensure_port(way_out(vxlan_, options_.bridge)));
  return Ok{};
}

// The port neither learns nor is flooded to: it gets what an entry names it for, and floods the
// frames that peers have flooded, never on to VXLAN or the agent.
Result<Ok> DatapathService::Impl::ensure_seal() {
  WEFT_TRY(netdev_.ensure_veth({.name = seal_port_,
                                .peer = seal_end_,
                                .peer_mac = seal_mac(options_.self),
                                .mtu = mtu_,
                                .peer_is_silent = true}));
  WEFT_TRY(netdev_.ensure_port(way_out(seal_port_, options_.bridge)));
  const std::optional<LinkInfo> end = WEFT_TRY(netdev_.find_link(seal_end_));
  if (!end) {
    return Error{Errc::NotFound, fmt::format("link {} is gone", seal_end_)};
  }
  if (end->index != seal_index_) {
    WEFT_TRY(options_.sealed->set_device(end->index));
    seal_index_ = end->index;
    for (const auto& [peer, path] : peers_) {
      tell_fast_path(peer);
    }
  }
  return ensure_lane();
}

// The pair of devices that small frames pass to be sealed in the kernel: see
// router/bpf/kernel_lane.bpf.h. Without it the agent seals them.
Result<Ok> DatapathService::Impl::ensure_lane() {
  const std::shared_ptr<sys::KernelLane> lane = fast_path_ ? fast_path_->lane() : nullptr;
  if (!lane) {
    return netdev_.remove_link(lane_port_);
  }
  WEFT_TRY(netdev_.ensure_veth({.name = lane_port_,
                                .peer = lane_end_,
                                .peer_mac = seal_mac(options_.self),
                                .mtu = mtu_,
                                .peer_is_silent = true}));
  const std::optional<LinkInfo> port = WEFT_TRY(netdev_.find_link(lane_port_));
  const std::optional<LinkInfo> end = WEFT_TRY(netdev_.find_link(lane_end_));
  if (!port || !end) {
    return Error{Errc::NotFound, fmt::format("link {} is gone", lane_end_)};
  }
  if (end->index != lane_index_) {
    WEFT_TRY(sys::set_checksum_offload(lane_port_, false));
    WEFT_TRY(fast_path_->attach_lane(end->index));
    lane_index_ = end->index;
  }
  lane->set_devices(port->index, seal_index_);
  options_.sealed->set_lane(lane);
  return Ok{};
}

Result<Ok> DatapathService::Impl::ensure_container_port(const std::string& host, const Port& port) {
  return netdev_.ensure_port({.link = host, .bridge = options_.bridge, .hairpin = port.hairpin});
}

// What the kernel forwards already. Its bridge entries are completed: the device may be new.
Forwarding::Adopted DatapathService::Impl::adopt() {
  Forwarding::Adopted adopted;
  Result<std::vector<FdbEntry>> found = netdev_.fdb(vxlan_);
  const std::vector<FdbEntry> present = std::move(found).value_or({});
  if (fast_path_) {
    sys::FastPath::Entries entries = fast_path_->entries();
    adopted = {.remotes = std::move(entries.remotes),
               .locals = std::move(entries.locals),
               .peers = std::move(entries.peers),
               .neighbors = std::move(entries.neighbors)};
  } else {
    for (const FdbEntry& entry : present) {
      if (entry.remote) {
        adopted.remotes.emplace(entry.mac, *entry.remote);
        adopted.peers.insert(*entry.remote);
      }
    }
  }
  for (const FdbEntry& entry : present) {
    entries_[entry.mac].push_back(entry);
  }
  for (const FdbEntry& entry : netdev_.fdb(seal_port_).value_or({})) {
    if (adopted.remotes.contains(entry.mac)) {
      entries_[entry.mac].push_back(entry);
    } else {
      (void)netdev_.remove_fdb(entry);  // Without an agent it has led nowhere.
    }
  }
  for (const auto& [mac, underlay] : adopted.remotes) {
    set_entries(mac, remote_entries(mac, underlay));
  }
  remotes_ = adopted.remotes;
  if (options_.sealed != nullptr) {
    for (const auto& [mac, underlay] : adopted.remotes) {
      options_.sealed->set_remote(mac, underlay);
    }
  }
  if (delivers_sealed()) {
    for (const auto& [mac, ifindex] : adopted.locals) {
      options_.sealed->set_local(mac, ifindex);
    }
  }
  for (const Ip& peer : adopted.peers) {
    peers_.emplace(peer, std::nullopt);
    refresh_path(peer);
  }
  return adopted;
}

// The bridge sends frames for the MAC to the VXLAN device, in both modes: frames of the host
// itself, and those the fast path leaves alone. Without BPF the device needs an entry of its own.
std::vector<FdbEntry> DatapathService::Impl::remote_entries(Mac mac, const Ip& underlay) const {
  if (is_sealed(underlay)) {
    return {{.mac = mac, .link = seal_port_, .remote = std::nullopt}};
  }
  const std::optional<ClearRelay> relay = clear_relay(path_to(underlay));
  if (relay && relay->by_agent) {
    return {{.mac = mac, .link = tap_name_, .remote = std::nullopt}};
  }
  std::vector<FdbEntry> entries{{.mac = mac, .link = vxlan_, .remote = std::nullopt}};
  if (!fast_path_) {
    entries.push_back({.mac = mac, .link = vxlan_, .remote = relay ? relay->at : underlay});
  }
  return entries;
}

void DatapathService::Impl::set_entries(Mac mac, std::vector<FdbEntry> wanted) {
  const std::vector<FdbEntry> before = std::exchange(entries_[mac], wanted);
  const auto is_in = [](const std::vector<FdbEntry>& entries, const FdbEntry& entry) {
    return std::find(entries.begin(), entries.end(), entry) != entries.end();
  };
  for (const FdbEntry& entry : before) {
    // The bridge holds one entry per MAC, and adding replaces it.
    const bool replaced =
        std::any_of(wanted.begin(), wanted.end(), [&entry](const FdbEntry& other) {
          return other.remote.has_value() == entry.remote.has_value();
        });
    if (!replaced) {
      (void)netdev_.remove_fdb(entry);  // Its port may be gone, and the entry with it.
    }
  }
  for (const FdbEntry& entry : wanted) {
    if (!is_in(before, entry)) {
      note("bridge entry", netdev_.add_fdb(entry));
    }
  }
  if (wanted.empty()) {
    entries_.erase(mac);
  }
}

bool DatapathService::Impl::is_watched(std::uint32_t ifindex) const {
  return ifindex == bridge_index_ || ifindex == vxlan_index_ || ifindex == tap_->ifindex()
         || std::any_of(peers_.begin(), peers_.end(), [ifindex](const auto& peer) {
              return peer.second && peer.second->ifindex == ifindex;
            });
}

void DatapathService::Impl::repair(const sys::NetworkChange& change) {
  netdev_.forget_paths();
  if (change.links) {
    note("devices", ensure_devices());
  }
  if (change.firewall) {
    note("firewall", ensure_firewall());
  }
  if (!gateways_.empty() || !exposed_.empty()) {
    note("gateway", ensure_gateways());
  }
  if (change.links || change.routes) {
    for (const auto& [peer, path] : peers_) {
      refresh_path(peer);
    }
    refresh_mtu();
  }
}

void DatapathService::Impl::schedule_repair() {
  timer_.expires_after(kRepairInterval);
  timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
    if (!error) {
      repair({.links = true, .routes = true, .firewall = true});
      schedule_repair();
    }
  }));
}

// What every path can carry; before there are peers, what the device of the default route can.
std::uint32_t DatapathService::Impl::wanted_mtu() {
  if (options_.mtu != 0) {
    return options_.mtu;
  }
  std::uint32_t lowest = std::numeric_limits<std::uint32_t>::max();
  for (const auto& [peer, path] : peers_) {
    if (path && payload_max(peer, path->mtu) != 0) {
      lowest = std::min(lowest, payload_max(peer, path->mtu));
    }
  }
  if (lowest != std::numeric_limits<std::uint32_t>::max()) {
    return std::clamp(lowest, kMtuMin, kMtuMax);
  }
  std::uint32_t underlay = kEthernetMtu;
  for (const RouteInfo& route : netdev_.routes().value_or({})) {
    const auto link = route.destination.prefix() == 0
                          ? netdev_.find_link(route.link).value_or(std::nullopt)
                          : std::nullopt;
    if (link) {
      underlay = link->mtu;
      break;
    }
  }
  return std::clamp(payload_max(Ipv4(), underlay), kMtuMin, kMtuMax);
}

void DatapathService::Impl::refresh_path(const Ip& peer) {
  Result<PathInfo> found = netdev_.path_to(peer);
  std::optional<PathInfo>& path = peers_[peer];
  if (!found.ok()) {
    note("path to " + peer.to_string(), std::move(found).error());
    path.reset();
  } else {
    note("path to " + peer.to_string(), Ok{});
    const PathInfo& now = found.value();
    const bool is_same = path && path->ifindex == now.ifindex && path->source == now.source
                         && path->on_link == now.on_link;
    path = now;
    if (options_.sealed != nullptr) {
      options_.sealed->set_path_mtu(peer, now.mtu);
      options_.sealed->set_source(peer, now.source);
    }
    tell_route_mtu(peer);
    if (is_same) {
      return;
    }
  }
  tell_fast_path(peer);
}

void DatapathService::Impl::tell_fast_path(const Ip& peer) {
  if (!fast_path_) {
    return;
  }
  const std::optional<PathInfo>& path = peers_[peer];
  attach_underlay(path);
  if (is_esp(peer)) {
    note("peer in the fast path", fast_path_->set_esp_peer(peer, vxlan_index_, size_limit(peer)));
    return;
  }
  if (is_sealed(peer)) {
    using enum sys::FastPath::Trust;
    const auto otherwise = esp_.contains(peer) ? Esp : Refuse;
    // Also without a route: nothing may leave past the agent.
    // Through a relay the agent seals, and counts the hops.
    const bool is_straight = path && path_to(peer).way == Way::Sealed;
    note("peer in the fast path",
         fast_path_->set_sealed_peer(peer,
                                     {.device = seal_index_,
                                      .trust = is_clear_allowed(peer) ? Accept : otherwise,
                                      .limit = size_limit(peer),
                                      .ifindex = is_straight ? path->ifindex : 0,
                                      .source = path ? path->source : Ip(),
                                      .on_link = path && path->on_link}));
    return;
  }
  const std::optional<ClearRelay> relay = clear_relay(path_to(peer));
  const auto next = relay ? peers_.find(relay->at) : peers_.find(peer);
  const std::optional<PathInfo> route = next == peers_.end() ? std::nullopt : next->second;
  note("peer in the fast path",
       fast_path_->set_peer(peer,
                            {.next = relay ? relay->at : peer,
                             .source = route ? route->source : Ip(),
                             .ifindex = route ? route->ifindex : 0,
                             .on_link = route && route->on_link,
                             .slow = relay && relay->by_agent,
                             .limit = size_limit(peer)}));
}

// Programs on the underlay take VXLAN in, or refuse it.
void DatapathService::Impl::attach_underlay(const std::optional<PathInfo>& path) {
  if (path && path->link != options_.bridge && !underlay_.contains(path->ifindex)) {
    const Result<Ok> attached = fast_path_->attach_underlay(path->ifindex);
    note("filter on " + path->link, attached);
    if (attached.ok()) {
      underlay_.emplace(path->ifindex, path->link);
    }
  }
}

void DatapathService::Impl::refresh_mtu() {
  const std::uint32_t wanted = wanted_mtu();
  if (wanted == mtu_) {
    return;
  }
  log::info("overlay MTU changed", {"from", mtu_}, {"to", wanted});
  mtu_ = wanted;
  std::vector<std::string> links{options_.bridge, tap_name_};
  if (needs_vxlan()) {
    links.push_back(vxlan_);
  }
  if (options_.sealed != nullptr) {
    links.insert(links.end(), {seal_port_, seal_end_});
  }
  for (const std::string& link : links) {
    note("MTU of " + link, netdev_.set_mtu(link, mtu_));
  }
}

}  // namespace weft::router
