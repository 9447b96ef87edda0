#include "router/io/datapath_service.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "base/overloaded.h"
#include "router/io/vxlan_sender.h"
#include "sys/core_driver.h"
#include "sys/firewall.h"
#include "sys/link_remover.h"
#include "sys/network_watch.h"
#include "sys/tap.h"

namespace weft::router {
namespace {

// The kernel says when something changes. This is for what it does not announce, such as a lower
// MTU learned on the way; at 20 µs per peer the work stays below 0.02 % of a CPU with 500 peers.
constexpr auto kRepairInterval = std::chrono::seconds(60);

// What VXLAN adds to the inner packet: outer IP, UDP, VXLAN, inner Ethernet.
constexpr std::uint32_t kOverheadIpv4 = 20 + 8 + 8 + 14;
constexpr std::uint32_t kOverheadIpv6 = 40 + 8 + 8 + 14;
constexpr std::uint32_t kEthernetMtu = 1500;
// Below, IPv4 itself does not work (RFC 791: every host accepts 576); above, TAP devices refuse.
constexpr std::uint32_t kMtuMin = 576;
constexpr std::uint32_t kMtuMax = 65000;

// The longest suffix of our devices' names.
constexpr std::string_view kTapSuffix = "-tap";
constexpr std::string_view kVxlanSuffix = "-vx";
constexpr std::string_view kSealPortSuffix = "-sp";
constexpr std::string_view kSealEndSuffix = "-se";

// What containers hand over at most when it is to be sealed: 44 packets, which with all their
// headers still fit one UDP super-datagram. Larger frames would take a second, tiny send.
constexpr std::uint32_t kSealedGsoMax = 60000;

// The peer's name as a locally administered station address, so that the bridge keeps its MAC.
Mac bridge_mac(PeerName self) {
  Mac::Octets octets = self.as_mac().octets();
  octets[0] = static_cast<std::uint8_t>((octets[0] & 0xfeU) | 0x02U);
  return Mac(octets);
}

// Nobody speaks to it; it must only differ from the bridge's.
Mac seal_mac(PeerName self) {
  Mac::Octets octets = bridge_mac(self).octets();
  octets[5] ^= 1U;
  return Mac(octets);
}

}  // namespace

class DatapathService::Impl {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       sys::Netdev& netdev,
       Options options,
       OnPublish on_publish)
      : executor_(std::move(executor)),
        clock_(clock),
        netdev_(netdev),
        options_(std::move(options)),
        on_publish_(std::make_shared<OnPublish>(std::move(on_publish))),
        vxlan_(options_.bridge + std::string(kVxlanSuffix)),
        tap_name_(options_.bridge + std::string(kTapSuffix)),
        seal_port_(options_.bridge + std::string(kSealPortSuffix)),
        seal_end_(options_.bridge + std::string(kSealEndSuffix)),
        timer_(executor_) {}

  Result<Ok> start();
  Result<Ok> plug(const PortRequest& port);
  void unplug(const PortRequest& port);
  void sweep(const std::string& prefix, const std::set<std::string>& owned);
  bool has_port(const std::string& host);
  Result<Ok> set_gateways(std::vector<Cidr> gateways);
  void on_record(const RecordChanged& change);
  void set_underlay(PeerName peer, const std::optional<Ip>& underlay);
  DatapathStatus status() const;

 private:
  struct Port {
    Mac mac;
    std::uint32_t ifindex = 0;
  };
  using Driver =
      sys::CoreDriver<Forwarding, ForwardingAction, std::function<void(ForwardingAction)>>;

  void load_programs();
  Result<Ok> ensure_devices();
  Result<Ok> ensure_vxlan();
  Result<Ok> ensure_seal();
  bool is_sealed(const Ip& peer) const {
    return options_.sealed != nullptr && !clear_.contains(peer);
  }
  void set_clear(const Ip& peer, bool agreed);
  std::uint32_t overhead(const Ip& peer) const;
  void send_to_peers(const FrameToPeers& action);
  Result<Ok> ensure_container_port(const std::string& host);
  Result<Ok> ensure_gateways();
  Forwarding::Adopted adopt();
  std::vector<FdbEntry> remote_entries(Mac mac, const Ip& underlay) const;
  void set_entries(Mac mac, std::vector<FdbEntry> wanted);
  Result<Ok> ensure_tap();
  bool is_watched(std::uint32_t ifindex) const;
  void repair(const sys::NetworkChange& change);
  void schedule_repair();

  std::uint32_t wanted_mtu();
  void refresh_path(const Ip& peer);
  void tell_fast_path(const Ip& peer);
  void attach_underlay(const std::optional<PathInfo>& path);
  void refresh_mtu();

