#include "router/io/datapath_service.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "base/overloaded.h"
#include "router/io/datapath_impl.h"
#include "router/io/esp/esp_path.h"
#include "sys/firewall.h"
#include "sys/xfrm/xfrm.h"

namespace weft::router {
namespace {

// What VXLAN adds to the inner packet: outer IP, UDP, VXLAN, inner Ethernet.
constexpr std::uint32_t kOverheadIpv4 = 20 + 8 + 8 + 14;
constexpr std::uint32_t kOverheadIpv6 = 40 + 8 + 8 + 14;

// What containers hand over at most when it is to be sealed: 44 packets, which with all their
// headers still fit one UDP super-datagram. Larger frames would take a second, tiny send.
constexpr std::uint32_t kSealedGsoMax = 60000;

// Who asks containers for their multicast groups. Nobody answers to it; it must only differ from
// all stations.
Mac querier_mac(PeerName self) {
  Mac::Octets octets = bridge_mac(self).octets();
  octets[5] ^= 2U;
  return Mac(octets);
}

}  // namespace

Result<Ok> DatapathService::Impl::start() {
  if (options_.sealed != nullptr) {
    options_.sealed->on_clear([this](const Ip& peer, bool agreed) { set_clear(peer, agreed); });
  }
  if (tap_name_.size() > kInterfaceNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("bridge name '{}' has more than {} characters",
                             options_.bridge,
                             kInterfaceNameMax - kTapSuffix.size())};
  }
  if (options_.policies) {
    WEFT_TRY(sys::ensure_policy_hooks(options_.bridge));  // Before anything is forwarded.
  }
  WEFT_TRY(take_over(netdev_, options_.self, options_.bridge));
  load_programs();
  if (options_.sealed != nullptr && options_.clear_possible && !fast_path_) {
    // The kernel's own VXLAN device would take clear frames from anybody.
    note("peers in clear", Error{Errc::Unavailable, "needs the BPF fast path; all are encrypted"});
    options_.clear_possible = false;
  }
  begin_esp();
  const sys::FastPath::Entries entries =
      fast_path_ ? fast_path_->entries() : sys::FastPath::Entries{};
  for (const Ip& peer : entries.peers) {
    peers_.emplace(peer, std::nullopt);
    refresh_path(peer);  // An earlier run may have left it in clear: from here on it is not.
  }
  // Nothing is sent past us any more that would need them.
  note("IPsec of an earlier run", sys::clear_xfrm());
  mtu_ = wanted_mtu();
  WEFT_TRY(ensure_tap());
  auto sender =
      WEFT_TRY(VxlanSender::open(executor_, {.vni = options_.vni, .port = options_.vxlan_port}));
  sender_ = std::move(sender);
  remover_ = WEFT_TRY(sys::LinkRemover::start(executor_, [](const Error& error) {
    log::warning("port not removed", {"why", error});
  }));
  WEFT_TRY(ensure_devices());
  if (!options_.policies) {
    note("policy hooks of an earlier run", sys::remove_policy_hooks(options_.bridge));
  }
  note("firewall", ensure_firewall());
  forwarding_ =
      std::make_unique<Forwarding>(Forwarding::Options{.self = options_.self,
                                                       .has_neighbors = fast_path_ != nullptr,
                                                       .querier = querier_mac(options_.self)},
                                   clock_.now(),
                                   adopt());
  driver_ = std::make_unique<Driver>(
      executor_, clock_, *forwarding_, [this](ForwardingAction a) { perform(std::move(a)); });
  start_paths();
  driver_->feed([](Forwarding&, TimePoint, ForwardingActions&) {});  // Starts its timer.
  watch_ = WEFT_TRY(sys::NetworkWatch::watch(
      executor_,
      [this](std::uint32_t ifindex) { return is_watched(ifindex); },
      [this](const sys::NetworkChange& change) { repair(change); }));
  netdev_.forget_paths();  // What has changed before this was heard by nobody.
  schedule_repair();
  return Ok{};
}

