#include "app/facts.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/picture/measured.h"
#include "app/topology.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::ContainerState;
using probe::HostReport;
using probe::LinkFacts;
using probe::ProcessFacts;
using probe::Report;
using probe::Usage;

template <class Items, class ToText>
std::string join(const Items& items, ToText to_text) {
  std::string text;
  for (const auto& item : items) {
    text += text.empty() ? "" : ", ";
    text += to_text(item);
  }
  return text;
}

void add_row(Node& node, Row row) {
  if (!row.value.empty()) {
    node.metadata.push_back(std::move(row));
  }
}

Parent host_parent(const HostReport& host) {
  return {.id = host_id(host.origin), .label = host_label(host), .topology = "hosts"};
}

std::string_view state_text(ContainerState state) {
  using enum ContainerState;
  switch (state) {
    case Created:
      return "created";
    case Running:
      return "running";
    case Paused:
      return "paused";
    case Restarting:
      return "restarting";
    case Exited:
      return "exited";
    case Dead:
      return "dead";
  }
  return "";
}

bool is_system(const ContainerFacts& container) {
  const auto role = container.labels.find("works.weave.role");
  if (role != container.labels.end()) {
    return role->second == "system";
  }
  constexpr std::array<std::string_view, 5> kImages{
      "weaveworks/scope", "weaveworks/weave", "docker/ucp-agent", "pause", "swarm"};
  const std::string name = image_name(container.image);
  return std::any_of(kImages.begin(), kImages.end(), [&](std::string_view image) {
    return name == image || (image == "pause" && name.ends_with("/pause"));
  });
}

std::string port_text(const probe::PortMapping& port) {
  const std::string inside = port_label(port.inside, port.transport);
  return port.outside.port == 0 ? inside : fmt::format("{}->{}", port.outside.to_string(), inside);
}

control::ContainerPhase phase_of(ContainerState state) {
  using enum control::ContainerPhase;
  return state == ContainerState::Running  ? Running
         : state == ContainerState::Paused ? Paused
                                           : Stopped;
}

// RFC 3339, in UTC.
std::string time_text(std::int64_t unix_seconds) {
  constexpr std::int64_t kMax =
      253'402'300'799;  // The end of the year 9999: what the format holds.
  if (unix_seconds <= 0 || unix_seconds > kMax) {
    return "";
  }
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

Table label_table(const ContainerFacts& container) {
  Table table{.id = "docker_label_",
              .label = "Docker labels",
              .columns = {{"label", "Label"}, {"value", "Value"}},
              .rows = {}};
  for (const auto& [key, value] : container.labels) {
    table.rows.push_back({{"label", key}, {"value", value}});
  }
  return table;
}

void add_container_rows(Node& node, const ContainerFacts& container) {
  const std::string name = image_name(container.image);
  const std::size_t tag = container.image.rfind(':');
  const bool has_tag =
      tag != std::string::npos && container.image.find('/', tag) == std::string::npos;
  add_row(node, {"docker_image_name", "Image name", name, 1});
  add_row(node,
          {"docker_image_tag", "Image tag", has_tag ? container.image.substr(tag + 1) : "", 2});
  add_row(node, {"docker_container_command", "Command", container.command, 3});
  add_row(node,
          {"docker_container_state_human",
           "State",
           container.status.empty() ? std::string(state_text(container.state)) : container.status,
           4});
  add_row(node, {"docker_container_networks", "Networks", network_names(container), 5});
  add_row(node,
          {"docker_container_ips",
           "IPs",
           join(container.addresses, [](const Ip& a) { return a.to_string(); }),
           6,
           "ip"});
  add_row(node, {"docker_container_ports", "Ports", join(container.ports, port_text), 7});
  add_row(
      node,
      {"docker_container_created", "Created", time_text(container.created_unix), 8, "datetime"});
  add_row(node, {"docker_container_hostname", "Hostname", container.hostname, 9});
  add_row(node, {"docker_container_id", "ID", container.id, 10});
  add_row(node,
          {"docker_container_state", "Short state", std::string(state_text(container.state)), 11});
}

// In whole milliseconds: one that moves at each look would resend the node.
std::string rtt_text(std::uint32_t rtt_us) {
  constexpr std::uint32_t kMillisecond = 1000;
  return rtt_us == 0             ? ""
         : rtt_us < kMillisecond ? "under 1 ms"
                                 : fmt::format("{} ms", rtt_us / kMillisecond);
}

// To two digits: what moves at each look would resend the node.
std::string rate_text(std::uint64_t bytes_per_second) {
  constexpr std::array<std::string_view, 4> kUnits{"B/s", "kB/s", "MB/s", "GB/s"};
  constexpr double kStep = 1000;
  double amount = static_cast<double>(bytes_per_second);
  std::size_t unit = 0;
  for (; amount >= kStep && unit + 1 < kUnits.size(); ++unit) {
    amount /= kStep;
  }
  constexpr double kTen = 10;
  const double rounded = amount < kTen * kTen ? amount : std::round(amount / kTen) * kTen;
  return bytes_per_second == 0
             ? ""
             : fmt::format("{:.{}f} {}", rounded, amount < kTen ? 1 : 0, kUnits[unit]);
}

// How frames of the overlay go from a host to each other one.
Table path_table(const HostReport& host, const Report& report) {
  Table table{.id = "weft_paths",
              .label = "Paths",
              .columns = {{"peer", "Peer"},
                          {"path", "Path"},
                          {"encrypted", "Encrypted"},
                          {"state", "State"},
                          {"rtt", "RTT"},
                          {"sent", "Sent"},
                          {"received", "Received"},
                          {"mtu", "MTU"}},
              .rows = {}};
  for (const probe::PathFacts& path : host.overlay.paths) {
    table.rows.push_back(
        {{"peer", peer_label(report, path.peer)},
         {"path", path.way == "relay" ? "relay " + peer_label(report, path.via) : path.way},
         {"encrypted", path.encrypted ? "yes" : "no"},
         {"state", path.lost ? "nothing answers" : "in use"},
         {"rtt", rtt_text(path.rtt_us)},
         {"sent", rate_text(path.carried.sent_per_second)},
         {"received", rate_text(path.carried.received_per_second)},
         {"mtu", path.mtu == 0 ? "" : std::to_string(path.mtu)}});
  }
  return table;
}

}  // namespace

