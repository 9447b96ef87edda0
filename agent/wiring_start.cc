// How the services of an agent are made, and in which order. What flows between them afterwards is
// in wiring.cc.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "agent/docker/plugin_sockets.h"
#include "agent/http/agent_call.h"
#include "agent/http/remote_access.h"
#include "agent/http/weave_api.h"
#include "agent/underlay.h"
#include "agent/version.h"
#include "agent/wiring.h"
#include "base/log.h"
#include "sys/netlink/guests.h"

namespace weft::agent {

namespace {

// Weave's texts on the control socket, for the program under its name.
constexpr std::string_view kWeavePrefix = "/weave/";

}  // namespace

Result<std::unique_ptr<Agent>> Agent::start(const Host& host,
                                            Config config,
                                            const Seat& seat,
                                            Exits exits) {
  std::unique_ptr<Agent> agent(new Agent(host, std::move(config)));
  agent->on_restart_ = std::move(exits.restart);
  agent->http_token_ = seat.http_token;
  agent->http_certificate_ = seat.http_certificate;
  agent->placement_ = WEFT_TRY(Placement::load(host.store));
  WEFT_TRY(agent->start_sealed(seat));
  WEFT_TRY(agent->start_datapath(seat.identity.name));
  WEFT_TRY(agent->start_ipam(seat));
  agent->keep_clients_addresses();
  WEFT_TRY(agent->start_mesh(seat));
  WEFT_TRY(agent->start_engine_relay());
  if (agent->config_.dns.enabled) {
    WEFT_TRY(agent->start_dns(seat.identity));
  }
  if (agent->config_.docker) {
    WEFT_TRY(agent->start_docker());
    agent->watch_containers();
    WEFT_TRY(agent->restore_container_names());
  } else {
    WEFT_TRY(agent->datapath_->set_gateways({}));  // Those of an earlier run have no networks.
  }
  WEFT_TRY(agent->start_attachments());
  agent->adopt_guests();  // Before anybody asks for an address.
  agent->look_for_dead_owners();
  WEFT_TRY(agent->start_metrics());
  agent->start_probe(seat);
  agent->start_controls(seat);
  agent->start_app(seat);
  // Last, because who can connect to it takes us for ready.
  WEFT_TRY(agent->start_control(std::move(exits.stop)));
  if (!agent->config_.proxy.places.empty()) {
    agent->proxy_ = WEFT_TRY(DockerProxy::start(host.io.get_executor(), agent->config_));
  }
  return agent;
}

// An engine that is reached over TCP is at a socket for all who ask it something, commands too.
Result<Ok> Agent::start_engine_relay() {
  if (config_.docker_tcp) {
    engine_relay_ = WEFT_TRY(sys::UnixRelay::start(
        {.path = config_.engine_socket(), .to = *config_.docker_tcp, .tls = config_.docker_tls}));
    return Ok{};
  }
  std::error_code ignored;  // Most often there is none of an earlier run.
  std::filesystem::remove(config_.engine_socket(), ignored);
  return Ok{};
}

// A password encrypts containers' traffic, too, unless the operator says otherwise.
Result<Ok> Agent::start_sealed(const Seat& seat) {
  if (!seat.passwords || config_.plaintext_data) {
    return Ok{};
  }
  // UDP on the number of the mesh's TCP port, as users of Weave have it open in their firewalls.
  sealed_ = WEFT_TRY(router::SealedPath::start(host_.io.get_executor(),
                                               host_.clock,
                                               host_.entropy,
                                               {.host = config_.host,
                                                .port = config_.port,
                                                .key = seat.identity.key,
                                                .psk = seat.passwords->current,
                                                .old_psk = seat.passwords->old,
                                                .incarnation = seat.identity.incarnation,
                                                .esp = config_.esp}));
  return Ok{};
}

Result<Ok> Agent::start_datapath(PeerName self) {
  exposed_ = WEFT_TRY(load_exposed());
  std::array<std::uint8_t, 8> seed{};
  host_.entropy.fill(seed);
  const std::uint64_t seed_number = WEFT_TRY(Reader(seed).u64());
  const router::DatapathService::Options options{
      .self = self,
      .bpf = config_.bpf,
      .policies = config_.expect_npc,
      // The port behind the mesh's, as users of Weave have it open in their firewalls.
      .vxlan_port = static_cast<std::uint16_t>(config_.port + 1),
      .mtu = config_.mtu,
      .bridge = config_.bridge,
      .sealed = sealed_.get(),
      .clear_possible = !sealed_ || !config_.trusted_subnets.empty(),
      .exposed = exposed_,
      .docker_bridge = config_.dns.docker_bridge,
      .kept = config_.no_masq_local ? std::nullopt : std::optional(std::vector<sys::AddressRun>()),
      .seed = seed_number,
      .find_relays = [this](PeerName peer) { return find_relays(peer); },
      .next_hop = [this](PeerName peer) { return next_hop(peer); },
      .is_linked = [this](PeerName peer) { return is_linked(peer); },
  };
  datapath_ = WEFT_TRY(router::DatapathService::start(
      host_.io.get_executor(), host_.clock, host_.netdev, options, [this](PublishRecord record) {
        post([this, record = std::move(record)] { mesh_->publish(record); });
      }));
  return Ok{};
}

// Peers that know a host that comes back without its store dial it within seconds; their ring is
// its ring.
constexpr Duration kFoundingDelay = std::chrono::seconds(15);

Result<Ok> Agent::start_ipam(const Seat& seat) {
  const auto guests = sys::find_guests(config_.bridge, config_.host_paths);
  if (!guests.ok()) {
    log::warning("containers not looked through", {"why", guests.error()});
  }
  const bool lives = guests.ok() && !guests.value().empty();
  const bool has_lost_store =
      seat.is_rebuilt || seat.identity.has_lost_store || (seat.identity.is_new && lives);
  const ipam::Allocator::Options options{
      .self = seat.identity.name,
      .range = config_.range,
      .default_subnet = config_.default_subnet,
      .elector_count = config_.init.elector_count.value_or(seat.targets.size() + 1),
      .seeds = config_.init.seeds,
      .observer = config_.init.observer,
      // A name that was drawn just now has no past.
      .is_known_new = !has_lost_store || seat.identity.is_drawn,
      .founding_delay = has_lost_store ? kFoundingDelay : Duration(),
      .forfeit_after = config_.forfeit_after,
  };
  std::optional<ipam::AddressRange> v6;
  if (config_.range_v6) {
    v6 = {.range = *config_.range_v6, .default_subnet = config_.default_subnet_v6};
  }
  ipam_ = WEFT_TRY(ipam::DualStack::start(host_.io.get_executor(),
                                          host_.clock,
                                          host_.store,
                                          options,
                                          v6,
                                          [this](ipam::AllocatorAction action) {
                                            post([this, action = std::move(action)]() mutable {
                                              on_ipam(std::move(action));
                                            });
                                          }));
  return Ok{};
}

Result<Ok> Agent::start_mesh(const Seat& seat) {
  std::array<std::uint8_t, 8> seed{};
  host_.entropy.fill(seed);
  const std::uint64_t seed_number = WEFT_TRY(Reader(seed).u64());
  router::Mesh::Options options;
  options.name = seat.identity.name;
  options.incarnation = seat.identity.incarnation;
  options.nickname = config_.nickname;
  options.version = std::string(kVersion);
  options.key = seat.identity.key;
  if (seat.passwords) {
    options.psk = seat.passwords->current;
    options.old_psk = seat.passwords->old;
  }
  options.port = config_.port;
  options.addresses = WEFT_TRY(underlay_addresses(host_.netdev, config_.host));
  options.discovery = config_.discovery;
  options.fresh = placement_.some(1).empty();
  options.links_max = config_.connections_max;
  auto mesh = std::make_unique<router::Mesh>(std::move(options), Rng(seed_number), host_.entropy);
  mesh_ = WEFT_TRY(router::MeshService::start(
      host_.io.get_executor(),
      host_.clock,
      {.host = config_.host, .port = config_.port, .links_max = config_.connections_max},
      std::move(mesh),
      [this](router::MeshAction action) { on_mesh(std::move(action)); }));
  for (const std::string& target : seat.targets) {
    mesh_->connect(target);
  }
  look_for_old_friends(seat.targets);
  return Ok{};
}

// Where a few peers were before we were restarted is tried for a moment. Who has no targets, such
// as the host a cluster began with, would otherwise wait until others try again: up to a minute.
void Agent::look_for_old_friends(const std::vector<std::string>& targets) {
  if (!config_.discovery) {
    return;
  }
  std::set<router::Target> known;
  for (const std::string& target : targets) {
    known.insert(target_of(target));
  }
  // Told to resume, we look for all we knew: a cluster that is started again comes up slowly.
  const std::size_t friends_max = config_.resume ? 64 : 4;
  const std::chrono::seconds friends_for(config_.resume ? 60 : 10);
  for (const Ip& place : placement_.some(friends_max)) {
    const router::Target target{place.to_string(), config_.port};
    if (!known.contains(target)) {
      old_friends_.insert(target);
      mesh_->connect(target.to_string());
    }
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, friends_for);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    for (const router::Target& target : std::exchange(old_friends_, {})) {
      if (!error) {
        mesh_->forget(target.to_string());
      }
    }
  });
}