Result<Ok> DatapathService::Impl::plug(const PortRequest& port) {
  remover_->wait_for(port.host);
  const auto present = WEFT_TRY(netdev_.find_link(port.host));
  const std::uint32_t ifindex = WEFT_TRY(
      netdev_.ensure_veth({.name = port.host,
                           .peer = port.guest,
                           .peer_mac = port.mac,
                           .mtu = port.mtu != 0 ? std::min(port.mtu, mtu_) : mtu_,
                           .peer_gso_max = options_.sealed != nullptr ? kSealedGsoMax : 0}));
  const Port entry{.mac = port.mac, .ifindex = ifindex, .hairpin = port.hairpin};
  Result<Ok> plugged = ensure_container_port(port.host, entry);
  if (plugged.ok() && fast_path_) {
    plugged = fast_path_->attach_port(ifindex);
  }
  if (!plugged.ok()) {
    if (!present) {
      (void)netdev_.remove_link(port.host);  // The first error is the one to tell.
    }
    return std::move(plugged).error().with_context("plug " + port.host);
  }
  ports_.insert_or_assign(port.host, entry);
  driver_->feed([&](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.add_local(now, port.mac, port.addresses, ifindex, out);
  });
  return Ok{};
}

void DatapathService::Impl::unplug(const PortRequest& port) {
  driver_->feed([&](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.remove_local(now, port.mac, out);
  });
  ports_.erase(port.host);
  remover_->remove(port.host);
}

void DatapathService::Impl::sweep(const std::string& prefix, const std::set<std::string>& owned) {
  for (const LinkInfo& link : netdev_.links().value_or({})) {
    const bool is_left = link.kind == "veth" && link.alias == kLinkAlias
                         && link.name.starts_with(prefix) && !owned.contains(link.name);
    // A guest end that is elsewhere is in use, whoever may have forgotten it.
    if (is_left && link.peer != 0) {
      log::info("removing a port that has no owner", {"port", link.name});
      remover_->remove(link.name);
    }
  }
}

bool DatapathService::Impl::has_port(const std::string& host) {
  if (remover_->is_pending(host)) {
    return false;
  }
  // Who asks removes what is gone: an unanswered question must not look like a missing interface.
  const auto link = netdev_.find_link(host);
  return !link.ok() || link.value().has_value();
}

Result<Ok> DatapathService::Impl::set_gateways(std::vector<Cidr> gateways) {
  gateways_ = std::move(gateways);
  return settle_host();
}

Result<Ok> DatapathService::Impl::set_exposed(std::vector<Exposure> exposed) {
  exposed_ = std::move(exposed);
  return settle_host();
}

Result<Ok> DatapathService::Impl::set_kept(std::vector<sys::AddressRun> kept) {
  kept_ = std::move(kept);
  if (host_addresses().empty()) {
    return Ok{};  // Whoever sets gateways is still to say that there are none.
  }
  Result<Ok> ensured = ensure_gateways();
  note("gateway", ensured);
  return ensured;
}

void DatapathService::Impl::set_docker_bridge(const std::string& bridge) {
  if (std::exchange(options_.docker_bridge, bridge) != bridge && !exposed_.empty()) {
    note("gateway", ensure_gateways());
  }
}

std::vector<Cidr> DatapathService::Impl::host_addresses() const {
  std::vector<Cidr> addresses = gateways_;
  for (const Exposure& exposure : exposed_) {
    addresses.push_back(exposure.address);
  }
  return addresses;
}

Result<Ok> DatapathService::Impl::settle_host() {
  std::vector<Ip> addresses;
  for (const Cidr& address : host_addresses()) {
    addresses.push_back(address.address());
  }
  driver_->feed([&](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.set_host(now, bridge_mac(options_.self), addresses, out);
  });
  Result<Ok> ensured = ensure_gateways();
  note("gateway", ensured);
  return ensured;
}

// The firewall stands while there are routes.
Result<Ok> DatapathService::Impl::ensure_gateways() {
  if (!kept_) {
    return Ok{};
  }
  const std::vector<Cidr> addresses = host_addresses();
  if (addresses.empty()) {
    WEFT_TRY(netdev_.ensure_gateway({.link = options_.bridge, .addresses = {}}));
    return sys::remove_gateway_rules(options_.bridge);
  }
  WEFT_TRY(sys::ensure_gateway_rules(
      options_.bridge,
      addresses,
      {.exposed = exposed_, .kept = *kept_, .docker_bridge = options_.docker_bridge}));
  return netdev_.ensure_gateway({.link = options_.bridge, .addresses = addresses});
}

void DatapathService::Impl::on_record(const RecordChanged& change) {
  driver_->feed([&change](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.on_record(now, change, out);
  });
}