std::string port_label(std::uint16_t port, Transport transport) {
  return fmt::format("{}/{}", port, transport == Transport::Tcp ? "tcp" : "udp");
}

bool is_up(const ContainerFacts& container) {
  return container.state == ContainerState::Running || container.state == ContainerState::Paused;
}

std::string host_label(const HostReport& host) {
  return host.host.name.empty() ? host.origin.to_string() : host.host.name;
}

std::string network_names(const ContainerFacts& container) {
  std::vector<std::string> names = container.networks;
  std::sort(names.begin(), names.end());
  return join(names, [](const std::string& name) { return name; });
}

std::string peer_label(const Report& report, PeerName peer) {
  const HostReport* const host = report.find(peer);
  return host == nullptr ? peer.to_string() : host_label(*host);
}

std::string container_label(const ContainerFacts& container) {
  constexpr std::size_t kShortId = 12;
  const auto pod = container.labels.find("io.kubernetes.container.name");
  return pod != container.labels.end() ? pod->second
         : !container.name.empty()     ? container.name
                                       : container.id.substr(0, kShortId);
}

// A program started through /proc/self/exe is called "exe": its command line knows better.
std::string process_label(const ProcessFacts& process) {
  if (!process.name.empty() && process.name != "exe") {
    return process.name;
  }
  const std::string program = process.command.substr(0, process.command.find(' '));
  const std::string base = program.substr(program.rfind('/') + 1);
  return base.empty() ? std::to_string(process.pid) : base;
}

const ContainerFacts* find_container(const HostReport& host, const std::string& id) {
  const auto found = std::find_if(
      host.containers.begin(), host.containers.end(), [&](const auto& c) { return c.id == id; });
  return found == host.containers.end() ? nullptr : &*found;
}

std::string host_id(PeerName host) {
  return host.to_string() + ";<host>";
}

std::string container_id(std::string_view id) {
  return std::string(id) + ";<container>";
}

std::string image_id(std::string_view name) {
  return std::string(name) + ";<container_image>";
}

std::string network_id(std::string_view names) {
  return std::string(names) + ";<network>";
}

std::string process_id(PeerName host, std::uint32_t pid) {
  return fmt::format("{};{}", host.to_string(), pid);
}

std::string peer_id(PeerName peer) {
  return "#" + peer.to_string();
}

std::string image_name(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const std::size_t tag = image.rfind(':');
  if (tag != std::string_view::npos && image.find('/', tag) == std::string_view::npos) {
    image = image.substr(0, tag);
  }
  // A registry's name has a dot or a port, or is localhost; a namespace has none of them.
  const std::string_view first = image.substr(0, image.find('/'));
  const bool is_registry =
      first.size() < image.size()
      && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  return std::string(is_registry ? image.substr(first.size() + 1) : image);
}

std::optional<Service> service_of(const ContainerFacts& container) {
  const auto label = [&](const char* key) {
    const auto found = container.labels.find(key);
    return found == container.labels.end() ? std::string() : found->second;
  };
  const std::string id = label("com.docker.swarm.service.id");
  std::string name = label("com.docker.swarm.service.name");
  if (id.empty() || name.empty()) {
    return std::nullopt;
  }
  std::string stack = label("com.docker.stack.namespace");
  if (!stack.empty() && name.size() > stack.size() + 1 && name.starts_with(stack + "_")) {
    name.erase(0, stack.size() + 1);
  }
  return Service{
      .id = id + ";<swarm_service>", .label = std::move(name), .stack = std::move(stack)};
}

