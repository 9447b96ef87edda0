#include "app/render.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/facts.h"

namespace weft::app {

namespace json = boost::json;

namespace {

std::string ports_text(const Link& link) {
  std::string text;
  for (const auto& [port, transport] : link.ports) {
    text += text.empty() ? "" : ", ";
    text += port_label(port, transport);
  }
  return text;
}

std::string names_text(const Link& link) {
  std::string text;
  for (const std::string& name : link.names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

json::object connection_json(const Node& other, const Link& link) {
  json::array rows;
  if (!link.names.empty()) {
    rows.push_back(json::object{{"id", "remote"}, {"value", names_text(link)}});
  }
  rows.push_back(json::object{{"id", "port"}, {"value", ports_text(link)}});
  rows.push_back(json::object{{"id", "count"}, {"value", std::to_string(link.facts.count)}});
  rows.push_back(
      json::object{{"id", "sent"}, {"value", std::to_string(link.facts.sent_per_second)}});
  rows.push_back(
      json::object{{"id", "received"}, {"value", std::to_string(link.facts.received_per_second)}});
  rows.push_back(json::object{{"id", "rtt_us"}, {"value", std::to_string(link.facts.rtt_us)}});
  rows.push_back(
      json::object{{"id", "retransmits"}, {"value", std::to_string(link.facts.retransmits)}});
  rows.push_back(
      json::object{{"id", "packets_sent"}, {"value", std::to_string(link.facts.packets_sent)}});
  rows.push_back(json::object{{"id", "packets_received"},
                              {"value", std::to_string(link.facts.packets_received)}});
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
    json::object object{{"id", column_id},
                        {"label", text},
                        {"dataType", column_id == "port" || column_id == "remote" ? "" : "number"}};
    if (sort) {
      object["defaultSort"] = true;
    }
    return object;
  };
  json::array columns{column("port", "Port", false),
                      column("count", "Count", true),
                      column("sent", "Sent B/s", false),
                      column("received", "Received B/s", false),
                      column("rtt_us", "RTT µs", false),
                      column("retransmits", "Retransmits", false),
                      column("packets_sent", "Packets sent", false),
                      column("packets_received", "Packets received", false),
                      column("opened", "Opened", false),
                      column("failed", "Failed", false)};
  // Named ones say so in their first field.
  if (std::any_of(connections.begin(), connections.end(), [](const json::value& connection) {
        return connection.at("metadata").at(0).at("id") == "remote";
      })) {
    columns.insert(columns.begin(), column("remote", "Remote", false));
  }
  return {{"id", id},
          {"topologyId", path},
          {"label", label},
          {"columns", std::move(columns)},
          {"connections", std::move(connections)}};
}

json::array connections_json(const Node& node, std::string_view path, const ViewBook& view) {
  json::array inbound;
  json::array outbound;
  for (const Node* const other : view.clients_of(node.id)) {
    inbound.push_back(connection_json(*other, other->links.at(node.id)));
  }
  for (const auto& [to, link] : node.links) {
    if (const auto other = view.view().find(to); other != view.view().end()) {
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

// Several of them may be chosen.
json::object stacks_json(const std::set<std::string>& stacks) {
  json::array values;
  for (const std::string& stack : stacks) {
    values.push_back(json::object{{"value", stack}, {"label", stack}});
  }
  return {{"id", kStackGroup},
          {"defaultValue", ""},
          {"options", std::move(values)},
          {"selectType", "union"},
          {"noneLabel", "All Stacks"}};
}

json::array options_json(const TopologySpec& spec, const ViewStats& stats) {
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
  if (spec.has_stacks && !stats.stacks.empty()) {
    groups.push_back(stacks_json(stats.stacks));
  }
  return groups;
}

json::object topology_json(const TopologySpec& spec, const ViewStats& stats) {
  return {{"name", spec.name},
          {"rank", spec.rank},
          {"hide_if_empty", spec.hide_if_empty},
          {"options", options_json(spec, stats)},
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

void append_loading(std::string& out, const std::optional<Loading>& loading) {
  if (loading) {
    out += fmt::format(R"(,"loading":{{"hosts":{},"of":{}}})", loading->hosts, loading->of);
  }
}

}  // namespace

std::string details_text(const Node& node,
                         TopologyId topology,
                         const ViewBook& view,
                         std::string_view children,
                         const Staleness& staleness) {
  std::string text = summary_text(node, staleness);
  text.pop_back();  // The brace, which what follows comes before.
  text += ",\"controls\":" + json::serialize(controls_json(node));
  text += fmt::format(",\"children\":[{}]", children);
  text += ",\"connections\":" + json::serialize(connections_json(node, path_of(topology), view));
  return text + "}";
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

std::string reset_frame(const Rendered& view, const std::optional<Loading>& loading) {
  std::vector<std::string_view> all;
  all.reserve(view.size());
  for (const auto& [id, summary] : view) {
    all.emplace_back(summary);
  }
  std::string frame = "{";
  append_list(frame, "add", all);
  frame += ",\"update\":null,\"remove\":null,\"reset\":true";
  append_loading(frame, loading);
  return frame + '}';
}

std::string delta_frame(const Delta& delta, const std::optional<Loading>& loading) {
  std::vector<std::string> removed;
  for (const std::string& id : delta.removed) {
    append_json(removed.emplace_back(), id);
  }
  std::string frame = "{";
  append_list(frame, "add", delta.added);
  frame += ',';
  append_list(frame, "update", delta.updated);
  frame += ',';
  append_list(frame, "remove", {removed.begin(), removed.end()});
  append_loading(frame, loading);
  return frame + '}';
}

}  // namespace weft::app
