// Who feeds the probe and the app: watches go to probes, reports come back, both over the mesh.
#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "agent/metrics.h"
#include "agent/version.h"
#include "agent/wiring.h"
#include "app/metrics.h"
#include "base/log.h"
#include "probe/report/codec.h"

namespace weft::agent {

namespace {

// Who scrapes our metrics, as the probe knows them: no peer has this name.
constexpr PeerName kScraper{};
constexpr std::chrono::seconds kScrapeLease(60);
constexpr std::chrono::seconds kScrapeInterval(10);

std::uint32_t to_us(const std::optional<Duration>& duration) {
  using std::chrono::microseconds;
  const auto us = duration ? std::chrono::duration_cast<microseconds>(*duration).count() : 0;
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(us, std::numeric_limits<std::uint32_t>::max()));
}

probe::FlowFacts carried_to(PeerName peer, const router::DatapathStatus& datapath) {
  const auto found = datapath.traffic.find(peer);
  if (found == datapath.traffic.end()) {
    return {};
  }
  return {.sent = found->second.bytes_out,
          .received = found->second.bytes_in,
          .packets_sent = found->second.packets_out,
          .packets_received = found->second.packets_in};
}

probe::PathFacts path_facts(const router::PathStatus& status,
                            const router::DatapathStatus& datapath) {
  const auto mtu = datapath.path_mtus.find(status.peer);
  const bool is_relayed = status.path.way == router::Way::Relay;
  return {.peer = status.peer,
          .way = is_relayed ? "relay" : to_string(status.path),
          .via = status.path.via,
          .encrypted = status.encrypted,
          .lost = status.lost,
          .rtt_us = to_us(status.rtt),
          .mtu = mtu == datapath.path_mtus.end() ? 0 : mtu->second,
          .carried = carried_to(status.peer, datapath)};
}

}  // namespace

void Agent::start_probe(const Seat& seat) {
  probe::Sampler::Sources sources{
      .processes = sys::open_procfs(config_.host_paths),
      .groups = sys::open_groups(config_.host_paths),
      .sockets = sys::open_sock_diag(config_.host_paths),
      .connections =
          config_.bpf ? sys::open_bpf_connections(
              config_.udp_octets ? sys::DatagramOctets::IfPossible : sys::DatagramOctets::No,
              config_.host_paths)
                      : nullptr,
      .tracks = sys::open_conntrack(),
      .engine = {}};
  if (config_.docker) {
    sources.engine = probe::engine_at(config_.docker_socket);
  }
  probe_ = std::make_unique<probe::ProbeService>(
      host_.io.get_executor(),
      host_.clock,
      probe::Probe::Options{
          .self = seat.identity.name,
          .incarnation = seat.identity.incarnation,
          .version = std::string(kVersion),
          .name_of =
              [this](const Ip& address) { return dns_ ? dns_->name_of(address) : std::string(); }},
      std::move(sources),
      probe::ProbeService::Hooks{.overlay = [this] { return overlay_facts(); },
                                 .tell = [this](probe::Tell report) { tell(std::move(report)); }});
}

void Agent::start_controls(const Seat& seat) {
  const bool is_on = config_.controls != Controls::Off;
  desk_ = std::make_unique<ControlDesk>(
      host_.io.get_executor(),
      host_.clock,
      host_.entropy,
      control::ControlService::Options{
          .performer = {.self = seat.identity.name,
                        .enabled = is_on,
                        // Where anybody can join the mesh, anybody could open root shells.
                        .for_others = seat.passwords.has_value(),
                        .host_shell = is_on && config_.host_shell},
          .engine_socket = config_.docker_socket,
          .host = config_.host_paths},
      [this](PeerName to, Bytes message) {
        mesh_->send(
            GossipTo{.topic = Topic::Probe, .to = to, .payload = probe::encode_control(message)});
      });
}

// A UI that cannot be had (its port is taken) is no reason to leave containers without a network.
void Agent::start_app(const Seat& seat) {
  app_ = std::make_unique<app::AppService>(
      host_.io.get_executor(),
      host_.clock,
      app::App::Options{.self = seat.identity.name,
                        .version = std::string(kVersion),
                        .hostname = config_.nickname},
      app::AppService::Hooks{.peers = [this] { return peer_facts(); },
                             .watch = [this](app::SendWatch send) { watch(std::move(send)); },
                             .controls = desk_.get()});
  desk_->set_app(*app_);
  if (!config_.ui_listen) {
    return;
  }
  const auto listening = app_->listen({.listen = *config_.ui_listen,
                                       .certificate = seat.ui_certificate,
                                       .proxies = config_.ui_proxies},
                                      seat.ui_access);
  if (!listening.ok()) {
    note_not_listening("no web UI", listening.error());
    return;
  }
  const std::string place = "://" + app_->endpoint().to_string() + "/";
  if (seat.ui_certificate) {
    log::info("web UI",
              {"url", "https" + place},
              {"certificate_sha256", seat.ui_certificate->fingerprint});
  } else {
    log::info("web UI", {"url", "http" + place});
  }
}

void Agent::on_probe_message(PeerName from, ByteView payload) {
  const auto message = probe::decode_message(payload);
  if (message.ok() && std::holds_alternative<probe::Watch>(message.value())) {
    probe_->on_watch(from, std::get<probe::Watch>(message.value()));
  } else if (message.ok() && std::holds_alternative<probe::ControlBytes>(message.value())) {
    desk_->on_message(from, std::get<probe::ControlBytes>(message.value()).bytes);
  } else {
    app_->on_report(from, payload);  // Refuses and counts what is no report.
  }
}

void Agent::ask_app(RequestId call, const std::string& target) {
  app_->ask(target, [this, call](unsigned status, std::string body) {
    control_->respond(
        call, {.status = status, .content_type = "application/json", .body = std::move(body)});
  });
}

// Scraping looks at this host alone, and less often than people do: what it finds is up to
// kScrapeInterval old, and the first scrape after a pause says nothing of containers and edges.
std::string Agent::all_metrics() {
  const TimePoint now = host_.clock.now();
  if (now - std::exchange(scraped_, now) > kScrapeLease) {
    own_report_.reset();
  }
  probe_->on_watch(kScraper, {.lease = kScrapeLease, .interval = kScrapeInterval});
  return metrics_text(status()) + (own_report_ ? app::metrics_text(*own_report_) : "");
}

void Agent::tell(probe::Tell report) {
  if (report.to == kScraper) {
    auto own = probe::decode_message(report.message);
    if (own.ok() && std::holds_alternative<probe::HostReport>(own.value())) {
      own_report_ = std::get<probe::HostReport>(std::move(own).value());
    }
    return;
  }
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
                            .range = config_.has_range() ? config_.range.to_string() : "",
                            .mtu = datapath.mtu,
                            .controls = config_.controls != Controls::Off && config_.docker,
                            .host_shell = config_.controls != Controls::Off && config_.host_shell,
                            .links = {},
                            .paths = {},
                            .endpoints = {}};
  for (const router::ConnectionStatus& connection : mesh_->mesh().connections()) {
    facts.links.push_back({.address = connection.address,
                           .peer = connection.peer ? connection.peer->number() : 0,
                           .outbound = connection.outbound,
                           .authenticated = connection.authenticated,
                           .state = std::string(text_of(connection.state)),
                           .reason = connection.reason,
                           .rtt_us = to_us(connection.rtt),
                           .loss_percent = connection.loss_percent});
  }
  for (const router::PathStatus& status : datapath.paths) {
    facts.paths.push_back(path_facts(status, datapath));
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