  void perform(ForwardingAction action);
  void place(const SetLocal& action);
  void place(const SetRemote& action);
  void drop(Mac mac);
  void add_peer(const Ip& peer);
  void drop_peer(const Ip& peer);
  void publish(PublishRecord record);
  // Keeps what went wrong visible in status(), and says it once.
  void note(const std::string& topic, const Result<Ok>& result);

  boost::asio::any_io_executor executor_;
  const sys::Clock& clock_;
  sys::Netdev& netdev_;
  Options options_;
  std::shared_ptr<OnPublish> on_publish_;
  std::string vxlan_;
  std::string tap_name_;
  std::string seal_port_;
  std::string seal_end_;
  boost::asio::steady_timer timer_;

  std::unique_ptr<sys::FastPath> fast_path_;  // Nothing in bridge mode.
  std::string reason_;
  std::uint32_t mtu_ = 0;
  std::uint32_t bridge_index_ = 0;
  std::uint32_t vxlan_index_ = 0;
  std::uint32_t seal_index_ = 0;  // Of the end that the sealing thread listens on.
  std::map<Mac, Ip> remotes_;     // Of containers elsewhere, where there is a sealed path.
  std::set<Ip> clear_;            // Peers that agreed to go in clear, where others are sealed.
  std::unique_ptr<sys::Tap> tap_;
  std::unique_ptr<VxlanSender> sender_;
  std::unique_ptr<sys::LinkRemover> remover_;
  std::unique_ptr<sys::NetworkWatch> watch_;
  std::map<std::string, Port> ports_;              // By host end.
  std::vector<Cidr> gateways_;                     // The host's addresses among the containers.
  std::map<Mac, std::vector<FdbEntry>> entries_;   // What the bridge was told of each MAC.
  std::map<Ip, std::optional<PathInfo>> peers_;    // Nothing: no route now.
  std::map<std::uint32_t, std::string> underlay_;  // Devices with our filter.
  std::map<std::string, std::string> warnings_;    // By topic.
  std::unique_ptr<Forwarding> forwarding_;
  std::unique_ptr<Driver> driver_;
};

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
  load_programs();
  if (options_.sealed != nullptr && options_.clear_possible && !fast_path_) {
    // The kernel's own VXLAN device would take clear frames from anybody.
    note("peers in clear", Error{Errc::Unavailable, "needs the BPF fast path; all are encrypted"});
    options_.clear_possible = false;
  }
  const sys::FastPath::Entries entries =
      fast_path_ ? fast_path_->entries() : sys::FastPath::Entries{};
  for (const Ip& peer : entries.peers) {
    peers_.emplace(peer, std::nullopt);
    refresh_path(peer);  // An earlier run may have left it in clear: from here on it is not.
  }
  mtu_ = wanted_mtu();
  WEFT_TRY(ensure_tap());
  auto sender =
      WEFT_TRY(VxlanSender::open(executor_, {.vni = options_.vni, .port = options_.vxlan_port}));
  sender_ = std::move(sender);
  remover_ = WEFT_TRY(sys::LinkRemover::start(executor_, [](const Error& error) {
    log::warning("port not removed", {"why", error});
  }));
  WEFT_TRY(ensure_devices());
  note("firewall", sys::ensure_forward_accept(options_.bridge));
  forwarding_ = std::make_unique<Forwarding>(
      Forwarding::Options{.self = options_.self}, clock_.now(), adopt());
  driver_ = std::make_unique<Driver>(
      executor_, clock_, *forwarding_, [this](ForwardingAction a) { perform(std::move(a)); });
  driver_->feed([](Forwarding&, TimePoint, ForwardingActions&) {});  // Starts its timer.
  watch_ = WEFT_TRY(sys::NetworkWatch::watch(
      executor_,
      [this](std::uint32_t ifindex) { return is_watched(ifindex); },
      [this](const sys::NetworkChange& change) { repair(change); }));
  schedule_repair();
  return Ok{};
}

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
  if (!options_.bpf) {
    reason_ = "switched off";
  } else {
    Result<std::unique_ptr<sys::FastPath>> loaded =
        sys::load_fast_path({.vni = options_.vni, .port = options_.vxlan_port});
    if (loaded.ok()) {
      fast_path_ = std::move(loaded).value();
      return;
    }
    reason_ = loaded.error().what;
    log::warning("fast path not available, using the bridge", {"reason", reason_});
  }
  // Programs of an earlier run would forward by tables nobody keeps.
  note("detach fast path", sys::detach_fast_path());
}

