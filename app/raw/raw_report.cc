#include "app/raw/raw_report.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "app/facts.h"
#include "app/topology.h"
#include "app/view.h"

namespace weft::app {

namespace json = boost::json;

namespace {

constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

// Rows of views that are lists in a raw report, and what the list is called there.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kLists{{
    {"docker_container_ips", "docker_container_ips"},
    {"docker_container_ports", "docker_container_ports"},
    {"docker_container_networks", "docker_container_networks"},
    {"local_networks", "local_networks"},
}};

// Topologies of Scope's for things that weft does not know of.
constexpr std::array<std::string_view, 17> kUnknown{"Pod",
                                                    "Service",
                                                    "Deployment",
                                                    "ReplicaSet",
                                                    "DaemonSet",
                                                    "StatefulSet",
                                                    "CronJob",
                                                    "Namespace",
                                                    "ECSTask",
                                                    "ECSService",
                                                    "SwarmService",
                                                    "PersistentVolume",
                                                    "PersistentVolumeClaim",
                                                    "StorageClass",
                                                    "VolumeSnapshot",
                                                    "VolumeSnapshotData",
                                                    "Job"};

// Tables of names and values, whose rows are keys of a node.
constexpr std::string_view kLabels = "docker_label_";

json::object latest(std::string_view value) {
  return {{"timestamp", kZeroTime}, {"value", value}};
}

json::array parts_of(std::string_view list) {
  std::set<std::string> parts;
  constexpr std::string_view kBetween = ", ";
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(kBetween), list.size());
    parts.emplace(list.substr(0, end));
    list.remove_prefix(std::min(list.size(), end + kBetween.size()));
  }
  return json::array(parts.begin(), parts.end());
}

std::string_view raw_topology(std::string_view view) {
  return view == "containers"            ? "container"
         : view == "containers-by-image" ? "container_image"
         : view == "swarm-services"      ? "swarm_service"
                                         : "host";
}

// One topology as it grows: its nodes, and what explains them.
struct Topology {
  json::object nodes;
  json::object metadata;
  json::object metrics;
  json::object tables;

  json::object take(std::string_view shape, std::string_view label, std::string_view plural) {
    return {{"shape", shape},
            {"label", label},
            {"label_plural", plural},
            {"nodes", std::move(nodes)},
            {"controls", json::object()},
            {"metadata_templates", std::move(metadata)},
            {"metric_templates", std::move(metrics)},
            {"table_templates", std::move(tables)}};
  }
};

json::object raw_metric(const Metric& metric) {
  return {{"samples", json::array{json::object{{"date", kZeroTime}, {"value", metric.value}}}},
          {"min", 0},
          {"max", metric.max}};
}

void explain(const Row& row, bool is_list, Topology& topology) {
  if (topology.metadata.contains(row.id)) {
    return;
  }
  json::object about{{"id", row.id},
                     {"label", row.label},
                     {"priority", row.priority},
                     {"from", is_list ? "sets" : "latest"}};
  if (!row.type.empty()) {
    about["dataType"] = row.type;
  }
  topology.metadata[row.id] = std::move(about);
}

void add_labels(const Table& table, Topology& topology, json::object& values) {
  for (const auto& row : table.rows) {
    values[std::string(table.id) + row.at("label")] = latest(row.at("value"));
  }
  topology.tables[table.id] = json::object{
      {"id", table.id}, {"label", table.label}, {"prefix", table.id}, {"type", "property-list"}};
}

// A node of a view, as raw as it can be had again.
json::object& add_node(const Node& node, std::string_view kind, PeerName host, Topology& topology) {
  json::object values{{"host_node_id", latest(host_id(host))},
                      {"probe_id", latest(host.to_string())}};
  json::object sets;
  for (const Row& row : node.metadata) {
    const auto list = std::find_if(
        kLists.begin(), kLists.end(), [&](const auto& known) { return known.first == row.id; });
    if (list == kLists.end()) {
      values[row.id] = latest(row.value);
    } else {
      sets[list->second] = parts_of(row.value);
    }
    explain(row, list != kLists.end(), topology);
  }
  json::object metrics;
  for (const Metric& metric : node.metrics) {
    metrics[metric.id] = raw_metric(metric);
    topology.metrics[metric.id] = json::object{{"id", metric.id},
                                               {"label", metric.label},
                                               {"format", metric.format},
                                               {"priority", metric.priority}};
  }
  for (const Table& table : node.tables) {
    if (table.id == kLabels) {
      add_labels(table, topology, values);
    }
  }
  json::object parents;
  for (const Parent& parent : node.parents) {
    if (parent.topology == "containers-by-network") {
      continue;  // A view that Scope does not have.
    }
    parents[raw_topology(parent.topology)] = json::array{parent.id};
  }
  topology.nodes[node.id] = json::object{{"id", node.id},
                                         {"topology", kind},
                                         {"latest", std::move(values)},
                                         {"sets", std::move(sets)},
                                         {"adjacency", json::array()},
                                         {"parents", std::move(parents)},
                                         {"metrics", std::move(metrics)}};
  return topology.nodes[node.id].as_object();
}

// Endpoints --------------------------------------------------------------------------------------

// One end of connections: what is told of it, and whom it asks.
struct End {
  PeerName host{};
  std::uint32_t pid = 0;
  std::uint64_t connections = 0;
  std::set<std::string> asks;
};
using Ends = std::map<std::string, End>;

