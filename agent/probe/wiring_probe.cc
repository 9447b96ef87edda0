// Who feeds the probe and the app: watches go to probes, reports come back, both over the mesh.
#include <utility>
#include <variant>

#include "agent/version.h"
#include "agent/wiring.h"
#include "base/log.h"
#include "probe/report/codec.h"

namespace weft::agent {

void Agent::start_probe(const Seat& seat) {
  probe::Sampler::Sources sources{
      .processes = sys::open_procfs(), .sockets = sys::open_sock_diag(), .engine = {}};
  if (config_.docker) {
    sources.engine = probe::engine_at(config_.docker_socket);
  }
  probe_ = std::make_unique<probe::ProbeService>(
      host_.io.get_executor(),
      host_.clock,
      probe::Probe::Options{.self = seat.identity.name,
                            .incarnation = seat.identity.incarnation,
                            .version = std::string(kVersion)},
      std::move(sources),
      probe::ProbeService::Hooks{.overlay = [this] { return overlay_facts(); },
                                 .tell = [this](probe::Tell report) { tell(std::move(report)); }});
}

// A UI that cannot be had (its port is taken) is no reason to leave containers without a network.
void Agent::start_app(PeerName self) {
  if (!config_.ui_listen) {
    return;
  }
  auto app = app::AppService::start(
      host_.io.get_executor(),
      host_.clock,
      {.self = self, .version = std::string(kVersion), .hostname = config_.nickname},
      *config_.ui_listen,
      {.peers = [this] { return peer_facts(); },
       .watch = [this](app::SendWatch send) { watch(std::move(send)); }});
  if (!app.ok()) {
    log::warning("no web UI", {"why", app.error()});
    return;
  }
  app_ = std::move(app).value();
  log::info("web UI", {"url", "http://" + app_->endpoint().to_string() + "/"});
}

void Agent::on_probe_message(PeerName from, ByteView payload) {
  const auto message = probe::decode_message(payload);
  if (message.ok() && std::holds_alternative<probe::Watch>(message.value())) {
    probe_->on_watch(from, std::get<probe::Watch>(message.value()));
  } else if (app_) {
    app_->on_report(from, payload);  // Refuses and counts what is no report.
  }
}

void Agent::tell(probe::Tell report) {
  mesh_->send(
      GossipTo{.topic = Topic::Probe, .to = report.to, .payload = std::move(report.message)});
}

// The mesh brings to ourselves, too, what we send to ourselves.
void Agent::watch(app::SendWatch send) {
  mesh_->send(GossipTo{.topic = Topic::Probe, .to = send.to, .payload = std::move(send.message)});
}

probe::OverlayFacts Agent::overlay_facts() const {
  const router::DatapathStatus datapath = datapath_->status();
  probe::OverlayFacts facts{.nickname = config_.nickname,
                            .datapath = datapath.mode,
                            .encrypted = sealed_ != nullptr,
                            .range = config_.range.to_string(),
                            .mtu = datapath.mtu,
                            .links = {},
                            .endpoints = {}};
  for (const router::ConnectionStatus& connection : mesh_->mesh().connections()) {
    facts.links.push_back({.address = connection.address,
                           .peer = connection.peer ? connection.peer->number() : 0,
                           .outbound = connection.outbound,
                           .authenticated = connection.authenticated,
                           .state = std::string(text_of(connection.state)),
                           .reason = connection.reason});
  }
  if (docker_) {
    for (const plugin::Port& port : docker_->driver().ports()) {
      probe::EndpointFacts endpoint{.mac = port.mac, .addresses = {}};
      for (const Cidr& address : port.addresses) {
        endpoint.addresses.push_back(address.address());
      }
      facts.endpoints.push_back(std::move(endpoint));
    }
  }
  return facts;
}

std::vector<app::PeerFacts> Agent::peer_facts() const {
  std::vector<app::PeerFacts> facts;
  for (const router::PeerStatus& peer : mesh_->mesh().peers()) {
    facts.push_back(
        {.name = peer.name, .nickname = peer.nickname, .reachable = peer.self || peer.reachable});
  }
  return facts;
}

}  // namespace weft::agent