Result<Ok> Agent::start_docker() {
  plugin::DockerDriver::Stored stored;
  stored.networks = WEFT_TRY(host_.store.load("docker_networks"));
  stored.endpoints = WEFT_TRY(host_.store.load("docker_endpoints"));
  const PluginSockets sockets =
      claim_plugin_sockets(WEFT_TRY(host_.store.load(kPluginSocketsTable)),
                           {{config_.docker_plugin_socket, plugin::Scope::Local},
                            {config_.docker_swarm_socket, plugin::Scope::Global}},
                           !stored.networks.empty());
  if (!sockets.batch.empty()) {
    (void)WEFT_TRY(host_.store.apply(sockets.batch));
  }
  auto driver = WEFT_TRY(plugin::DockerDriver::create(
      {.default_subnet = config_.default_subnet,
       .range = config_.has_range() ? std::optional(config_.range) : std::nullopt,
       .default_subnet_v6 = config_.default_subnet_v6,
       .range_v6 = config_.range_v6,
       .encrypts = sealed_ && config_.trusted_subnets.empty()},
      stored));
  docker_ = WEFT_TRY(plugin::DockerService::start(
      host_.io.get_executor(),
      {.socket = config_.docker_plugin_socket,
       .swarm_socket = config_.docker_swarm_socket,
       .earlier = sockets.earlier},
      std::move(driver),
      [this](plugin::DockerAction action) { on_docker(std::move(action)); }));
  std::set<std::string> owned;
  for (const plugin::Port& port : docker_->driver().ports()) {
    owned.insert(port.host);
  }
  datapath_->sweep(std::string(plugin::kHostEndPrefix), owned);
  look_for_lost_addresses();
  return Ok{};
}

