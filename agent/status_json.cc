#include <algorithm>
#include <chrono>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "agent/dns/dns_api.h"
#include "agent/ipam/count_json.h"
#include "agent/status.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

std::string_view ipam_state(ipam::AllocatorStatus::State state) {
  using enum ipam::AllocatorStatus::State;
  switch (state) {
    case Idle:
      return "idle";
    case AwaitingConsensus:
      return "awaiting consensus";
    case Ready:
      return "ready";
    case Priming:
      return "priming";
    case Suspended:
      return "suspended";
    case WaitingForSpace:
      return "waiting for IP(s) to become available";
  }
  return "unknown";
}

std::string_view checksum_verdict(router::ChecksumVerdict verdict) {
  using enum router::ChecksumVerdict;
  switch (verdict) {
    case Untested:
      return "untested";
    case Right:
      return "right";
    case TurnedOff:
      return "turned off";
    case Elsewhere:
      return "wrong elsewhere";
  }
  return "unknown";
}

json::array to_json(const std::vector<router::OffloadStatus>& offloads) {
  json::array array;
  for (const router::OffloadStatus& offload : offloads) {
    array.push_back(json::object{{"device", offload.device},
                                 {"enabled", offload.enabled},
                                 {"verdict", checksum_verdict(offload.verdict)}});
  }
  return array;
}

template <class Strings>
json::array array_of(const Strings& strings) {
  json::array array;
  for (const std::string& text : strings) {
    array.emplace_back(text);
  }
  return array;
}

template <class Values>
json::array texts_of(const Values& values) {
  json::array array;
  for (const auto& value : values) {
    array.emplace_back(value.to_string());
  }
  return array;
}

json::value text_or_null(const std::optional<PeerName>& name) {
  return name ? json::value(name->to_string()) : json::value(nullptr);
}

std::string nickname_of(const std::vector<router::PeerStatus>& peers, PeerName name) {
  for (const router::PeerStatus& peer : peers) {
    if (peer.name == name) {
      return peer.nickname;
    }
  }
  return "";
}

// Frames to whom nobody reaches have a path that says nothing of it while nothing is sent.
bool is_reachable(const std::vector<router::PeerStatus>& peers, PeerName name) {
  return std::any_of(peers.begin(), peers.end(), [name](const router::PeerStatus& peer) {
    return peer.name == name && peer.reachable;
  });
}

json::value microseconds_of(const std::optional<Duration>& duration) {
  using std::chrono::microseconds;
  return duration ? json::value(std::chrono::duration_cast<microseconds>(*duration).count())
                  : json::value(nullptr);
}

json::object to_json(const router::PeerStatus& peer, const std::vector<router::PeerStatus>& peers) {
  json::array neighbours;
  for (const PeerName neighbour : peer.neighbours) {
    neighbours.push_back(
        json::object{{"name", neighbour.to_string()}, {"nickname", nickname_of(peers, neighbour)}});
  }
  return {{"name", peer.name.to_string()},
          {"nickname", peer.nickname},
          {"incarnation", peer.incarnation.value()},
          {"version", peer.version},
          {"self", peer.self},
          {"reachable", peer.reachable},
          {"reason", peer.reason},
          {"next_hop", text_or_null(peer.next_hop)},
          {"latency_us", microseconds_of(peer.latency)},
          {"underlay", texts_of(peer.underlay)},
          {"neighbours", std::move(neighbours)}};
}

json::object to_json(const router::ConnectionStatus& connection) {
  return {{"address", connection.address},
          {"outbound", connection.outbound},
          {"state", text_of(connection.state)},
          {"peer", text_or_null(connection.peer)},
          {"nickname", connection.nickname},
          {"authenticated", connection.authenticated},
          {"old_password", connection.old_password},
          {"rtt_us", microseconds_of(connection.rtt)},
          {"jitter_us",
           microseconds_of(connection.rtt ? std::optional(connection.jitter) : std::nullopt)},
          {"loss_percent",
           connection.rtt ? json::value(connection.loss_percent) : json::value(nullptr)},
          {"queue",
           {{"unsent_bytes", connection.unsent_bytes},
            {"unconfirmed_bytes", connection.queue.unconfirmed_bytes},
            {"waiting", connection.queue.origins},
            {"merged", connection.queue.merged},
            {"held_back", connection.queue.held_back}}},
          {"reason", connection.reason}};
}

json::object to_json(const router::HandshakeStats& stats) {
  return {{"accepted", stats.accepted},
          {"established", stats.established},
          {"terminated", stats.terminated},
          {"refused",
           {{"password", stats.password},
            {"version", stats.version},
            {"busy", stats.busy},
            {"clone", stats.clone},
            {"self", stats.self},
            {"full", stats.full},
            {"broken", stats.broken}}},
          {"curve_multiplications", stats.dh}};
}

