// Who feeds whom. Modules do not know each other; everything they exchange passes here:
//
//   mesh    NeighbourUp, NeighbourDown -> ipam.on_neighbour_up, datapath.set_underlay
//   mesh    PeerReachable          -> ipam.on_peer_reachable, datapath.set_underlay
//   mesh    PeerUnreachable        -> ipam.on_peer_unreachable (its place on the underlay is kept)
//   mesh    RecordChanged Peer     -> datapath.set_underlay (moved, or gone for good)
//   mesh    RecordChanged Endpoint -> datapath.on_record
//   mesh    Deliver Ring…, Ipam…   -> ipam.on_gossip
//   mesh    Deliver Probe          -> probe.on_watch, app.on_report, controls
//                                     (probe/wiring_probe.cc)
//   mesh    MeshEvent              -> log
//   ipam    GossipAll, GossipTo    -> mesh.send
//   app     SendWatch              -> probe.on_watch here, mesh.send elsewhere
//   probe   Tell                   -> app.on_report here, mesh.send elsewhere
//   app     POST /api/control, pipes -> controls -> mesh.send (control/desk.h)
//   mesh    RecordChanged Name, PeerReachable, PeerUnreachable -> dns
//   datapath, dns PublishRecord    -> mesh.publish
//   docker  AllocateAddress, ClaimAddress -> ipam -> docker.on_address
//   docker  CancelAddress          -> ipam.cancel -> docker.on_address
//   docker  ReleaseAddress         -> ipam.release
//   ipam    held addresses         -> docker.on_held, now and then
//   docker  PlugPort, UnplugPort   -> datapath -> docker.on_plugged
//   docker  SetGateways            -> datapath -> docker.on_gateways
//   docker  Persist                -> store
//   docker  ContainerNames         -> dns.watch, dns.remove
//   docker, attachments: who has which address -> dns.set_clients
//   control POST /connect, /forget -> store, mesh
//   control POST /reload, SIGHUP   -> mesh.set_passwords
//   control /ip /ipinfo /ring /peer -> ipam (agent/ipam/api.h)
//   control /name, /domain, /dns-… -> dns
//   control GET /status            -> status of all
//
// Each hop is posted, so that no module is entered while it is still carrying out actions. The one
// exception is Docker's: its Persist must be on disk before the reply behind it leaves.
#include "agent/wiring.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "agent/http/process_usage.h"
#include "agent/version.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "plugin/docker_records.h"