Result<Ok> Agent::start_control(std::function<void()> on_stop) {
  ControlHooks hooks{
      .status = [this] { return status(); },
      .peers_reachable = [this] { return mesh_->mesh().peers_reachable(); },
      .metrics = [this] { return all_metrics(); },
      .connect = [this](const TargetsCall& call) { return connect(call); },
      .forget = [this](const TargetsCall& call) { return forget(call); },
      .reload = [this] { return reload(); },
      .stop = std::move(on_stop),
      .dns = dns_ ? std::optional(dns_hooks()) : std::nullopt,
  };
  ipam_api_ = std::make_unique<IpamApi>(
      *ipam_,
      [this](RequestId call, sys::HttpResponse response) {
        control_->respond(call, std::move(response));
      },
      [this](const std::string& text) { return find_peer(text); },
      [this](const std::string& owner) { return may_run(owner); },
      tracker_name());
  control_ = WEFT_TRY(sys::listen_http(
      host_.io.get_executor(),
      {.path = config_.control_socket(), .group = "weft"},
      [this, hooks, attach = attach_hooks()](const sys::HttpRequest& request) {
        if (is_ipam_path(request.target)) {
          ipam_api_->on_request(request);
        } else if (is_attach_path(request.target)) {
          control_->respond(request.id, handle_attach(request, attach));
        } else if (request.target.starts_with(kWeavePrefix)) {
          sys::HttpRequest inner = request;
          inner.target.erase(0, kWeavePrefix.size() - 1);
          control_->respond(request.id, handle_weave(inner, hooks, attach));
        } else if (request.method == "GET" && request.target.starts_with("/api")) {
          ask_app(request.id, request.target);
        } else {
          control_->respond(request.id, handle_control(request, hooks));
        }
      },
      [this](RequestId call) { ipam_api_->on_hangup(call); }));
  start_weave_api(hooks);
  return Ok{};
}

void Agent::note_not_listening(const std::string& what, const Error& why) {
  log::warning(what, {"why", why});
  not_listening_.push_back(what + ": " + why.what);
}

