#include "app/raw/raw_report.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/facts.h"
#include "app/picture/summary.h"
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

// How a topology's nodes look, what one is called, and several.
struct Called {
  std::string_view shape{};
  std::string_view label{};
  std::string_view plural{};
};

// `"name":value`, behind a comma if something is before it.
void put(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty() && out.back() != '{') {
    out += ',';
  }
  append_json(out, name);
  out += ':';
  out += value;
}

json::object raw_metric(const Metric& metric) {
  return {{"samples", json::array{json::object{{"date", kZeroTime}, {"value", metric.value}}}},
          {"min", 0},
          {"max", metric.max}};
}

void explain(const Row& row, bool is_list, RawTopology& topology) {
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

void add_labels(const Table& table, RawTopology& topology, json::object& values) {
  for (const auto& row : table.rows) {
    values[std::string(table.id) + row.at("label")] = latest(row.at("value"));
  }
  topology.tables[table.id] = json::object{
      {"id", table.id}, {"label", table.label}, {"prefix", table.id}, {"type", "property-list"}};
}

// A node of a view, as raw as it can be had again.
json::object raw_node(const Node& node,
                      std::string_view kind,
                      PeerName host,
                      RawTopology& topology) {
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
  return {{"id", node.id},
          {"topology", kind},
          {"latest", std::move(values)},
          {"sets", std::move(sets)},
          {"adjacency", json::array()},
          {"parents", std::move(parents)},
          {"metrics", std::move(metrics)}};
}

// Endpoints --------------------------------------------------------------------------------------

// A loopback address is another one in each network namespace.
std::string end_id(const probe::HostReport& host,
                   const probe::FlowKey& key,
                   const Ip& address,
                   std::string_view port) {
  const std::string scope =
      address.is_loopback() ? fmt::format("{}-{}", host.origin.to_string(), key.netns) : "";
  return fmt::format("{};{};{}", scope, address.to_string(), port);
}

// Of addresses, as their hosts' programs asked for them.
std::string names_text(const std::map<Ip, std::set<std::string>>& names) {
  std::string out = "{";
  for (const auto& [address, known] : names) {
    put(out,
        address.to_string(),
        json::serialize(json::object{{"forward", json::array(known.begin(), known.end())}}));
  }
  return out + '}';
}

std::string topology_text(RawTopology topology, const Called& called) {
  std::string out = "{";
  const auto put_text = [&](std::string_view name, std::string_view value) {
    std::string quoted;
    append_json(quoted, value);
    put(out, name, quoted);
  };
  put_text("shape", called.shape);
  put_text("label", called.label);
  put_text("label_plural", called.plural);
  put(out, "nodes", "{" + topology.nodes + "}");
  put(out, "controls", "{}");
  put(out, "metadata_templates", json::serialize(topology.metadata));
  put(out, "metric_templates", json::serialize(topology.metrics));
  put(out, "table_templates", json::serialize(topology.tables));
  return out + '}';
}

std::size_t cost_of(const probe::HostReport& host) {
  constexpr std::size_t kNodeCost = 4;
  return kNodeCost * (2 + host.containers.size() + host.processes.size()) + host.flows.size();
}

}  // namespace

// Endpoints --------------------------------------------------------------------------------------

void RawReport::add_flow(const probe::HostReport& host,
                         const probe::FlowKey& key,
                         const probe::FlowFacts& facts) {
  const bool is_client = key.direction == probe::Direction::Outbound;
  const std::string port = std::to_string(key.port);
  const std::string own = is_client ? fmt::format("p{}", key.pid) : port;
  const std::string local = end_id(host, key, key.local, own);
  End& end = ends_[local];
  end.host = host.origin;
  end.pid = key.pid;
  known_.insert(key.local);
  if (is_client) {
    end.connections += facts.count;
    end.asks.insert(end_id(host, key, key.remote, port));
  } else {
    strangers_.push_back({.address = key.remote,
                          .id = end_id(host, key, key.remote, "p0"),
                          .connections = facts.count,
                          .asks = local});
  }
}

// Who asks a server here, and is no endpoint that its own host tells of.
bool RawReport::add_strangers(std::size_t& work) {
  for (; !strangers_.empty() && work > 0; --work) {
    Stranger stranger = std::move(strangers_.back());
    strangers_.pop_back();
    if (known_.contains(stranger.address)) {
      continue;
    }
    End& end = ends_[stranger.id];
    end.connections += stranger.connections;
    end.asks.insert(std::move(stranger.asks));
  }
  return strangers_.empty();
}

