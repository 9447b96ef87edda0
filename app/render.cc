#include "app/render.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/picture/share.h"

namespace weft::app {

namespace json = boost::json;

namespace {

double two_decimals(double value) {
  constexpr double kHundredths = 100;
  return std::round(value * kHundredths) / kHundredths;
}

std::string_view text_of(Transport transport) {
  return transport == Transport::Tcp ? "tcp" : "udp";
}

json::array ports_json(const Link& link) {
  json::array ports;
  for (const auto& [port, transport] : link.ports) {
    ports.emplace_back(fmt::format("{}/{}", port, text_of(transport)));
  }
  return ports;
}

json::object metadata_json(const Row& row) {
  json::object object{
      {"id", row.id}, {"label", row.label}, {"value", row.value}, {"priority", row.priority}};
  if (!row.type.empty()) {
    object["dataType"] = row.type;
  }
  constexpr std::size_t kShown = 12;
  if (row.id == "docker_container_id") {
    object["truncate"] = kShown;
  }
  return object;
}

json::object metric_json(const Metric& metric) {
  json::object object{{"id", metric.id},
                      {"label", metric.label},
                      {"value", two_decimals(metric.value)},
                      {"priority", metric.priority},
                      {"samples", nullptr},
                      {"min", 0},
                      {"max", metric.max},
                      {"url", ""}};
  if (!metric.format.empty()) {
    object["format"] = metric.format;
  }
  return object;
}

json::object table_json(const Table& table) {
  json::array columns;
  for (const Table::Column& column : table.columns) {
    columns.push_back(json::object{{"id", column.id}, {"label", column.label}, {"dataType", ""}});
  }
  json::array rows;
  for (const auto& row : table.rows) {
    json::object entries;
    for (const auto& [key, value] : row) {
      entries[key] = value;
    }
    rows.push_back(
        json::object{{"id", fmt::format("row_{}", rows.size())}, {"entries", std::move(entries)}});
  }
  return {{"id", table.id},
          {"label", table.label},
          {"type", "multicolumn-table"},
          {"columns", std::move(columns)},
          {"rows", std::move(rows)}};
}

template <class Items, class ToJson>
void put_list(json::object& object, std::string_view key, const Items& items, ToJson to_json) {
  if (items.empty()) {
    return;  // Absent rather than empty: clients test for both.
  }
  json::array array;
  for (const auto& item : items) {
    array.push_back(to_json(item));
  }
  object[key] = std::move(array);
}

void put_links(json::object& object, const Node& node) {
  if (node.links.empty()) {
    return;
  }
  json::array adjacency;
  json::object edges;
  for (const auto& [to, link] : node.links) {
    adjacency.emplace_back(to);
    edges[to] = {{"connections", link.facts.count},
                 {"sent", link.facts.sent_per_second},
                 {"received", link.facts.received_per_second},
                 {"retransmits", link.facts.retransmits},
                 {"rtt_us", link.facts.rtt_us},
                 {"opened", link.facts.opened},
                 {"failed", link.facts.failed},
                 {"sent_total", link.facts.sent},
                 {"received_total", link.facts.received},
                 {"ports", ports_json(link)}};
  }
  object["adjacency"] = std::move(adjacency);
  object["edges"] = std::move(edges);
}

std::string_view child_label(TopologyId topology) {
  return topology == TopologyId::Processes ? "Processes" : "Containers";
}

// Nodes of one topology that name `parent` among their parents.
void add_children(json::array& groups,
                  TopologyId topology,
                  std::string_view parent,
                  const Scene& scene,
                  const Staleness& staleness) {
  std::map<std::string, Node> all;
  for (const auto& [name, host] : scene.report.hosts()) {
    for (auto& [id, piece] : share_of(topology, host, scene.report).pieces) {
      all.try_emplace(id, std::move(piece.node));
    }
  }
  json::array nodes;
  std::string_view path;
  for (const TopologySpec& spec : topologies()) {
    path = spec.id == topology ? spec.path : path;
  }
  for (const auto& [id, node] : all) {
    const bool is_child = std::any_of(
        node.parents.begin(), node.parents.end(), [&](const Parent& p) { return p.id == parent; });
    if (is_child && !node.stopped) {
      json::object child = summary_json(node, staleness);
      child.erase("tables");
      nodes.push_back(std::move(child));
    }
  }
  if (nodes.empty()) {
    return;
  }
  const bool is_process = topology == TopologyId::Processes;
  json::array columns;
  if (is_process) {
    columns.push_back(json::object{{"id", "pid"}, {"label", "PID"}, {"dataType", "number"}});
  }
  columns.push_back(
      json::object{{"id", is_process ? "process_cpu_usage_percent" : "docker_cpu_total_usage"},
                   {"label", "CPU"},
                   {"defaultSort", true},
                   {"dataType", "number"}});
  columns.push_back(
      json::object{{"id", is_process ? "process_memory_usage_bytes" : "docker_memory_usage"},
                   {"label", "Memory"},
                   {"dataType", "number"}});
  groups.push_back(json::object{{"id", path},
                                {"label", child_label(topology)},
                                {"nodes", std::move(nodes)},
                                {"topologyId", path},
                                {"columns", std::move(columns)}});
}

json::array children_json(const Node& node,
                          TopologyId topology,
                          const Scene& scene,
                          const Staleness& staleness) {
  json::array groups;
  switch (topology) {
    case TopologyId::Hosts:
    case TopologyId::ContainersByImage:
      add_children(groups, TopologyId::Containers, node.id, scene, staleness);
      add_children(groups, TopologyId::Processes, node.id, scene, staleness);
      break;
    case TopologyId::ContainersByNetwork:
    case TopologyId::SwarmServices:
      add_children(groups, TopologyId::Containers, node.id, scene, staleness);
      break;
    case TopologyId::Containers:
      add_children(groups, TopologyId::Processes, node.id, scene, staleness);
      break;
    case TopologyId::Processes:
    case TopologyId::ProcessesByName:
    case TopologyId::ContainersByHostname:
    case TopologyId::Pods:
    case TopologyId::EcsTasks:
    case TopologyId::Weave:
      break;
  }
  return groups;
}

json::object connection_json(const Node& other, const Link& link) {
  json::array rows;
  rows.push_back(json::object{{"id", "port"}, {"value", [&] {
                                                 std::string text;
                                                 for (const json::value& port : ports_json(link)) {
                                                   text += text.empty() ? "" : ", ";
                                                   text += std::string_view(port.as_string());
                                                 }
                                                 return text;
                                               }()}});
  rows.push_back(json::object{{"id", "count"}, {"value", std::to_string(link.facts.count)}});
  rows.push_back(
      json::object{{"id", "sent"}, {"value", std::to_string(link.facts.sent_per_second)}});
  rows.push_back(
      json::object{{"id", "received"}, {"value", std::to_string(link.facts.received_per_second)}});
  rows.push_back(json::object{{"id", "rtt_us"}, {"value", std::to_string(link.facts.rtt_us)}});
  rows.push_back(
      json::object{{"id", "retransmits"}, {"value", std::to_string(link.facts.retransmits)}});
  rows.push_back(json::object{{"id", "opened"}, {"value", std::to_string(link.facts.opened)}});
  rows.push_back(json::object{{"id", "failed"}, {"value", std::to_string(link.facts.failed)}});
  return {{"id", other.id},
          {"nodeId", other.id},
          {"label", other.label},
          {"labelMinor", other.label_minor},
          {"metadata", std::move(rows)}};
}

json::object connections_table(std::string_view id,
                               std::string_view label,
                               std::string_view path,
                               json::array connections) {
  const auto column = [](std::string_view column_id, std::string_view text, bool sort) {
    json::object object{
        {"id", column_id}, {"label", text}, {"dataType", column_id == "port" ? "" : "number"}};
    if (sort) {
      object["defaultSort"] = true;
    }
    return object;
  };
  return {{"id", id},
          {"topologyId", path},
          {"label", label},
          {"columns",
           {column("port", "Port", false),
            column("count", "Count", true),
            column("sent", "Sent B/s", false),
            column("received", "Received B/s", false),
            column("rtt_us", "RTT µs", false),
            column("retransmits", "Retransmits", false),
            column("opened", "Opened", false),
            column("failed", "Failed", false)}},
          {"connections", std::move(connections)}};
}

json::array connections_json(const Node& node, std::string_view path, const View& view) {
  json::array inbound;
  json::array outbound;
  for (const auto& [id, other] : view) {
    if (const auto link = other.links.find(node.id); link != other.links.end()) {
      inbound.push_back(connection_json(other, link->second));
    }
  }
  for (const auto& [to, link] : node.links) {
    if (const auto other = view.find(to); other != view.end()) {
      outbound.push_back(connection_json(other->second, link));
    }
  }
  return {connections_table("incoming-connections", "Inbound", path, std::move(inbound)),
          connections_table("outgoing-connections", "Outbound", path, std::move(outbound))};
}

json::array controls_json(const Node& node) {
  json::array controls;
  for (const control::Control* const control : node.controls) {
    json::object object{{"probeId", node.hosts.begin()->to_string()},
                        {"nodeId", node.id},
                        {"id", control->id},
                        {"human", control->label},
                        {"icon", control->icon},
                        {"rank", control->rank},
                        {"role", control::text_of(control->role)}};
    if (!control->confirmation.empty()) {
      object["confirmation"] = control->confirmation;
    }
    controls.push_back(std::move(object));
  }
  return controls;
}

json::array options_json(const TopologySpec& spec) {
  json::array groups;
  for (const OptionGroup& group : spec.options) {
    json::array values;
    for (const OptionValue& value : group.values) {
      values.push_back(json::object{{"value", value.value}, {"label", value.label}});
    }
    groups.push_back(json::object{{"id", group.id},
                                  {"defaultValue", group.fallback},
                                  {"options", std::move(values)},
                                  {"selectType", "one"},
                                  {"noneLabel", ""}});
  }
  return groups;
}

json::object topology_json(const TopologySpec& spec, const ViewStats& stats) {
  return {{"name", spec.name},
          {"rank", spec.rank},
          {"hide_if_empty", spec.hide_if_empty},
          {"options", options_json(spec)},
          {"url", fmt::format("/api/topology/{}", spec.path)},
          {"stats",
           {{"node_count", stats.node_count},
            {"nonpseudo_node_count", stats.nonpseudo_node_count},
            {"edge_count", stats.edge_count},
            {"filtered_nodes", stats.filtered_nodes}}}};
}

// `"key":[…]`, or null if there is nothing.
void append_list(std::string& out,
                 std::string_view key,
                 const std::vector<std::string_view>& items) {
  out += fmt::format("\"{}\":", key);
  if (items.empty()) {
    out += "null";
    return;
  }
  char open = '[';
  for (const std::string_view item : items) {
    out += open;
    out += item;
    open = ',';
  }
  out += ']';
}

}  // namespace

json::object summary_json(const Node& node, const Staleness& staleness) {
  json::object object{{"id", node.id},
                      {"label", node.label},
                      {"labelMinor", node.label_minor},
                      {"rank", node.rank},
                      {"shape", node.shape}};
  if (node.stack) {
    object["stack"] = true;
  }
  if (node.pseudo) {
    object["pseudo"] = true;
  }
  std::int64_t stale = 0;
  for (const PeerName host : node.hosts) {
    stale = std::max(stale, staleness(host));
  }
  if (stale > 0) {
    object["stale"] = stale;
  }
  put_list(object, "metadata", node.metadata, metadata_json);
  put_list(object, "metrics", node.metrics, metric_json);
  put_list(object, "parents", node.parents, [](const Parent& parent) {
    return json::object{
        {"id", parent.id}, {"label", parent.label}, {"topologyId", parent.topology}};
  });
  put_list(object, "tables", node.tables, table_json);
  put_links(object, node);
  return object;
}

json::object details_json(const Node& node,
                          TopologyId topology,
                          const View& view,
                          const Scene& scene,
                          const Staleness& staleness) {
  std::string_view path;
  for (const TopologySpec& spec : topologies()) {
    path = spec.id == topology ? spec.path : path;
  }
  json::object object = summary_json(node, staleness);
  object["controls"] = controls_json(node);
  object["children"] = children_json(node, topology, scene, staleness);
  object["connections"] = connections_json(node, path, view);
  return object;
}

ViewStats stats_of(const View& view, std::size_t filtered) {
  ViewStats stats{.node_count = view.size(),
                  .nonpseudo_node_count = 0,
                  .edge_count = 0,
                  .filtered_nodes = filtered};
  for (const auto& [id, node] : view) {
    stats.nonpseudo_node_count += node.pseudo ? 0 : 1;
    stats.edge_count += node.links.size();
  }
  return stats;
}

json::array topologies_json(const std::function<ViewStats(const TopologySpec&)>& stats) {
  json::array array;
  for (const TopologySpec& spec : topologies()) {
    if (!spec.parent.empty()) {
      continue;
    }
    json::object object = topology_json(spec, stats(spec));
    json::array subs;
    for (const TopologySpec& sub : topologies()) {
      if (sub.parent == spec.path) {
        subs.push_back(topology_json(sub, stats(sub)));
      }
    }
    object["sub_topologies"] = std::move(subs);
    array.push_back(std::move(object));
  }
  return array;
}

std::string reset_frame(const Rendered& view) {
  std::vector<std::string_view> all;
  all.reserve(view.size());
  for (const auto& [id, summary] : view) {
    all.emplace_back(summary);
  }
  std::string frame = "{";
  append_list(frame, "add", all);
  frame += ",\"update\":null,\"remove\":null,\"reset\":true}";
  return frame;
}

std::string delta_frame(const Delta& delta) {
  std::vector<std::string> removed;
  for (const std::string& id : delta.removed) {
    removed.push_back(json::serialize(json::value(id)));
  }
  std::string frame = "{";
  append_list(frame, "add", delta.added);
  frame += ',';
  append_list(frame, "update", delta.updated);
  frame += ',';
  append_list(frame, "remove", {removed.begin(), removed.end()});
  frame += '}';
  return frame;
}

}  // namespace weft::app