Node host_node(const HostReport& host) {
  Node node;
  node.id = host_id(host.origin);
  node.label = host_label(host).substr(0, host_label(host).find('.'));
  const std::size_t dot = host_label(host).find('.');
  node.label_minor = dot == std::string::npos ? host.host.os : host_label(host).substr(dot + 1);
  node.rank = node.label;
  node.shape = "circle";
  node.hosts.insert(host.origin);
  add_row(node, {"kernel_version", "Kernel version", host.host.kernel, 1});
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(host.host.uptime).count();
  constexpr std::int64_t kMinute = 60;  // A value that changes at each look would resend the node.
  add_row(node, {"uptime", "Uptime", std::to_string(uptime / kMinute * kMinute), 2, "duration"});
  add_row(node, {"host_name", "Hostname", host.host.name, 3});
  add_row(node, {"os", "OS", host.host.os, 4});
  std::set<Cidr> networks;  // Several interfaces may be on one; fe80::/64 is on all of them.
  for (const Cidr& address : host.host.networks) {
    networks.insert(address.network());
  }
  add_row(node,
          {"local_networks",
           "Local networks",
           join(networks, [](const Cidr& network) { return network.to_string(); }),
           5});
  add_row(node, {"host_scope_version", "weft version", host.host.version, 6});
  add_row(node, {"weft_peer", "Peer", host.origin.to_string(), 7});
  add_row(node, {"weft_datapath", "Data path", host.overlay.datapath, 8});
  const auto interval =
      std::chrono::duration_cast<std::chrono::milliseconds>(host.interval).count();
  add_row(node, {"weft_interval", "Looks every", fmt::format("{} ms", interval), 9});
  const probe::FoldedCounts& folded = host.folded;
  if (folded.processes + folded.containers + folded.flows + folded.others > 0) {
    add_row(node,
            {"weft_folded",
             "Left out",
             fmt::format("{} processes, {} containers, {} connections, {} others",
                         folded.processes,
                         folded.containers,
                         folded.flows,
                         folded.others),
             10});
  }
  node.metrics = host_metrics(host.host);
  Table sources{.id = "weft_sources",
                .label = "Sources",
                .columns = {{"source", "Source"}, {"state", "State"}, {"detail", "Detail"}},
                .rows = {}};
  for (const probe::SourceFacts& source : host.sources) {
    sources.rows.push_back({{"source", source.name},
                            {"state", source.working ? "works" : "does not work"},
                            {"detail", source.detail}});
  }
  node.tables.push_back(std::move(sources));
  for (const control::Control& control : control::controls()) {
    if (host.overlay.host_shell && control.subject == control::Subject::Host) {
      node.controls.push_back(&control);
    }
  }
  return node;
}

std::vector<Parent> parents_of(const HostReport& host, const ContainerFacts& container) {
  std::vector<Parent> parents;
  if (!container.image.empty()) {
    const std::string name = image_name(container.image);
    parents.push_back({image_id(name), name, "containers-by-image"});
  }
  if (auto service = service_of(container)) {
    parents.push_back({std::move(service->id), std::move(service->label), "swarm-services"});
  }
  parents.push_back(host_parent(host));
  if (const std::string names = network_names(container); !names.empty()) {
    parents.push_back({network_id(names), names, "containers-by-network"});
  }
  return parents;
}

std::vector<Parent> parents_of(const HostReport& host, const ProcessFacts& process) {
  std::vector<Parent> parents;
  if (const ContainerFacts* container = find_container(host, process.container)) {
    parents.push_back({container_id(container->id), container->name, "containers"});
    if (!container->image.empty()) {
      const std::string name = image_name(container->image);
      parents.push_back({image_id(name), name, "containers-by-image"});
    }
  }
  parents.push_back(host_parent(host));
  return parents;
}

Node container_node(const HostReport& host, const ContainerFacts& container) {
  Node node;
  node.id = container_id(container.id);
  node.label = container_label(container);
  node.label_minor = host_label(host);
  node.rank = container.image.empty() ? host_label(host) : image_name(container.image);
  node.shape = "hexagon";
  node.system = is_system(container);
  node.stopped = !is_up(container);
  node.hosts.insert(host.origin);
  add_container_rows(node, container);
  if (!node.stopped) {
    node.metrics = container_metrics(host.host, container);
    add_row(node, {"weft_usage_source", "Usage from", usage_source(container.group), 12});
  }
  node.parents = parents_of(host, container);
  if (auto service = service_of(container); service && !service->stack.empty()) {
    node.stacks.insert(std::move(service->stack));
  }
  if (!container.labels.empty()) {
    node.tables.push_back(label_table(container));
  }
  // Controls are the engine's, and whatever it runs has an image.
  const bool is_engines = !container.image.empty();
  for (const control::Control& control : control::controls()) {
    if (is_engines && host.overlay.controls
        && control::applies(control, phase_of(container.state))) {
      node.controls.push_back(&control);
    }
  }
  return node;
}

