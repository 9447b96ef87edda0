#include "agent/metrics.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "agent/report.h"

namespace weft::agent {

namespace {

using prometheus::MetricType;
using Labels = std::vector<prometheus::ClientMetric::Label>;

// Collects families in the order in which they are first named.
class Page {
 public:
  void gauge(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    metric(MetricType::Gauge, name, help, std::move(labels)).gauge.value = value;
  }
  void counter(const std::string& name,
               const std::string& help,
               std::uint64_t value,
               Labels labels = {}) {
    counter(name, help, static_cast<double>(value), std::move(labels));
  }
  void counter(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    metric(MetricType::Counter, name, help, std::move(labels)).counter.value = value;
  }

  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  prometheus::ClientMetric& metric(MetricType type,
                                   const std::string& name,
                                   const std::string& help,
                                   Labels labels) {
    auto family = std::find_if(families_.rbegin(), families_.rend(), [&](const auto& known) {
      return known.name == name;
    });
    if (family == families_.rend()) {
      families_.push_back({.name = name, .help = help, .type = type, .metric = {}});
      family = families_.rbegin();
    }
    prometheus::ClientMetric& made = family->metric.emplace_back();
    made.label = std::move(labels);
    return made;
  }

  std::vector<prometheus::MetricFamily> families_;
};

void add_queue(const router::ConnectionStatus& connection, const std::string& peer, Page& page) {
  const std::string queue_help = "What waits for the other end of a control connection.";
  page.gauge("weft_connection_queue_bytes",
             queue_help,
             static_cast<double>(connection.unsent_bytes),
             {{"peer", peer}, {"where", "socket"}});
  page.gauge("weft_connection_queue_bytes",
             queue_help,
             static_cast<double>(connection.queue.unconfirmed_bytes),
             {{"peer", peer}, {"where", "network"}});
  page.gauge("weft_connection_queue_peers",
             "Peers with news that the other end has not been sent yet.",
             static_cast<double>(connection.queue.origins),
             {{"peer", peer}});
  page.counter("weft_connection_merged_total",
               "News that joined earlier news still waiting for the other end.",
               connection.queue.merged,
               {{"peer", peer}});
  page.counter("weft_connection_held_back_total",
               "Times that news waited because the other end confirms too slowly.",
               connection.queue.held_back,
               {{"peer", peer}});
}

void add_connections(const AgentStatus& status, Page& page) {
  // (state, type) -> how many are encrypted, how many are not. Both are shown for all seen.
  std::map<std::pair<std::string, std::string>, std::pair<double, double>> counts;
  std::size_t old_password = 0;
  for (const router::ConnectionStatus& connection : status.connections) {
    const bool established = connection.state == router::ConnectionState::Established;
    auto& count =
        counts[{std::string(weave_state(connection.state)), established ? "fastdp" : "unknown"}];
    ++(is_encrypted(status, connection) ? count.first : count.second);
    old_password += connection.old_password ? 1U : 0U;
  }
  for (const auto& [key, count] : counts) {
    for (const auto& [encryption, number] :
         {std::pair("yes", count.first), std::pair("", count.second)}) {
      page.gauge("weave_connections",
                 "Number of peer-to-peer connections.",
                 number,
                 {{"encryption", encryption}, {"state", key.first}, {"type", key.second}});
    }
  }
  for (const router::ConnectionStatus& connection : status.connections) {
    if (connection.rtt && connection.peer) {
      const std::string peer = connection.peer->to_string();
      page.gauge("weft_connection_rtt_seconds",
                 "There and back on a control connection, as its heartbeats measure.",
                 std::chrono::duration<double>(*connection.rtt).count(),
                 {{"peer", peer}});
      page.gauge("weft_connection_jitter_seconds",
                 "How much that varies.",
                 std::chrono::duration<double>(connection.jitter).count(),
                 {{"peer", peer}});
      page.gauge("weft_connection_late_ratio",
                 "Share of the last 64 heartbeats that came a retransmission late.",
                 connection.loss_percent / 100,
                 {{"peer", peer}});
      add_queue(connection, peer, page);
    }
  }
  page.counter("weave_connection_terminations_total",
               "Number of peer-to-peer connections terminated.",
               status.mesh.handshakes.terminated);
  page.gauge("weft_connections_old_password",
             "Connections that stand on the password being replaced.",
             static_cast<double>(old_password));
  page.gauge(
      "weft_connections_max", "Limit of connections.", static_cast<double>(status.connections_max));
}

// What an allocator and others say to each other, and what of it came to nothing.
void add_allocator(const ipam::AllocatorStats& stats, const std::string& family, Page& page) {
  const std::vector<std::pair<std::string, std::uint64_t>> refused{
      {"malformed", stats.invalid_count},
      {"conflict", stats.conflict_count},
      {"misfit", stats.misfit_count},
      {"limit", stats.refused_count},
      {"oversized", stats.oversized_count}};
  for (const auto& [reason, count] : refused) {
    page.counter("weft_ipam_refused_total",
                 "Messages, rings and requests of the address manager that were not taken.",
                 count,
                 {{"family", family}, {"reason", reason}});
  }
  const std::vector<std::pair<std::string, std::uint64_t>> space{{"asked", stats.asked_count},
                                                                 {"granted", stats.granted_count},
                                                                 {"denied", stats.denied_count}};
  for (const auto& [fate, count] : space) {
    page.counter("weft_ipam_space_requests_total",
                 "Requests for space: of ours, and what became of others'.",
                 count,
                 {{"family", family}, {"fate", fate}});
  }
  page.counter("weft_ipam_decrees_total",
               "Decrees of the council that this peer brought about.",
               stats.decree_count,
               {{"family", family}});
}

void add_ipam(const AgentStatus& status, Page& page) {
  double used = 0;
  double unreachable = 0;
  double unreachable_addresses = 0;
  for (const ipam::RangeStatus& range : status.ipam.ranges) {
    used += static_cast<double>(range.used_count);
    if (!range.reachable) {
      unreachable += 1;
      unreachable_addresses += static_cast<double>(range.address_count);
    }
  }
  const auto total =
      status.ipam.has_range() ? static_cast<double>(ipam::Span::of(status.ipam.range).size()) : 0;
  page.gauge("weave_ips", "Number of IP addresses.", used, {{"state", "local-used"}});
  page.gauge("weave_max_ips", "Size of IP address space used by allocator.", total);
  page.gauge("weave_ipam_unreachable_count",
             "Number of unreachable peers that own addresses.",
             unreachable);
  page.gauge("weave_ipam_unreachable_percentage",
             "Percentage of all IP addresses owned by unreachable peers.",
             total > 0 ? 100 * unreachable_addresses / total : 0);
  page.gauge("weave_ipam_pending_allocates",
             "Number of pending allocates.",
             static_cast<double>(status.ipam.pending_count - status.ipam.pending_claim_count));
  page.gauge("weave_ipam_pending_claims",
             "Number of pending claims.",
             static_cast<double>(status.ipam.pending_claim_count));
  add_allocator(status.ipam.stats, "ipv4", page);
}

// Weave's names are those of IPv4, which is all it had.
void add_ipam_v6(const ipam::AllocatorStatus& ipam, Page& page) {
  double used = 0;
  double unreachable = 0;
  for (const ipam::RangeStatus& range : ipam.ranges) {
    used += static_cast<double>(range.used_count);
    unreachable += range.reachable ? 0 : 1;
  }
  page.gauge("weft_ipam_v6_used", "IPv6 addresses in use on this host.", used);
  page.gauge("weft_ipam_v6_max",
             "Size of the IPv6 range.",
             static_cast<double>(ipam::Span::of(ipam.range).size()));
  page.gauge(
      "weft_ipam_v6_unreachable_count", "Unreachable peers that own IPv6 addresses.", unreachable);
  page.gauge("weft_ipam_v6_pending",
             "Requests that wait for an IPv6 address.",
             static_cast<double>(ipam.pending_count));
  add_allocator(ipam.stats, "ipv6", page);
}

void add_peers(const AgentStatus& status, Page& page) {
  double reachable = 0;
  for (const router::PeerStatus& peer : status.peers) {
    reachable += peer.reachable ? 1 : 0;
  }
  const double all = static_cast<double>(status.peers.size());
  page.gauge(
      "weft_peers", "Peers known, ourselves among them.", reachable, {{"state", "reachable"}});
  page.gauge("weft_peers", "", all - reachable, {{"state", "unreachable"}});
  page.gauge(
      "weft_targets", "Peers an operator named.", static_cast<double>(status.targets.size()));
  page.gauge("weft_warnings",
             "Things an operator has to put right, such as a cloned host.",
             static_cast<double>(status.warnings.size()));
}

void add_handshakes(const router::HandshakeStats& stats, Page& page) {
  page.counter("weft_mesh_accepted_total", "Connections that came in.", stats.accepted);
  page.counter("weft_mesh_established_total", "Connections that came into use.", stats.established);
  const std::vector<std::pair<std::string, std::uint64_t>> reasons{{"password", stats.password},
                                                                   {"version", stats.version},
                                                                   {"busy", stats.busy},
                                                                   {"clone", stats.clone},
                                                                   {"self", stats.self},
                                                                   {"full", stats.full},
                                                                   {"broken", stats.broken}};
  for (const auto& [reason, count] : reasons) {
    page.counter("weft_mesh_handshakes_refused_total",
                 "Connections refused before they were used, by us or by the other side.",
                 count,
                 {{"reason", reason}});
  }
  page.counter("weft_mesh_curve_multiplications_total",
               "Multiplications on the curve, which are what handshakes cost.",
               stats.dh);
}

void add_overlay(const router::MeshStats& stats, Page& page) {
  page.counter("weft_mesh_statements_total", "Our links, stated to all.", stats.statements);
  page.counter(
      "weft_mesh_path_computations_total", "Computations of all paths.", stats.topology_updates);
  page.counter("weft_mesh_reconciliations_total",
               "Comparisons of records begun because hashes differed.",
               stats.reconciliations);
  const std::string parts_help = "What arrived of one origin's records.";
  page.counter("weft_mesh_parts_total", parts_help, stats.parts_news, {{"fate", "news"}});
  page.counter("weft_mesh_parts_total",
               parts_help,
               stats.parts_in - stats.parts_news,
               {{"fate", "repeated"}});
  page.counter("weft_mesh_windows_full_total",
               "Pushes put off because a neighbour is slow; updates merge meanwhile.",
               stats.windows_full);
  page.counter("weft_mesh_announcements_skipped_total",
               "Announcements left to the comparison of records.",
               stats.announcements_skipped);
  page.counter(
      "weft_mesh_accusations_total", "Neighbours that were silent or lost.", stats.accusations);
  page.counter("weft_mesh_refutations_total",
               "Accusations of ourselves that we answered.",
               stats.refutations);
  const std::string suspicions_help = "Peers that no path led to, and what became of it.";
  page.counter("weft_mesh_suspicions_total",
               suspicions_help,
               stats.suspicions_cleared,
               {{"fate", "cleared"}});
  page.counter(
      "weft_mesh_suspicions_total", suspicions_help, stats.suspensions, {{"fate", "suspended"}});
  page.gauge("weft_mesh_health_score",
             "Signs that this agent itself is slow: 0 is well, 8 the most.",
             stats.health_score);
}

void add_mesh(const router::MeshStats& stats, Page& page) {
  const std::string bytes_help = "Bytes on control connections, sealed.";
  page.counter("weft_mesh_bytes_total", bytes_help, stats.bytes_in, {{"direction", "in"}});
  page.counter("weft_mesh_bytes_total", bytes_help, stats.bytes_out, {{"direction", "out"}});
  const std::string frames_help = "Messages on control connections.";
  page.counter("weft_mesh_frames_total", frames_help, stats.frames_in, {{"direction", "in"}});
  page.counter("weft_mesh_frames_total", frames_help, stats.frames_out, {{"direction", "out"}});
  for (std::size_t i = 0; i < stats.sent.size(); ++i) {
    const char* const kind = to_string(static_cast<router::FrameKind>(i));
    page.counter("weft_mesh_sent_frames_total",
                 "Messages sent on control connections, by what they are for.",
                 stats.sent[i].frames,
                 {{"kind", kind}});
    page.counter("weft_mesh_sent_bytes_total",
                 "Bytes of them, sealed.",
                 stats.sent[i].bytes,
                 {{"kind", kind}});
  }
  const std::string deflated_help = "Bytes of messages that were sent deflated.";
  page.counter(
      "weft_mesh_deflated_bytes_total", deflated_help, stats.deflated_from, {{"form", "plain"}});
  page.counter(
      "weft_mesh_deflated_bytes_total", deflated_help, stats.deflated_to, {{"form", "deflated"}});
  page.counter("weft_mesh_frames_refused_total",
               "Messages that were malformed or over a limit.",
               stats.frames_refused);
  page.counter("weft_mesh_records_refused_total",
               "Records over a limit of number or size.",
               stats.records_refused);
  page.counter("weft_mesh_payloads_dropped_total",
               "Payloads without a route, or over a limit of hops or queues.",
               stats.payloads_dropped);
}

void add_datapath(const router::DatapathStatus& datapath, Page& page) {
  const std::string help = "Interfaces of containers known.";
  page.gauge(
      "weft_endpoints", help, static_cast<double>(datapath.local_count), {{"place", "local"}});
  page.gauge(
      "weft_endpoints", help, static_cast<double>(datapath.remote_count), {{"place", "remote"}});
  const router::ForwardingStats& forwarding = datapath.forwarding;
  const std::string frames_help = "Frames that reached the agent.";
  const std::vector<std::pair<std::string, std::uint64_t>> frames{
      {"arp_answered", forwarding.arp_answered},
      {"nd_answered", forwarding.nd_answered},
      {"flooded", forwarding.frames_flooded},
      {"limited", forwarding.frames_limited},
      {"looped", forwarding.frames_looped},
      {"too_big_answered", forwarding.too_big_answered},
      {"too_big_cut", forwarding.too_big_cut},
      {"too_big_dropped", forwarding.too_big_dropped},
      {"multicast_narrowed", forwarding.multicast_narrowed},
      {"multicast_kept", forwarding.multicast_kept},
      {"malformed", forwarding.frames_malformed}};
  for (const auto& [fate, count] : frames) {
    page.counter("weft_agent_frames_total", frames_help, count, {{"fate", fate}});
  }
  page.gauge("weft_multicast_groups",
             "Multicast groups that containers here have joined.",
             static_cast<double>(datapath.group_count));
  page.counter("weft_multicast_groups_refused_total",
               "Multicast groups over a limit; their frames go everywhere.",
               forwarding.groups_refused);
  const sys::FastPathStats& fast = datapath.fast_path;
  const std::vector<std::pair<std::string, std::uint64_t>> packets{
      {"local", fast.local},
      {"encapsulated", fast.encapsulated},
      {"decapsulated", fast.decapsulated},
      {"slow", fast.slow},
      {"esp", fast.esp},
      {"lane_sealed", fast.lane_sealed},
      {"lane_opened", fast.lane_opened},
      {"lane_forged", fast.lane_forged},
      {"lane_replayed", fast.lane_replayed},
      {"refused", fast.refused}};
  for (const auto& [fate, count] : packets) {
    page.counter("weft_fast_path_packets_total",
                 "Packets by what the programs in the kernel did with them.",
                 count,
                 {{"fate", fate}});
  }
}

// One family after the other, as the format wants it.
void add_paths(const router::DatapathStatus& datapath, Page& page) {
  for (const router::PathStatus& path : datapath.paths) {
    page.gauge("weft_path",
               "1 for the path that frames to a peer take; 0 if nothing answers on it.",
               path.lost ? 0 : 1,
               {{"peer", path.peer.to_string()},
                {"path", to_string(path.path)},
                {"encrypted", path.encrypted ? "yes" : "no"}});
  }
  for (const router::PathStatus& path : datapath.paths) {
    page.counter("weft_path_switches_total",
                 "How often frames to a peer have taken another path.",
                 path.switches,
                 {{"peer", path.peer.to_string()}});
  }
  for (const auto& [peer, traffic] : datapath.traffic) {
    const std::string name = peer.to_string();
    const std::string help = "Octets of frames exchanged with a peer by the fast path.";
    page.counter(
        "weft_path_bytes_total", help, traffic.bytes_out, {{"peer", name}, {"direction", "out"}});
    page.counter(
        "weft_path_bytes_total", help, traffic.bytes_in, {{"peer", name}, {"direction", "in"}});
  }
  page.counter("weft_path_probes_total", "Probes of paths.", datapath.path_stats.probes_sent);
  const std::string help = "Frames of other peers passed on, by who did it.";
  page.counter("weft_relayed_total", help, datapath.fast_path.relayed, {{"by", "kernel"}});
  page.counter("weft_relayed_total", help, datapath.relays.passed_on, {{"by", "agent"}});
}

void add_dns(const dns::DnsStatus& dns, Page& page) {
  page.gauge(
      "weave_dns_entries", "Number of DNS entries.", static_cast<double>(dns.stats.own_entries));
  const std::string help = "Names of all peers.";
  page.gauge(
      "weft_dns_names", help, static_cast<double>(dns.stats.entries), {{"state", "answered"}});
  page.gauge(
      "weft_dns_names", help, static_cast<double>(dns.stats.suspended), {{"state", "suspended"}});
  page.counter("weft_dns_records_refused_total",
               "Records of names that were malformed or over a limit.",
               dns.stats.records_refused);
  page.counter("weft_dns_queries_total", "Questions that arrived.", dns.queries.queries);
  const std::vector<std::pair<std::string, std::uint64_t>> answers{
      {"absent", dns.queries.absent},
      {"malformed", dns.queries.malformed},
      {"truncated", dns.queries.truncated},
      {"forwarded", dns.queries.forwarded},
      {"dropped", dns.dropped}};
  for (const auto& [fate, count] : answers) {
    page.counter("weft_dns_answers_total",
                 "Questions that were not simply answered, by what became of them.",
                 count,
                 {{"fate", fate}});
  }
  const std::vector<std::pair<std::string, std::uint64_t>> forwarded{
      {"asked", dns.forwarded.asked},
      {"cached", dns.forwarded.cached},
      {"joined", dns.forwarded.joined},
      {"failed", dns.forwarded.failed},
      {"refused", dns.forwarded.refused},
      {"loop", dns.forwarded.loops},
      {"mismatched", dns.forwarded.mismatched}};
  for (const auto& [fate, count] : forwarded) {
    page.counter("weft_dns_forwarded_total",
                 "Questions for other servers, and their answers.",
                 count,
                 {{"fate", fate}});
  }
}

// Under the names that Prometheus' client libraries give them.
void add_process(const ProcessUsage& usage, Page& page) {
  page.counter("process_cpu_seconds_total", "User and system CPU time spent.", usage.cpu_seconds);
  page.gauge("process_resident_memory_bytes",
             "Resident memory size.",
             static_cast<double>(usage.resident_bytes));
  page.gauge("process_virtual_memory_bytes",
             "Virtual memory size.",
             static_cast<double>(usage.virtual_bytes));
  page.gauge("process_open_fds", "Open file descriptors.", static_cast<double>(usage.open_files));
  page.gauge("process_max_fds", "Most of them.", static_cast<double>(usage.open_files_max));
  page.gauge("process_start_time_seconds", "When it began, since 1970.", usage.start_seconds);
}

void add_http(const std::vector<HttpStatus>& servers, Page& page) {
  for (const HttpStatus& server : servers) {
    page.gauge("weft_http_connections",
               "Clients' connections.",
               static_cast<double>(server.stats.connections),
               {{"api", server.api}});
    page.counter("weft_http_evicted_total",
                 "Idle connections that were closed to make room for others.",
                 server.stats.evicted,
                 {{"api", server.api}});
    page.counter(
        "weft_http_late_total",
        "Connections that were cut as a request, or the taking of its answer, took too long.",
        server.stats.late,
        {{"api", server.api}});
  }
}

}  // namespace

std::string metrics_text(const AgentStatus& status) {
  Page page;
  page.gauge("weft_info", "Always 1.", 1, {{"version", status.version}});
  add_connections(status, page);
  add_peers(status, page);
  add_handshakes(status.mesh.handshakes, page);
  add_mesh(status.mesh, page);
  add_overlay(status.mesh, page);
  add_ipam(status, page);
  if (status.ipam_v6) {
    add_ipam_v6(*status.ipam_v6, page);
  }
  add_datapath(status.datapath, page);
  add_paths(status.datapath, page);
  if (status.dns) {
    add_dns(*status.dns, page);
  }
  add_http(status.http, page);
  if (status.process) {
    add_process(*status.process, page);
  }
  return page.text();
}

}  // namespace weft::agent