namespace weft::agent {

Agent::~Agent() {
  remember(unsaved_places_);
}

// From the mesh -------------------------------------------------------------------------------

void Agent::on_mesh(router::MeshAction action) {
  std::visit(overloaded{
                 [this](const router::NeighbourUp& up) {
                   ipam_->on_neighbour_up(up.peer);
                   place_peer_later(up.peer);
                 },
                 [this](const router::NeighbourDown& down) { place_peer_later(down.peer); },
                 [this](const router::PeerReachable& reachable) {
                   ipam_->on_peer_reachable(reachable.peer);
                   if (dns_) {
                     dns_->on_peer_reachable(reachable.peer);
                   }
                   place_peer_later(reachable.peer);
                 },
                 [this](const router::PeerUnreachable& lost) {
                   ipam_->on_peer_unreachable(lost.peer);
                   if (dns_) {
                     dns_->on_peer_unreachable(lost.peer);
                   }
                 },
                 [this](const RecordChanged& change) { on_record(change); },
                 [this](const router::Deliver& delivery) {
                   if (delivery.topic == Topic::Probe) {
                     on_probe_message(delivery.from, delivery.payload);
                   } else {
                     ipam_->on_gossip(delivery.from, delivery.topic, delivery.payload);
                   }
                 },
                 [this](const router::Outrun& outrun) { come_back(outrun.earlier); },
                 [](const router::MeshEvent& event) {
                   const auto write = event.level == router::MeshEvent::Level::Warning
                                          ? &log::warning
                                          : &log::info;
                   write(event.what, {"peer", event.peer}, {"detail", event.detail}, {}, {}, {});
                 },
                 [](const auto&) {},  // Sockets' business, done by the service.
             },
             std::move(action));
}

// A later run, from the next start on: what was said as this one cannot be unsaid.
void Agent::come_back(Incarnation earlier) {
  if (!on_restart_) {
    return;  // It is under way.
  }
  if (const auto stored = outrun(host_.store, earlier); !stored.ok()) {
    log::error("not restarted as a later run", {"why", stored.error()});
    return;
  }
  log::warning("this host has lost its store: it starts again as a later run of its name",
               {"earlier", earlier});
  std::exchange(on_restart_, nullptr)();
}

void Agent::on_record(const RecordChanged& change) {
  switch (change.key.kind) {
    case RecordKind::Endpoint:
      datapath_->on_record(change);
      return;
    case RecordKind::Name:
      if (dns_) {
        dns_->on_record(change);
      }
      return;
    case RecordKind::Links:  // The mesh's own.
      return;
    case RecordKind::Peer:
      if (change.value) {
        place_peer_later(change.origin);
      } else {
        StoreBatch changes;
        placement_.forget(change.origin, changes);
        remember_places(std::move(changes));
        datapath_->set_underlay(change.origin, std::nullopt);
        if (sealed_) {
          sealed_->remove_peer(change.origin);
        }
      }
      return;
  }
}

// A burst of news (a join, a healed partition) walks the peers once, not once each.
void Agent::place_peer_later(PeerName peer) {
  if (unplaced_.empty()) {
    post([this] { place_peers(); });
  }
  unplaced_.insert(peer);
}

void Agent::place_peers() {
  const std::set<PeerName> wanted = std::exchange(unplaced_, {});
  StoreBatch changes;
  for (const PeerName name : wanted) {
    const std::optional<router::PeerStatus> peer = mesh_->mesh().peer(name);
    if (peer && !peer->self && !peer->underlay.empty()) {
      place_peer(*peer, placement_.choose(name, peer->underlay, changes));
    }
  }
  remember_places(std::move(changes));
}

// A cluster that starts is met in a second or two, a few peers at a time: one sync of the disk is
// enough for many of them.
void Agent::remember_places(StoreBatch changes) {
  constexpr std::chrono::milliseconds kPlacesDelay{500};
  if (!changes.empty() && unsaved_places_.empty()) {
    auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kPlacesDelay);
    timer->async_wait([this, timer](const boost::system::error_code& error) {
      if (!error) {
        remember(std::exchange(unsaved_places_, {}));
      }
    });
  }
  std::move(changes.begin(), changes.end(), std::back_inserter(unsaved_places_));
}

// Who it is before where it is: frames for it wait until both are known.
void Agent::place_peer(const router::PeerStatus& peer, const Ip& underlay) {
  if (sealed_) {
    sealed_->set_peer(
        peer.name,
        {.key = peer.key, .endpoint = {underlay, peer.port}, .clear = is_trusted(underlay)});
  }
  datapath_->set_underlay(peer.name, underlay);
}

// Who could pass frames on to a peer that we cannot reach straight: the next hop on the quickest
// way there, if that is another; then those connected with it, the nearest first.
std::vector<PeerName> Agent::find_relays(PeerName peer) const {
  const std::optional<router::PeerStatus> status = mesh_->mesh().peer(peer);
  if (!status || !status->reachable) {
    return {};
  }
  std::vector<PeerName> relays;
  if (status->next_hop && *status->next_hop != peer) {
    relays.push_back(*status->next_hop);
  }
  std::vector<std::pair<Duration, PeerName>> others;
  for (const PeerName neighbour : status->neighbours) {
    const std::optional<router::PeerStatus> via = mesh_->mesh().peer(neighbour);
    if (via && !via->self && via->reachable && via->next_hop == neighbour) {
      others.emplace_back(via->latency.value_or(Duration::max()), neighbour);
    }
  }
  std::sort(others.begin(), others.end());
  for (const auto& [latency, neighbour] : others) {
    relays.push_back(neighbour);
  }
  return relays;
}

std::optional<PeerName> Agent::next_hop(PeerName peer) const {
  return mesh_ ? mesh_->mesh().next_hop(peer) : std::nullopt;
}