Node process_node(const HostReport& host, const ProcessFacts& process) {
  Node node;
  node.id = process_id(host.origin, process.pid);
  node.label = process_label(process);
  node.label_minor = fmt::format("{} ({})", host_label(host), process.pid);
  node.rank = node.label;
  node.shape = "square";
  node.hosts.insert(host.origin);
  add_row(node, {"pid", "PID", std::to_string(process.pid), 1, "number"});
  add_row(node, {"cmdline", "Command", process.command, 2});
  add_row(node, {"ppid", "Parent PID", std::to_string(process.parent), 3, "number"});
  add_row(node, {"threads", "# Threads", std::to_string(process.thread_count), 4, "number"});
  add_row(node, {"uid", "User ID", std::to_string(process.uid), 5, "number"});
  node.metrics = process_metrics(host.host, process);
  if (const ContainerFacts* container = find_container(host, process.container)) {
    node.label_minor = fmt::format("{} ({}:{})", host_label(host), container->name, process.pid);
  }
  node.parents = parents_of(host, process);
  return node;
}

Node peer_node(const HostReport& host, const Report& report) {
  Node node;
  node.id = peer_id(host.origin);
  node.label = host.overlay.nickname.empty() ? host.origin.to_string() : host.overlay.nickname;
  node.label_minor = host.origin.to_string();
  node.rank = node.label;
  node.shape = "circle";
  node.hosts.insert(host.origin);
  const auto established = std::count_if(
      host.overlay.links.begin(), host.overlay.links.end(), [](const LinkFacts& link) {
        return link.state == "established";
      });
  add_row(node, {"weave_name", "Name", host.origin.to_string(), 1});
  add_row(node, {"weave_version", "Version", host.host.version, 2});
  add_row(node,
          {"weave_encryption", "Encryption", host.overlay.encrypted ? "enabled" : "disabled", 3});
  add_row(node,
          {"weave_connections",
           "Connections",
           fmt::format("{} established of {}", established, host.overlay.links.size()),
           4});
  add_row(node, {"weft_datapath", "Data path", host.overlay.datapath, 5});
  add_row(node, {"weft_mtu", "MTU", std::to_string(host.overlay.mtu), 6, "number"});
  add_row(node, {"weave_ipam_range", "Address range", host.overlay.range, 7});
  add_row(
      node,
      {"weft_endpoints", "Endpoints", std::to_string(host.overlay.endpoints.size()), 8, "number"});
  node.parents.push_back(host_parent(host));
  Table links{.id = "weave_connections_table",
              .label = "Connections",
              .columns = {{"peer", "Peer"},
                          {"state", "State"},
                          {"info", "Info"},
                          {"rtt", "RTT"},
                          {"loss", "Loss"}},
              .rows = {}};
  for (const LinkFacts& link : host.overlay.links) {
    const HostReport* peer = report.find(PeerName(link.peer));
    links.rows.push_back({{"peer", peer == nullptr ? link.address : host_label(*peer)},
                          {"state", link.state},
                          {"info",
                           link.reason.empty() ? (link.authenticated ? "authenticated"
                                                                     : "encrypted, unauthenticated")
                                               : link.reason},
                          {"rtt", rtt_text(link.rtt_us)},
                          {"loss", fmt::format("{:.1f} %", link.loss_percent)}});
  }
  node.tables.push_back(std::move(links));
  if (!host.overlay.paths.empty()) {
    node.tables.push_back(path_table(host, report));
  }
  return node;
}

void add_member(Node& group, const Node& member, const std::string& id, const std::string& label) {
  if (group.id.empty()) {
    group.id = id;
    group.label = label;
    group.rank = member.rank;
    group.shape = member.shape;
    group.stack = true;
    group.system = member.system;
    group.stopped = member.stopped;
  }
  // A group shows if any of its members would.
  group.system = group.system && member.system;
  group.stopped = group.stopped && member.stopped;
  group.hosts.insert(member.hosts.begin(), member.hosts.end());
  group.stacks.insert(member.stacks.begin(), member.stacks.end());
  for (const Metric& metric : member.metrics) {
    const auto same = std::find_if(group.metrics.begin(),
                                   group.metrics.end(),
                                   [&](const Metric& other) { return other.id == metric.id; });
    if (same == group.metrics.end()) {
      group.metrics.push_back(metric);
    } else {
      same->value += metric.value;
    }
  }
}

}  // namespace weft::app