json::object to_json(const router::MeshStats& stats) {
  return {{"frames_in", stats.frames_in},
          {"frames_out", stats.frames_out},
          {"bytes_in", stats.bytes_in},
          {"bytes_out", stats.bytes_out},
          {"links_refused", stats.links_refused},
          {"frames_refused", stats.frames_refused},
          {"records_refused", stats.records_refused},
          {"payloads_dropped", stats.payloads_dropped},
          {"handshakes", to_json(stats.handshakes)}};
}

json::object to_json(const ipam::AllocatorStatus& ipam,
                     const std::vector<router::PeerStatus>& peers) {
  json::array ranges;
  for (const ipam::RangeStatus& range : ipam.ranges) {
    ranges.push_back(json::object{{"owner", range.owner.to_string()},
                                  {"nickname", nickname_of(peers, range.owner)},
                                  {"addresses", count_json(range.address_count)},
                                  {"used", range.used_count},
                                  {"reachable", range.reachable}});
  }
  json::array council;
  for (const PeerName& member : ipam.council) {
    council.emplace_back(member.to_string());
  }
  const bool has_range = ipam.has_range();
  return {{"state", has_range ? ipam_state(ipam.state) : "off"},
          {"detail", ipam.detail},
          {"conflict", ipam.conflict},
          {"range", has_range ? ipam.range.to_string() : ""},
          {"range_addresses", count_json(has_range ? ipam::Span::of(ipam.range).size() : 0)},
          {"default_subnet", has_range ? ipam.default_subnet.to_string() : ""},
          {"pending", ipam.pending_count},
          {"decree", ipam.decree},
          {"council", std::move(council)},
          {"ranges", std::move(ranges)}};
}

// The range of IPv6 has the same members, and none of its own within it.
json::object ipam_json(const AgentStatus& status) {
  json::object object = to_json(status.ipam, status.peers);
  object["ipv6"] =
      status.ipam_v6 ? json::value(to_json(*status.ipam_v6, status.peers)) : json::value(nullptr);
  return object;
}

// "relay h2": the relay by the name people know it by.
std::string text_of(const router::Path& path, const std::vector<router::PeerStatus>& peers) {
  const std::string nickname =
      path.way == router::Way::Relay ? nickname_of(peers, path.via) : std::string();
  return nickname.empty() ? to_string(path) : "relay " + nickname;
}

// How frames for one peer travel, since when and why.
json::object to_json(const router::PathStatus& path,
                     const router::DatapathStatus& datapath,
                     const AgentStatus& status) {
  json::array history;
  for (const router::PathEvent& event : path.history) {
    using std::chrono::milliseconds;
    history.push_back(json::object{
        {"age_ms", std::chrono::duration_cast<milliseconds>(datapath.now - event.at).count()},
        {"path", text_of(event.path, status.peers)},
        {"reason", event.reason}});
  }
  const auto mtu = datapath.path_mtus.find(path.peer);
  json::object object{{"name", path.peer.to_string()},
                      {"nickname", nickname_of(status.peers, path.peer)},
                      {"path", text_of(path.path, status.peers)},
                      {"encrypted", path.encrypted},
                      {"lost", path.lost},
                      {"reachable", is_reachable(status.peers, path.peer)},
                      {"rtt_us", microseconds_of(path.rtt)},
                      {"mtu", mtu == datapath.path_mtus.end() ? 0 : mtu->second},
                      {"switches", path.switches},
                      {"history", std::move(history)}};
  if (const auto traffic = datapath.traffic.find(path.peer); traffic != datapath.traffic.end()) {
    object["packets_out"] = traffic->second.packets_out;
    object["bytes_out"] = traffic->second.bytes_out;
    object["packets_in"] = traffic->second.packets_in;
    object["bytes_in"] = traffic->second.bytes_in;
  }
  return object;
}