// Somebody else may have the ports: Weave itself, while a host moves from one to the other. Then
// there is no such API, and everything else works.
void Agent::start_weave_api(const ControlHooks& hooks) {
  if (const auto listening = listen_weave(hooks); !listening.ok()) {
    note_not_listening("no control API over TCP", listening.error());
  }
  if (const auto listening = listen_status(); !listening.ok()) {
    note_not_listening("no status over TCP", listening.error());
  }
}

Result<Ok> Agent::listen_weave(const ControlHooks& hooks) {
  if (config_.http_address.is_off()) {
    return Ok{};
  }
  weave_ipam_api_ = std::make_unique<IpamApi>(
      *ipam_,
      [this](RequestId call, sys::HttpResponse response) {
        weave_api_->respond(call, std::move(response));
      },
      [this](const std::string& text) { return find_peer(text); },
      [this](const std::string& owner) { return may_run(owner); },
      tracker_name());
  const auto on_request = [this, hooks, attach = attach_hooks()](const sys::HttpRequest& request) {
    on_weave_request(request, hooks, attach);
  };
  const auto on_hangup = [this](RequestId call) { weave_ipam_api_->on_hangup(call); };
  if (config_.http_address.tcp) {
    constexpr std::size_t kClientsMax = 256;  // Those that wait for addresses stay connected.
    weave_api_ = WEFT_TRY(sys::listen_http_tcp(host_.io.get_executor(),
                                               {.address = *config_.http_address.tcp,
                                                .connections_max = kClientsMax,
                                                .only_local = !http_certificate_,
                                                .certificate = http_certificate_},
                                               on_request,
                                               on_hangup));
    if (http_certificate_) {
      log::info("control API",
                {"url", "https://" + config_.http_address.tcp->to_string()},
                {"certificate_sha256", http_certificate_->fingerprint});
    }
  } else {
    weave_api_ = WEFT_TRY(sys::listen_http(
        host_.io.get_executor(), {.path = config_.http_address.path}, on_request, on_hangup));
  }
  return Ok{};
}

// With a token, over TCP, what the control socket serves is there too: who has it is no stranger.
void Agent::on_weave_request(const sys::HttpRequest& request,
                             const ControlHooks& hooks,
                             const AttachHooks& attach) {
  const bool asks_for_token = !http_token_.empty() && config_.http_address.tcp.has_value();
  auto refusal =
      asks_for_token ? refuse_without_token(request, http_token_) : refuse_browser(request);
  if (refusal) {
    weave_api_->respond(request.id, *std::move(refusal));
    return;
  }
  const bool is_control = asks_for_token && request.target.starts_with(kControlPrefix);
  sys::HttpRequest inner = request;
  inner.target.erase(0, is_control ? kControlPrefix.size() - 1 : 0);
  if (is_ipam_path(inner.target) && !ipam_->hands_out() && !inner.target.starts_with("/peer")) {
    weave_api_->respond(inner.id, {.status = 404, .content_type = "text/plain", .body = ""});
  } else if (is_ipam_path(inner.target)) {
    weave_ipam_api_->on_request(inner);
  } else if (is_control && !inner.target.starts_with("/expose/")) {
    weave_api_->respond(inner.id, handle_control(inner, hooks));
  } else {
    weave_api_->respond(inner.id, handle_weave(inner, hooks, attach));
  }
}

Result<Ok> Agent::listen_status() {
  if (config_.status_address.is_off()) {
    return Ok{};
  }
  const auto on_request = [this](const sys::HttpRequest& request) {
    status_api_->respond(
        request.id,
        handle_status_only(
            request, [this] { return status(); }, [this] { return all_metrics(); }));
  };
  status_api_ = WEFT_TRY(listen_at(config_.status_address, on_request));
  return Ok{};
}

Result<std::unique_ptr<sys::HttpServer>> Agent::listen_at(
    const ListenPlace& place, std::function<void(const sys::HttpRequest&)> on_request) {
  const auto on_hangup = [](RequestId) {};
  return place.tcp
             ? sys::listen_http_tcp(
                 host_.io.get_executor(), {.address = *place.tcp}, std::move(on_request), on_hangup)
             : sys::listen_http(
                 host_.io.get_executor(), {.path = place.path}, std::move(on_request), on_hangup);
}

Result<Ok> Agent::start_metrics() {
  if (config_.metrics_address.is_off()) {
    return Ok{};
  }
  metrics_ = WEFT_TRY(listen_at(config_.metrics_address, [this](const sys::HttpRequest& request) {
    metrics_->respond(request.id, handle_metrics(request, [this] { return all_metrics(); }));
  }));
  return Ok{};
}

}  // namespace weft::agent