// A loopback address is another one in each network namespace.
std::string end_id(const probe::HostReport& host,
                   const probe::FlowKey& key,
                   const Ip& address,
                   std::string_view port) {
  const std::string scope =
      address.is_loopback() ? fmt::format("{}-{}", host.origin.to_string(), key.netns) : "";
  return fmt::format("{};{};{}", scope, address.to_string(), port);
}

void add_flow(const probe::HostReport& host,
              const probe::FlowKey& key,
              const probe::FlowFacts& facts,
              Ends& ends) {
  const bool is_client = key.direction == probe::Direction::Outbound;
  const std::string port = std::to_string(key.port);
  const std::string own = is_client ? fmt::format("p{}", key.pid) : port;
  const std::string local = end_id(host, key, key.local, own);
  End& end = ends[local];
  end.host = host.origin;
  end.pid = key.pid;
  if (is_client) {
    end.connections += facts.count;
    end.asks.insert(end_id(host, key, key.remote, port));
  }
}

// Who asks a server here, and is no endpoint that its own host tells of.
void add_strangers(const probe::Report& report, const std::set<Ip>& known, Ends& ends) {
  for (const auto& [name, host] : report.hosts()) {
    for (const auto& [key, facts] : host.flows) {
      const bool is_stranger =
          key.direction == probe::Direction::Inbound && !known.contains(key.remote);
      if (!is_stranger) {
        continue;
      }
      End& end = ends[end_id(host, key, key.remote, "p0")];
      end.connections += facts.count;
      end.asks.insert(end_id(host, key, key.local, std::to_string(key.port)));
    }
  }
}

Topology endpoints_of(const probe::Report& report) {
  Ends ends;
  std::set<Ip> known;
  for (const auto& [name, host] : report.hosts()) {
    for (const auto& [key, facts] : host.flows) {
      known.insert(key.local);
      add_flow(host, key, facts, ends);
    }
  }
  add_strangers(report, known, ends);
  Topology topology;
  for (const auto& [id, end] : ends) {
    json::object values{{"conn_count", latest(std::to_string(end.connections))}};
    if (end.host != PeerName()) {
      values["host_node_id"] = latest(host_id(end.host));
    }
    if (end.pid != 0) {
      values["pid"] = latest(std::to_string(end.pid));
    }
    topology.nodes[id] = json::object{{"id", id},
                                      {"topology", "endpoint"},
                                      {"latest", std::move(values)},
                                      {"adjacency", json::array(end.asks.begin(), end.asks.end())}};
  }
  return topology;
}

// Things -----------------------------------------------------------------------------------------

void add_image(const probe::HostReport& host,
               const probe::ContainerFacts& container,
               Topology& topology) {
  if (container.image.empty()) {
    return;
  }
  Node node;
  node.id = image_id(image_name(container.image));
  node.metadata = {{"docker_image_id", "Image ID", container.image_id, 1},
                   {"docker_image_name", "Image name", image_name(container.image), 2}};
  node.parents = {{host_id(host.origin), "", "hosts"}};
  (void)add_node(node, "container_image", host.origin, topology);
}

void add_peer(const probe::HostReport& host, const probe::Report& report, Topology& topology) {
  json::object& node = add_node(peer_node(host, report), "overlay", host.origin, topology);
  json::object& values = node["latest"].as_object();
  values["weave_peer_name"] = latest(host.origin.to_string());
  values["weave_peer_nick_name"] = latest(host.overlay.nickname);
  std::set<std::string> neighbours;
  for (const probe::LinkFacts& link : host.overlay.links) {
    if (link.peer != 0 && link.outbound) {
      neighbours.insert(peer_id(PeerName(link.peer)));
    }
  }
  node["adjacency"] = json::array(neighbours.begin(), neighbours.end());
}

}  // namespace

json::object raw_report_json(const probe::Report& report) {
  Topology hosts;
  Topology containers;
  Topology images;
  Topology processes;
  Topology peers;
  for (const auto& [name, host] : report.hosts()) {
    (void)add_node(host_node(host), "host", name, hosts);
    for (const probe::ContainerFacts& container : host.containers) {
      json::object& node = add_node(container_node(host, container), "container", name, containers);
      json::object& values = node["latest"].as_object();
      values["docker_container_name"] = latest(container.name);
      values["docker_is_in_host_network"] = latest(container.host_network ? "true" : "false");
      add_image(host, container, images);
    }
    for (const probe::ProcessFacts& process : host.processes) {
      json::object& node = add_node(process_node(host, process), "process", name, processes);
      node["latest"].as_object()["name"] = latest(process.name);
    }
    add_peer(host, report, peers);
  }
  json::object raw{{"TS", kZeroTime},
                   {"Endpoint", endpoints_of(report).take("", "", "")},
                   {"Process", processes.take("square", "process", "processes")},
                   {"Container", containers.take("hexagon", "container", "containers")},
                   {"ContainerImage", images.take("hexagon", "image", "images")},
                   {"Host", hosts.take("circle", "host", "hosts")},
                   {"Overlay", peers.take("circle", "peer", "peers")}};
  for (const std::string_view unknown : kUnknown) {
    raw[unknown] = Topology().take("", "", "");
  }
  raw["DNS"] = json::object();
  raw["Sampling"] = json::object{{"Count", 0}, {"Total", 0}};
  raw["Window"] = 0;
  raw["Shortcut"] = false;
  raw["Plugins"] = json::array();
  return raw;
}

}  // namespace weft::app