json::object to_json(const router::DatapathStatus& datapath, const AgentStatus& status) {
  json::array paths;
  for (const router::PathStatus& path : datapath.paths) {
    paths.push_back(to_json(path, datapath, status));
  }
  const router::ForwardingStats& forwarding = datapath.forwarding;
  const sys::FastPathStats& fast = datapath.fast_path;
  return {{"mode", datapath.mode},
          {"reason", datapath.reason},
          {"bridge", datapath.bridge},
          {"mtu", datapath.mtu},
          {"vni", datapath.vni},
          {"port", datapath.port},
          {"devices", array_of(datapath.underlay)},
          {"checksum_offload", to_json(datapath.offloads)},
          {"warnings", array_of(datapath.warnings)},
          {"endpoints_local", datapath.local_count},
          {"endpoints_remote", datapath.remote_count},
          {"multicast_groups", datapath.group_count},
          {"paths", std::move(paths)},
          {"stats",
           {{"arp_answered", forwarding.arp_answered},
            {"nd_answered", forwarding.nd_answered},
            {"frames_flooded", forwarding.frames_flooded},
            {"frames_limited", forwarding.frames_limited},
            {"frames_malformed", forwarding.frames_malformed},
            {"frames_looped", forwarding.frames_looped},
            {"too_big_answered", forwarding.too_big_answered},
            {"too_big_cut", forwarding.too_big_cut},
            {"too_big_dropped", forwarding.too_big_dropped},
            {"fast_too_big", fast.too_big},
            {"fast_arp_answered", fast.arp_answered},
            {"multicast_narrowed", forwarding.multicast_narrowed},
            {"multicast_kept", forwarding.multicast_kept},
            {"groups_refused", forwarding.groups_refused},
            {"endpoints_refused", forwarding.endpoints_refused},
            {"fast_local", fast.local},
            {"fast_encapsulated", fast.encapsulated},
            {"fast_decapsulated", fast.decapsulated},
            {"fast_slow", fast.slow},
            {"fast_refused", fast.refused},
            {"fast_sealed", fast.sealed},
            {"fast_esp", fast.esp},
            {"fast_lane_sealed", fast.lane_sealed},
            {"fast_lane_opened", fast.lane_opened},
            {"fast_lane_forged", fast.lane_forged},
            {"fast_lane_replayed", fast.lane_replayed},
            {"fast_relayed", fast.relayed},
            {"relayed", datapath.relays.passed_on},
            {"relays_limited", datapath.relays.limited},
            {"relays_refused", datapath.relays.refused},
            {"relays_malformed", datapath.relays.malformed},
            {"probes", datapath.path_stats.probes_sent},
            {"probes_limited", datapath.path_stats.probes_limited},
            {"path_switches", datapath.path_stats.switches}}}};
}

// How frames for the peer travel, and why.
json::object to_json(const router::SealedPeerStatus& peer,
                     const std::vector<router::PeerStatus>& peers) {
  const bool waits = !peer.established && !peer.clear;
  return {{"name", peer.peer.to_string()},
          {"nickname", nickname_of(peers, peer.peer)},
          {"path", peer.clear ? "fastdp" : "encrypted"},
          {"state", waits ? (peer.handshaking ? "handshake" : "idle") : "up"},
          {"endpoint", peer.endpoint.to_string()},
          {"cipher", peer.clear ? "" : peer.cipher},
          {"esp", peer.esp},
          {"lane", peer.lane},
          {"reason", peer.clear ? "both hosts are in trusted subnets" : "a password is set"},
          {"packets_out", peer.packets_out},
          {"packets_in", peer.packets_in},
          {"bytes_out", peer.bytes_out},
          {"bytes_in", peer.bytes_in}};
}

json::object drops_to_json(const router::SealedWorkerStats& worker) {
  using enum router::SealedDrop;
  const auto of = [&worker](router::SealedDrop reason) {
    return worker.drops.at(static_cast<std::size_t>(reason));
  };
  return {{"no_peer", of(NoPeer)},
          {"too_big", of(TooBig)},
          {"no_session", of(NoSession)},
          {"send_failed", of(SendFailed)},
          {"malformed", of(Malformed)},
          {"unknown_session", of(UnknownIndex)},
          {"replayed", of(Replayed)},
          {"not_authentic", of(NotAuthentic)},
          {"deliver_failed", of(DeliverFailed)},
          {"relayed_too_often", of(RelayedTooOften)},
          {"passed_kernel", of(PassedKernel)}};
}

json::object to_json(const router::SealedStatus& sealed,
                     const std::vector<router::PeerStatus>& peers) {
  json::array entries;
  for (const router::SealedPeerStatus& peer : sealed.peers) {
    entries.push_back(to_json(peer, peers));
  }
  const router::SessionStats& sessions = sealed.sessions;
  return {
      {"port", sealed.port},
      {"ciphers", array_of(sealed.ciphers)},
      {"esp", {{"offered", sealed.esp}, {"why", sealed.esp_why}, {"failure", sealed.esp_failure}}},
      {"peers", std::move(entries)},
      {"drops", drops_to_json(sealed.worker)},
      {"stats",
       {{"frames_in", sealed.worker.frames_in},
        {"frames_out", sealed.worker.frames_out},
        {"frames_relayed", sealed.worker.frames_relayed},
        {"datagrams_in", sealed.worker.datagrams_in},
        {"datagrams_out", sealed.worker.datagrams_out},
        {"handshakes", sessions.handshakes},
        {"initiations", sessions.initiations_sent},
        {"cookies_sent", sessions.cookies_sent},
        {"malformed", sessions.malformed},
        {"strangers", sessions.strangers},
        {"replays", sessions.replays},
        {"limited", sessions.limited},
        {"unanswerable", sessions.unanswerable},
        {"incompatible", sessions.incompatible},
        {"events_refused", sealed.worker.events_refused}}}};
}