// Also for peers that cannot be reached at all, of which it says nothing.
bool Agent::is_linked(PeerName peer) const {
  if (!mesh_ || !config_.discovery) {
    return true;
  }
  const std::optional<router::PeerStatus> status = mesh_->mesh().peer(peer);
  if (!status || !status->reachable || status->next_hop == peer) {
    return true;
  }
  return mesh_->mesh().is_neighbour(peer);
}

// Both ends lie in one of the trusted subnets; the other side must find so, too.
bool Agent::is_trusted(const Ip& underlay) const {
  const auto inside = [this](const Ip& address) {
    return std::any_of(config_.trusted_subnets.begin(),
                       config_.trusted_subnets.end(),
                       [&address](const Cidr& subnet) { return subnet.contains(address); });
  };
  if (!inside(underlay)) {
    return false;
  }
  const Result<PathInfo> path = host_.netdev.path_to(underlay);
  return path.ok() && inside(path.value().source);
}

// For what a restart can do without.
void Agent::remember(const StoreBatch& changes) {
  if (const auto stored = host_.store.apply(changes); !stored.ok()) {
    log::warning("state not written", {"why", stored.error()});
  }
}

// From ipam -----------------------------------------------------------------------------------

void Agent::on_ipam(ipam::AllocatorAction action) {
  std::visit(overloaded{
                 [this](GossipAll&& gossip) { mesh_->send(std::move(gossip)); },
                 [this](GossipTo&& gossip) { mesh_->send(std::move(gossip)); },
                 [this](ipam::PeerGone&& gone) { mesh_->dismiss(gone.peer); },
                 [](auto&&) {},  // Persist and Answer stay inside the service.
             },
             std::move(action));
  keep_clients_addresses();  // What changes the ring is told to others.
}

// From Docker ---------------------------------------------------------------------------------

void Agent::on_docker(plugin::DockerAction action) {
  std::visit(overloaded{
                 [this](plugin::AllocateAddress&& ask) {
                   asked_[ask.call] = ipam_->allocate({.id = {},
                                                       .owner = ask.owner,
                                                       .subnet = ask.subnet,
                                                       .within = ask.within,
                                                       .fresh = true},
                                                      address_to_docker(ask.call));
                   if (ask.is_optional) {
                     cancel_later(ask.call);
                   }
                 },
                 [this](plugin::ClaimAddress&& ask) {
                   asked_[ask.call] =
                       ipam_->claim(ask.owner, ask.address, address_to_docker(ask.call));
                 },
                 [this](plugin::CancelAddress&& cancel) { cancel_address(cancel.call); },
                 [this](plugin::ReleaseAddress&& release) {
                   // Docker does not wait. What a crash brings back is found by
                   // look_for_lost_addresses().
                   ipam_->release(release.owner, release.address, [] {});
                 },
                 [this](plugin::PlugPort&& request) { plug(request); },
                 [this](plugin::UnplugPort&& request) { unplug(request); },
                 [this](plugin::SetGateways&& wanted) { set_gateways(std::move(wanted)); },
                 [this](plugin::Persist&& persist) {
                   // Docker waits; an endpoint is gone with the power, its network is not.
                   const bool is_of_endpoints = std::all_of(
                       persist.batch.begin(), persist.batch.end(), [](const StoreWrite& write) {
                         return write.table == plugin::kEndpointsTable;
                       });
                   const auto stored = is_of_endpoints ? host_.store.apply_until_boot(persist.batch)
                                                       : host_.store.apply(persist.batch);
                   if (!stored.ok()) {
                     // The reply behind this would promise what a restart does not keep. Without a
                     // disk the agent is of no use; the kernel goes on forwarding while it is
                     // restarted.
                     log::error("state cannot be written, giving up", {"why", stored.error()});
                     std::_Exit(EXIT_FAILURE);
                   }
                 },
                 [](plugin::HttpReply&&) {},  // Sent by the service.
             },
             std::move(action));
}

ipam::IpamService::OnAnswer Agent::address_to_docker(RequestId call) {
  return [this, call](const Result<Cidr>& address) {
    asked_.erase(call);
    docker_->on_address(call, address);
  };
}

void Agent::cancel_address(RequestId call) {
  const auto asked = asked_.find(call);
  if (asked == asked_.end() || !ipam_->cancel(asked->second)) {
    return;  // The answer is on its way.
  }
  asked_.erase(asked);
  post([this, call] {
    docker_->on_address(call, Error{Errc::Unavailable, "no address was found in time"});
  });
}