void DatapathService::Impl::perform(ForwardingAction action) {
  std::visit(overloaded{
                 [this](const SetLocal& a) { place(a); },
                 [this](const SetRemote& a) { place(a); },
                 [this](const DropMac& a) { drop(a.mac); },
                 [this](const SetNeighbor& a) {
                   note("address in the fast path", fast_path_->set_neighbor(a.address, a.mac));
                 },
                 [this](const DropNeighbor& a) {
                   note("address in the fast path", fast_path_->drop_neighbor(a.address));
                 },
                 [this](const SetPeer& a) { add_peer(a.underlay); },
                 [this](const DropPeer& a) { drop_peer(a.underlay); },
                 [this](const FrameToBridge& a) { tap_->write(a.frame); },
                 [this](const FrameToPeers& a) { send_to_peers(a); },
                 [this](PublishRecord& a) { publish(std::move(a)); },
             },
             action);
}

void DatapathService::Impl::place(const SetLocal& action) {
  for (const auto& [host, port] : ports_) {
    if (port.ifindex == action.ifindex) {
      // The bridge sees little of what a container sends; without this it would forget the MAC.
      set_entries(action.mac, {{.mac = action.mac, .link = host, .remote = std::nullopt}});
    }
  }
  if (delivers_sealed()) {
    options_.sealed->set_local(action.mac, action.ifindex);
  }
  remotes_.erase(action.mac);
  if (fast_path_) {
    note("container in the fast path", fast_path_->set_local(action.mac, action.ifindex));
  }
}

void DatapathService::Impl::place(const SetRemote& action) {
  set_entries(action.mac, remote_entries(action.mac, action.underlay));
  if (options_.sealed != nullptr) {
    options_.sealed->set_remote(action.mac, action.underlay);
  }
  remotes_.insert_or_assign(action.mac, action.underlay);
  if (fast_path_) {
    note("container in the fast path", fast_path_->set_remote(action.mac, action.underlay));
  }
}

void DatapathService::Impl::drop(Mac mac) {
  set_entries(mac, {});
  if (options_.sealed != nullptr) {
    options_.sealed->drop_mac(mac);
  }
  remotes_.erase(mac);
  if (fast_path_) {
    note("container in the fast path", fast_path_->drop_mac(mac));
  }
}

void DatapathService::Impl::set_clear(const Ip& peer, bool agreed) {
  if (agreed && options_.clear_possible) {
    clear_.insert(peer);
  } else {
    clear_.erase(peer);
  }
  // Trust may have changed without the path.
  if (const auto name = names_.find(peer); name != names_.end()) {
    tell_paths(name->second);
  }
  apply_path(peer);
}

void DatapathService::Impl::begin_esp() {
  if (options_.sealed == nullptr) {
    return;
  }
  if (!fast_path_) {
    // The gates that keep VXLAN in clear from coming in and going out are programs.
    options_.sealed->refuse_esp("it needs the BPF fast path");
    return;
  }
  options_.sealed->begin_esp(
      {.vxlan_port = options_.vxlan_port,
       .on_offer = [this] { return offer_esp(); },
       .on_ready = [this](const Ip& peer, bool ready) { set_esp(peer, ready); }});
}

// What the kernel's ESP stands on, before any peer is told that it may be used: the device that
// VXLAN goes through, programs that let it out sealed only, and room in packets.
Result<Ok> DatapathService::Impl::offer_esp() {
  fast_path_->set_guard();
  underlay_.clear();  // All are attached again, with the guard.
  has_esp_ = true;
  if (Result<Ok> made = ensure_devices(); !made.ok()) {
    has_esp_ = false;
    return std::move(made).error().with_context("devices for the kernel's ESP");
  }
  std::vector<Ip> known;
  for (const auto& [peer, path] : peers_) {
    known.push_back(peer);
  }
  for (const Ip& peer : known) {
    refresh_path(peer);
    apply_mtu(peer);
  }
  refresh_mtu();
  return Ok{};
}

void DatapathService::Impl::set_esp(const Ip& peer, bool ready) {
  if (ready) {
    esp_.insert(peer);
  } else {
    esp_.erase(peer);
  }
  if (const auto name = names_.find(peer); name != names_.end()) {
    tell_paths(name->second);
  }
  apply_path(peer);
}

// How large an inner packet makes an outer one of `mtu`; 0: none. A peer in clear may be sealed
// again at any time, by either way, and its packets must fit then.
std::uint32_t DatapathService::Impl::payload_max(const Ip& peer, std::uint32_t mtu) const {
  const std::uint32_t clear = peer.is_v4() ? kOverheadIpv4 : kOverheadIpv6;
  const std::uint32_t overhead = options_.sealed != nullptr ? SealedPath::overhead(peer) : clear;
  const std::uint32_t fits = mtu - std::min(mtu, overhead);
  return has_esp_ && peer.is_v4() ? std::min(fits, EspPath::payload_max(mtu)) : fits;
}