json::object to_json(const dns::DnsStatus& dns) {
  const dns::Names::Stats& names = dns.stats;
  const dns::ResponderStats& queries = dns.queries;
  const dns::Forwarder::Stats& forwarded = dns.forwarded;
  return {{"domain", dns.domain.to_string()},
          {"ttl", dns.ttl_seconds},
          {"address", dns.address ? dns.address->to_string() : ""},
          {"reason", dns.reason},
          {"upstream", texts_of(dns.upstream)},
          {"entries", names.entries},
          {"names", names_json(dns)},
          {"stats",
           {{"own_entries", names.own_entries},
            {"suspended", names.suspended},
            {"records_refused", names.records_refused},
            {"addresses_refused", names.addresses_refused},
            {"queries", queries.queries},
            {"absent", queries.absent},
            {"malformed", queries.malformed},
            {"truncated", queries.truncated},
            {"forwarded", queries.forwarded},
            {"forward_asked", forwarded.asked},
            {"forward_cached", forwarded.cached},
            {"forward_joined", forwarded.joined},
            {"forward_failed", forwarded.failed},
            {"forward_refused", forwarded.refused},
            {"forward_loops", forwarded.loops},
            {"forward_mismatched", forwarded.mismatched},
            {"dropped", dns.dropped}}}};
}

}  // namespace

std::string_view text_of(router::ConnectionState state) {
  using enum router::ConnectionState;
  switch (state) {
    case Connecting:
      return "connecting";
    case Pending:
      return "pending";
    case Established:
      return "established";
    case Retrying:
      return "retrying";
    case Failed:
      return "failed";
  }
  return "unknown";
}

json::object to_json(const AgentStatus& status) {
  json::array peers;
  for (const router::PeerStatus& peer : status.peers) {
    peers.push_back(to_json(peer, status.peers));
  }
  json::array connections;
  for (const router::ConnectionStatus& connection : status.connections) {
    connections.push_back(to_json(connection));
  }
  json::object router{{"name", status.peers.empty() ? "" : status.peers.front().name.to_string()},
                      {"nickname", status.peers.empty() ? "" : status.peers.front().nickname},
                      {"authenticated", status.password_set},
                      {"data_encrypted", status.sealed.has_value()},
                      {"discovery", status.discovery},
                      {"port", status.port},
                      {"connections_max", status.connections_max},
                      {"warnings", array_of(status.warnings)},
                      {"targets", array_of(status.targets)},
                      {"peers", std::move(peers)},
                      {"connections", std::move(connections)},
                      {"stats", to_json(status.mesh)}};
  json::object object{{"version", status.version},
                      {"router", std::move(router)},
                      {"datapath", to_json(status.datapath, status)},
                      {"ipam", ipam_json(status)}};
  if (status.dns) {
    object["dns"] = to_json(*status.dns);
  }
  if (status.sealed) {
    object["encryption"] = to_json(*status.sealed, status.peers);
  }
  if (status.docker) {
    object["docker"] = {{"socket", status.docker->socket},
                        {"networks", status.docker->network_count},
                        {"ports", status.docker->port_count}};
  }
  return object;
}

json::value part_of(const json::object& status, StatusPart part) {
  switch (part) {
    case StatusPart::Summary:
      return status;
    case StatusPart::Peers:
      return status.at("router").at("peers");
    case StatusPart::Connections:
      return status.at("router").at("connections");
    case StatusPart::Ipam:
      return status.at("ipam");
    case StatusPart::Targets:
      return status.at("router").at("targets");
    case StatusPart::Dns:
      return status.contains("dns") ? status.at("dns") : nullptr;
    case StatusPart::Paths:
      return status.at("datapath").at("paths");
  }
  return nullptr;
}

Result<StatusPart> parse_status_part(std::string_view name) {
  if (name.empty()) {
    return StatusPart::Summary;
  }
  if (name == "peers") {
    return StatusPart::Peers;
  }
  if (name == "connections") {
    return StatusPart::Connections;
  }
  if (name == "ipam") {
    return StatusPart::Ipam;
  }
  if (name == "targets") {
    return StatusPart::Targets;
  }
  if (name == "dns") {
    return StatusPart::Dns;
  }
  if (name == "paths") {
    return StatusPart::Paths;
  }
  return Error{
      Errc::NotFound,
      fmt::format("status part \"{}\" (expected peers, connections, paths, ipam, dns or targets)",
                  name)};
}

}  // namespace weft::agent