// People wait for what asks so. What takes longer than this waits for another peer, or for the
// ring.
constexpr std::chrono::seconds kOptionalAddressWait{5};

void Agent::cancel_later(RequestId call) {
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kOptionalAddressWait);
  timer->async_wait([this, timer, call](const boost::system::error_code& error) {
    if (!error) {
      cancel_address(call);
    }
  });
}

namespace {

router::DatapathService::PortRequest to_request(const plugin::Port& port) {
  router::DatapathService::PortRequest request{.host = port.host,
                                               .guest = port.guest,
                                               .mac = port.mac,
                                               .addresses = {},
                                               .mtu = port.mtu_bytes};
  for (const Cidr& address : port.addresses) {
    request.addresses.push_back(address.address());
  }
  return request;
}

}  // namespace

// dockerd repeats a call that finds no agent for 15 s (1 + 2 + 4 + 8). An attachment that was under
// way when the agent ended has moved its interface into the container by then.
constexpr std::chrono::seconds kAttachmentGrace{20};

bool Agent::is_at_home(const plugin::Port& port) const {
  return host_.netdev.find_link(port.guest).value_or(std::nullopt).has_value();
}

void Agent::plug(const plugin::PlugPort& request) {
  tell_dns_clients_later();
  const bool recovering = request.call == RequestId();
  if (recovering && !datapath_->has_port(request.port.host)) {
    post([this, id = request.port.id] { docker_->on_port_missing(id); });
    return;
  }
  if (recovering && is_at_home(request.port)) {
    recheck_port(request.port);
  }
  const Result<Ok> plugged = datapath_->plug(to_request(request.port));
  if (!plugged.ok()) {
    log::warning("port not plugged", {"port", request.port.host}, {"why", plugged.error()});
  }
  post([this, call = request.call, plugged] { docker_->on_plugged(call, plugged); });
}

// Longer than Docker repeats a call, too, so that what it holds is known by then.
void Agent::look_for_lost_addresses() {
  docker_->on_held(ipam_->held());
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kAttachmentGrace);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (!error) {
      look_for_lost_addresses();
    }
  });
}

// A container that went away while no agent listened gave its interface back to the host, and
// nobody will ask to remove it any more.
void Agent::recheck_port(const plugin::Port& port) {
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kAttachmentGrace);
  timer->async_wait([this, timer, port](const boost::system::error_code& error) {
    if (!error && is_at_home(port)) {
      drop_port(port);
    }
  });
}

void Agent::drop_port(const plugin::Port& port) {
  log::info("container went away unnoticed, removing its port", {"port", port.host});
  tell_dns_clients_later();
  datapath_->unplug(to_request(port));
  docker_->on_port_gone(port.id);
}

void Agent::unplug(const plugin::UnplugPort& request) {
  tell_dns_clients_later();
  datapath_->unplug(to_request(request.port));
  post([this, call = request.call] { docker_->on_plugged(call, Ok{}); });
}

void Agent::set_gateways(plugin::SetGateways wanted) {
  const Result<Ok> set = datapath_->set_gateways(std::move(wanted.gateways));
  post([this, set] { docker_->on_gateways(set); });
}

// From the control API ------------------------------------------------------------------------

// What the control API and the store hand us parses: both have checked it.
router::Target Agent::target_of(const std::string& text) const {
  return router::Target::parse(text, config_.port).value();
}

Result<Ok> Agent::connect(const TargetsCall& call) {
  if (call.replace) {
    WEFT_TRY(replace_targets(host_.store, call.peers));
    for (const std::string& target : mesh_->mesh().targets()) {
      mesh_->forget(target);
    }
    old_friends_.clear();
  } else {
    WEFT_TRY(add_targets(host_.store, call.peers));
  }
  for (const std::string& target : call.peers) {
    old_friends_.erase(target_of(target));
    mesh_->connect(target);
  }
  return Ok{};
}