Result<Ok> DatapathService::Impl::ensure_devices() {
  const std::uint32_t bridge = WEFT_TRY(netdev_.ensure_bridge(
      {.name = options_.bridge, .mac = bridge_mac(options_.self), .mtu = mtu_}));
  if (options_.clear_possible) {
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
  for (const auto& [host, port] : ports_) {
    WEFT_TRY(ensure_container_port(host));
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
  vxlan_index_ = vxlan;
  WEFT_TRY(netdev_.ensure_port({.link = vxlan_,
                                .bridge = options_.bridge,
                                .learning = false,
                                .flood_unknown = false,
                                .flood_multicast = false,
                                .flood_broadcast = false,
                                .isolated = true}));
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
  WEFT_TRY(netdev_.ensure_port({.link = seal_port_,
                                .bridge = options_.bridge,
                                .learning = false,
                                .flood_unknown = false,
                                .flood_multicast = false,
                                .flood_broadcast = false,
                                .isolated = true}));
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
  return Ok{};
}

Result<Ok> DatapathService::Impl::ensure_container_port(const std::string& host) {
  return netdev_.ensure_port({.link = host, .bridge = options_.bridge});
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
               .peers = std::move(entries.peers)};
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
  if (options_.sealed != nullptr) {
    for (const auto& [mac, underlay] : adopted.remotes) {
      options_.sealed->set_remote(mac, underlay);
      remotes_.insert_or_assign(mac, underlay);
    }
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
  std::vector<FdbEntry> entries{{.mac = mac, .link = vxlan_, .remote = std::nullopt}};
  if (!fast_path_) {
    entries.push_back({.mac = mac, .link = vxlan_, .remote = underlay});
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
  if (change.links) {
    note("devices", ensure_devices());
  }
  if (change.firewall) {
    note("firewall", sys::ensure_forward_accept(options_.bridge));
  }
  if (!gateways_.empty()) {
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
  // A handler that was already queued when the service went away must not touch it.
  const std::weak_ptr<OnPublish> alive = on_publish_;
  timer_.async_wait([this, alive](const boost::system::error_code& error) {
    if (!error && !alive.expired()) {
      repair({.links = true, .routes = true, .firewall = true});
      schedule_repair();
    }
  });
}

// What every path can carry; before there are peers, what the device of the default route can.
std::uint32_t DatapathService::Impl::wanted_mtu() {
  if (options_.mtu != 0) {
    return options_.mtu;
  }
  std::uint32_t lowest = std::numeric_limits<std::uint32_t>::max();
  for (const auto& [peer, path] : peers_) {
    if (path && path->mtu > overhead(peer)) {
      lowest = std::min(lowest, path->mtu - overhead(peer));
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
  return std::clamp(underlay - std::min(underlay, overhead(Ipv4())), kMtuMin, kMtuMax);
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
    const bool is_same = path && path->ifindex == now.ifindex && path->source == now.source;
    path = now;
    if (options_.sealed != nullptr) {
      options_.sealed->set_path_mtu(peer, now.mtu);
    }
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
  if (is_sealed(peer)) {
    // Also without a route: nothing may leave past the agent.
    note("peer in the fast path", fast_path_->set_sealed_peer(peer, seal_index_));
    return;
  }
  note("peer in the fast path",
       fast_path_->set_peer(peer, path ? path->source : Ip(), path ? path->ifindex : 0));
}

// Programs on the underlay take VXLAN in, or refuse it.
void DatapathService::Impl::attach_underlay(const std::optional<PathInfo>& path) {
  if (path && !underlay_.contains(path->ifindex)) {
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
  if (options_.clear_possible) {
    links.push_back(vxlan_);
  }
  if (options_.sealed != nullptr) {
    links.insert(links.end(), {seal_port_, seal_end_});
  }
  for (const std::string& link : links) {
    note("MTU of " + link, netdev_.set_mtu(link, mtu_));
  }
}

Result<Ok> DatapathService::Impl::plug(const PortRequest& port) {
  remover_->wait_for(port.host);
  const auto present = WEFT_TRY(netdev_.find_link(port.host));
  const std::uint32_t ifindex = WEFT_TRY(
      netdev_.ensure_veth({.name = port.host,
                           .peer = port.guest,
                           .peer_mac = port.mac,
                           .mtu = mtu_,
                           .peer_gso_max = options_.sealed != nullptr ? kSealedGsoMax : 0}));
  Result<Ok> plugged = ensure_container_port(port.host);
  if (plugged.ok() && fast_path_) {
    plugged = fast_path_->attach_port(ifindex);
  }
  if (!plugged.ok()) {
    if (!present) {
      (void)netdev_.remove_link(port.host);  // The first error is the one to tell.
    }
    return std::move(plugged).error().with_context("plug " + port.host);
  }
  ports_.insert_or_assign(port.host, Port{.mac = port.mac, .ifindex = ifindex});
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
  std::vector<Ip> addresses;
  addresses.reserve(gateways_.size());
  for (const Cidr& gateway : gateways_) {
    addresses.push_back(gateway.address());
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
  if (gateways_.empty()) {
    WEFT_TRY(netdev_.ensure_gateway({.link = options_.bridge, .addresses = {}}));
    return sys::remove_gateway_rules(options_.bridge);
  }
  WEFT_TRY(sys::ensure_gateway_rules(options_.bridge));
  return netdev_.ensure_gateway({.link = options_.bridge, .addresses = gateways_});
}

void DatapathService::Impl::on_record(const RecordChanged& change) {
  driver_->feed([&change](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.on_record(now, change, out);
  });
}

void DatapathService::Impl::set_underlay(PeerName peer, const std::optional<Ip>& underlay) {
  driver_->feed([&](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.set_underlay(now, peer, underlay, out);
  });
}

void DatapathService::Impl::perform(ForwardingAction action) {
  std::visit(overloaded{
                 [this](const SetLocal& a) { place(a); },
                 [this](const SetRemote& a) { place(a); },
                 [this](const DropMac& a) { drop(a.mac); },
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
  if (options_.sealed != nullptr) {
    options_.sealed->set_local(action.mac, action.ifindex);
    remotes_.erase(action.mac);
  }
  if (fast_path_) {
    note("container in the fast path", fast_path_->set_local(action.mac, action.ifindex));
  }
}

void DatapathService::Impl::place(const SetRemote& action) {
  set_entries(action.mac, remote_entries(action.mac, action.underlay));
  if (options_.sealed != nullptr) {
    options_.sealed->set_remote(action.mac, action.underlay);
    remotes_.insert_or_assign(action.mac, action.underlay);
  }
  if (fast_path_) {
    note("container in the fast path", fast_path_->set_remote(action.mac, action.underlay));
  }
}

void DatapathService::Impl::drop(Mac mac) {
  set_entries(mac, {});
  if (options_.sealed != nullptr) {
    options_.sealed->drop_mac(mac);
    remotes_.erase(mac);
  }
  if (fast_path_) {
    note("container in the fast path", fast_path_->drop_mac(mac));
  }
}

void DatapathService::Impl::send_to_peers(const FrameToPeers& action) {
  std::vector<Ip> sealed;
  std::vector<Ip> clear;
  for (const Ip& peer : action.underlay) {
    (is_sealed(peer) ? sealed : clear).push_back(peer);
  }
  if (!sealed.empty()) {
    options_.sealed->send(action.frame, sealed);
  }
  sender_->send(action.frame, clear);
}

void DatapathService::Impl::set_clear(const Ip& peer, bool agreed) {
  if (agreed && options_.clear_possible) {
    clear_.insert(peer);
  } else {
    clear_.erase(peer);
  }
  if (peers_.contains(peer)) {
    tell_fast_path(peer);
  }
  for (const auto& [mac, underlay] : remotes_) {
    if (underlay == peer) {
      set_entries(mac, remote_entries(mac, underlay));
    }
  }
}

// A peer in clear may be sealed again at any time, and its packets must fit then.
std::uint32_t DatapathService::Impl::overhead(const Ip& peer) const {
  if (options_.sealed != nullptr) {
    return SealedPath::overhead(peer);
  }
  return peer.is_v4() ? kOverheadIpv4 : kOverheadIpv6;
}

void DatapathService::Impl::add_peer(const Ip& peer) {
  peers_.emplace(peer, std::nullopt);
  refresh_path(peer);
  refresh_mtu();
}

void DatapathService::Impl::drop_peer(const Ip& peer) {
  peers_.erase(peer);
  warnings_.erase("path to " + peer.to_string());
  if (fast_path_) {
    note("peer in the fast path", fast_path_->drop_peer(peer));
  }
}

// Posted, as the receiver may call the service again.
void DatapathService::Impl::publish(PublishRecord record) {
  boost::asio::post(
      executor_,
      [weak = std::weak_ptr<OnPublish>(on_publish_), record = std::move(record)]() mutable {
        if (const auto on_publish = weak.lock()) {
          (*on_publish)(std::move(record));
        }
      });
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
  status.local_count = forwarding_->local_count();
  status.remote_count = forwarding_->remote_count();
  status.forwarding = forwarding_->stats();
  if (fast_path_) {
    status.fast_path = fast_path_->stats();
  }
  for (const auto& [topic, what] : warnings_) {
    status.warnings.push_back(topic + ": " + what);
  }
  return status;
}

Result<Ok> DatapathService::set_gateways(std::vector<Cidr> gateways) {
  return impl_->set_gateways(std::move(gateways));
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