void DatapathService::Impl::add_peer(const Ip& peer) {
  peers_.emplace(peer, std::nullopt);
  refresh_path(peer);
  refresh_mtu();
}

void DatapathService::Impl::drop_peer(const Ip& peer) {
  peers_.erase(peer);
  netdev_.forget_paths();  // Of a link that no peer's path leaves by nothing is heard (is_watched).
  warnings_.erase("path to " + peer.to_string());
  if (fast_path_) {
    note("peer in the fast path", fast_path_->drop_peer(peer));
  }
}

// Posted, as the receiver may call the service again.
void DatapathService::Impl::publish(PublishRecord record) {
  boost::asio::post(executor_, lifetime_.guard([this, record = std::move(record)]() mutable {
    on_publish_(std::move(record));
  }));
}

void DatapathService::Impl::note(const std::string& topic, const Result<Ok>& result) {
  if (result.ok()) {
    warnings_.erase(topic);
    return;
  }
  if (warnings_.insert_or_assign(topic, result.error().what).second) {
    log::warning("data path needs attention", {"what", topic}, {"error", result.error()});
  }
}

DatapathStatus DatapathService::Impl::status() const {
  DatapathStatus status;
  status.mode = fast_path_ ? "bpf" : "bridge";
  status.reason = reason_;
  status.bridge = options_.bridge;
  status.mtu = mtu_;
  status.vni = options_.vni;
  status.port = options_.vxlan_port;
  for (const auto& [ifindex, link] : underlay_) {
    status.underlay.push_back(link);
  }
  status.offloads = offloads();
  status.local_count = forwarding_->local_count();
  status.group_count = forwarding_->group_count();
  status.remote_count = forwarding_->remote_count();
  status.forwarding = forwarding_->stats();
  if (fast_path_) {
    status.fast_path = fast_path_->stats();
  }
  status.paths = paths_->status();
  for (PathStatus& path : status.paths) {
    path.encrypted = options_.sealed != nullptr && path.path.way != Way::Clear;
  }
  status.path_stats = paths_->stats();
  status.relays = relays_;
  status.now = clock_.now();
  for (const auto& [peer, place] : places_) {
    status.path_mtus.emplace(peer, path_mtu(place));
    if (fast_path_) {
      status.traffic.emplace(peer, fast_path_->traffic(place));
    }
  }
  for (const auto& [topic, what] : warnings_) {
    status.warnings.push_back(topic + ": " + what);
  }
  return status;
}

Result<Ok> DatapathService::set_gateways(std::vector<Cidr> gateways) {
  return impl_->set_gateways(std::move(gateways));
}

Result<Ok> DatapathService::set_exposed(std::vector<Exposure> exposed) {
  return impl_->set_exposed(std::move(exposed));
}

Result<Ok> DatapathService::set_kept(std::vector<sys::AddressRun> kept) {
  return impl_->set_kept(std::move(kept));
}

void DatapathService::set_docker_bridge(const std::string& bridge) {
  impl_->set_docker_bridge(bridge);
}

Result<std::unique_ptr<DatapathService>> DatapathService::start(
    boost::asio::any_io_executor executor,
    const sys::Clock& clock,
    sys::Netdev& netdev,
    Options options,
    OnPublish on_publish) {
  auto impl = std::make_unique<Impl>(
      std::move(executor), clock, netdev, std::move(options), std::move(on_publish));
  WEFT_TRY(impl->start());
  return std::unique_ptr<DatapathService>(new DatapathService(std::move(impl)));
}

DatapathService::DatapathService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DatapathService::~DatapathService() = default;

Result<Ok> DatapathService::plug(const PortRequest& port) {
  return impl_->plug(port);
}

void DatapathService::unplug(const PortRequest& port) {
  impl_->unplug(port);
}

void DatapathService::sweep(const std::string& prefix, const std::set<std::string>& owned) {
  impl_->sweep(prefix, owned);
}

bool DatapathService::has_port(const std::string& host) {
  return impl_->has_port(host);
}

void DatapathService::on_record(const RecordChanged& change) {
  impl_->on_record(change);
}

void DatapathService::set_underlay(PeerName peer, std::optional<Ip> underlay) {
  impl_->set_underlay(peer, underlay);
}

DatapathStatus DatapathService::status() const {
  return impl_->status();
}

}  // namespace weft::router