Result<Ok> Agent::forget(const TargetsCall& call) {
  std::set<router::Target> gone;
  for (const std::string& target : call.peers) {
    gone.insert(target_of(target));
    mesh_->forget(target);
  }
  std::vector<std::string> stored = WEFT_TRY(load_targets(host_.store));  // However spelt.
  std::erase_if(stored, [&](const auto& target) { return !gone.contains(target_of(target)); });
  WEFT_TRY(remove_targets(host_.store, stored));
  return Ok{};
}

Result<Ok> Agent::reload() {
  if (config_.password_file.empty()) {
    return Error{Errc::Invalid, "no --password-file to read: the agent was started without"};
  }
  const auto keys = read_password_file(config_.password_file);
  if (!keys.ok()) {
    log::error("password not changed", {"why", keys.error()});
    return keys.error();
  }
  mesh_->set_passwords(keys.value().current, keys.value().old);
  if (sealed_) {
    sealed_->set_passwords(keys.value().current, keys.value().old);
  }
  log::info("password file read again", {"accepts_old_one", keys.value().old.has_value()});
  return Ok{};
}

bool Agent::may_run(const std::string& owner) const {
  if (owner.size() != dns::kContainerIdSize || !watch_ || watch_->events().may_run(owner)) {
    return true;
  }
  // Podman's ids look like Docker's, which knows nothing of them: their interface is there.
  const auto attached = attachments_.find(owner);
  return attached != attachments_.end() && datapath_->has_port(attached->second.host);
}

bool Agent::is_in_range(const Ip& address) const {
  return config_.range.contains(address)
         || (config_.range_v6 && config_.range_v6->contains(address));
}

std::optional<PeerName> Agent::find_peer(const std::string& name_or_nickname) const {
  const auto name = PeerName::parse(name_or_nickname);
  if (name.ok()) {
    return name.value();
  }
  for (const router::PeerStatus& peer : mesh_->mesh().peers()) {
    if (peer.nickname == name_or_nickname) {
      return peer.name;
    }
  }
  return std::nullopt;
}

namespace {

// Docker calls a driver by the name of its socket: /run/docker/plugins/weft.sock.
std::string driver_name(const std::string& socket) {
  const std::string file = socket.substr(socket.rfind('/') + 1);
  return file.substr(0, file.rfind('.'));
}

}  // namespace

AgentStatus Agent::status() const {
  const router::Mesh& mesh = mesh_->mesh();
  AgentStatus status{
      .version = std::string(kVersion),
      .password_set = !config_.password_file.empty(),
      .discovery = config_.discovery,
      .peers = mesh.peers(),
      .connections = mesh_->connections(),
      .targets = mesh.targets(),
      .warnings = mesh.warnings(),
      .trusted_subnets = config_.trusted_subnets,
      .port = config_.port,
      .connections_max = config_.connections_max,
      .mesh = mesh.stats(),
      .ipam = ipam_->status(),
      .ipam_v6 = ipam_->status_v6(),
      .datapath = datapath_->status(),
      .dns = std::nullopt,
      .sealed = sealed_ ? std::optional(sealed_->status()) : std::nullopt,
      .docker = std::nullopt,
  };
  status.warnings.insert(status.warnings.end(), not_listening_.begin(), not_listening_.end());
  std::erase_if(status.targets, [this](const std::string& target) {
    return old_friends_.contains(target_of(target));
  });
  if (dns_) {
    status.dns = dns_->status();
  }
  if (docker_ && !config_.docker_plugin_socket.empty()) {
    status.docker = DockerStatus{.socket = config_.docker_plugin_socket,
                                 .driver = driver_name(config_.docker_plugin_socket),
                                 .swarm_driver = driver_name(config_.docker_swarm_socket),
                                 .network_count = docker_->driver().network_count(),
                                 .port_count = docker_->driver().ports().size()};
  }
  if (proxy_) {
    status.proxy_addresses = proxy_->addresses();
  }
  status.process = read_process_usage();
  const std::array<std::pair<const char*, const sys::HttpServer*>, 4> servers{
      {{"control", control_.get()},
       {"weave", weave_api_.get()},
       {"status", status_api_.get()},
       {"metrics", metrics_.get()}}};
  for (const auto& server : servers) {
    if (server.second != nullptr) {
      status.http.push_back({server.first, server.second->stats()});
    }
  }
  return status;
}

}  // namespace weft::agent