bool RawReport::write_ends(std::size_t& work) {
  for (; !ends_.empty() && work > 0; --work) {
    const auto node = ends_.extract(ends_.begin());
    const End& end = node.mapped();
    json::object values{{"conn_count", latest(std::to_string(end.connections))}};
    if (end.host != PeerName()) {
      values["host_node_id"] = latest(host_id(end.host));
    }
    if (end.pid != 0) {
      values["pid"] = latest(std::to_string(end.pid));
    }
    put(endpoints_.nodes,
        node.key(),
        json::serialize(
            json::object{{"id", node.key()},
                         {"topology", "endpoint"},
                         {"latest", std::move(values)},
                         {"adjacency", json::array(end.asks.begin(), end.asks.end())}}));
  }
  return ends_.empty();
}

// Things -----------------------------------------------------------------------------------------

void RawReport::add_image(const probe::HostReport& host, const probe::ContainerFacts& container) {
  Node node;
  node.id = image_id(image_name(container.image));
  if (container.image.empty() || !images_known_.insert(node.id).second) {
    return;
  }
  node.metadata = {{"docker_image_id", "Image ID", container.image_id, 1},
                   {"docker_image_name", "Image name", image_name(container.image), 2}};
  node.parents = {{host_id(host.origin), "", "hosts"}};
  put(images_.nodes,
      node.id,
      json::serialize(raw_node(node, "container_image", host.origin, images_)));
}

void RawReport::add_peer(const probe::HostReport& host) {
  const Node peer = peer_node(host, report_);
  json::object node = raw_node(peer, "overlay", host.origin, peers_);
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
  put(peers_.nodes, peer.id, json::serialize(node));
}

void RawReport::add_host(const probe::HostReport& host) {
  const PeerName name = host.origin;
  const Node own = host_node(host);
  put(hosts_.nodes, own.id, json::serialize(raw_node(own, "host", name, hosts_)));
  for (const probe::ContainerFacts& facts : host.containers) {
    const Node container = container_node(host, facts);
    json::object node = raw_node(container, "container", name, containers_);
    json::object& values = node["latest"].as_object();
    values["docker_container_name"] = latest(facts.name);
    values["docker_is_in_host_network"] = latest(facts.host_network ? "true" : "false");
    if (containers_known_.insert(container.id).second) {
      put(containers_.nodes, container.id, json::serialize(node));
    }
    add_image(host, facts);
  }
  for (const probe::ProcessFacts& facts : host.processes) {
    const Node process = process_node(host, facts);
    json::object node = raw_node(process, "process", name, processes_);
    node["latest"].as_object()["name"] = latest(facts.name);
    put(processes_.nodes, process.id, json::serialize(node));
  }
  add_peer(host);
  for (const auto& [key, facts] : host.flows) {
    add_flow(host, key, facts);
  }
  for (const auto& [address, called] : host.names) {
    names_[address].insert(called);
  }
}

bool RawReport::advance(std::size_t& work) {
  const auto& hosts = report_.hosts();
  for (auto at = last_ ? hosts.upper_bound(*last_) : hosts.begin(); at != hosts.end(); ++at) {
    if (work == 0) {
      return false;
    }
    last_ = at->first;
    add_host(at->second);
    work -= std::min(work, cost_of(at->second));
  }
  return add_strangers(work) && write_ends(work);
}

std::string RawReport::take() {
  std::string out = "{";
  put(out, "TS", fmt::format("\"{}\"", kZeroTime));
  put(out, "Endpoint", topology_text(std::move(endpoints_), {}));
  put(out, "Process", topology_text(std::move(processes_), {"square", "process", "processes"}));
  put(out,
      "Container",
      topology_text(std::move(containers_), {"hexagon", "container", "containers"}));
  put(out, "ContainerImage", topology_text(std::move(images_), {"hexagon", "image", "images"}));
  put(out, "Host", topology_text(std::move(hosts_), {"circle", "host", "hosts"}));
  put(out, "Overlay", topology_text(std::move(peers_), {"circle", "peer", "peers"}));
  for (const std::string_view unknown : kUnknown) {
    put(out, unknown, topology_text({}, {}));
  }
  put(out, "DNS", names_text(names_));
  put(out, "Sampling", R"({"Count":0,"Total":0})");
  put(out, "Window", "0");
  put(out, "Shortcut", "false");
  put(out, "Plugins", "[]");
  return out + '}';
}

}  // namespace weft::app
