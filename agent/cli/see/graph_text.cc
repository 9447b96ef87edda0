#include "agent/cli/see/graph_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

std::string_view text_at(const json::value& object, std::string_view key) {
  const json::value* value = object.as_object().if_contains(key);
  return value == nullptr ? std::string_view() : std::string_view(value->as_string());
}

std::uint64_t number_at(const json::value& object, std::string_view key) {
  return object.as_object().at(key).to_number<std::uint64_t>();
}

// Inside double quotes only these two mean something to graphviz.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

std::string_view dot_shape(std::string_view shape) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kShapes{
      {{"square", "box"}, {"cloud", "doubleoctagon"}, {"heptagon", "septagon"}}};
  const auto found = std::find_if(
      kShapes.begin(), kShapes.end(), [&](const auto& item) { return item.first == shape; });
  return found == kShapes.end() ? shape : found->second;
}

std::string ports_of(const json::value& edge) {
  std::string text;
  for (const json::value& port : edge.at("ports").as_array()) {
    text += text.empty() ? "" : ",";
    text += std::string_view(port.as_string());
  }
  return text;
}

// What a person calls a node: names repeat from host to host.
std::string name_of(const json::value& nodes, std::string_view id) {
  const json::value* node = nodes.as_object().if_contains(id);
  if (node == nullptr) {
    return std::string(id);
  }
  const std::string_view minor = text_at(*node, "labelMinor");
  return minor.empty() ? std::string(text_at(*node, "label"))
                       : fmt::format("{}@{}", text_at(*node, "label"), minor);
}

std::string bytes_text(double value) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  constexpr double kStep = 1024;
  std::size_t unit = 0;
  while (value >= kStep && unit + 1 < kUnits.size()) {
    value /= kStep;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, unit == 0 ? 0 : 1, kUnits[unit]);
}

template <class Act>
void for_each_edge(const json::value& view, Act act) {
  for (const auto& [id, node] : view.at("nodes").as_object()) {
    if (const json::value* edges = node.as_object().if_contains("edges")) {
      for (const auto& [to, edge] : edges->as_object()) {
        act(std::string_view(id), std::string_view(to), edge);
      }
    }
  }
}

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; the first `left` flush left.
std::string table(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? "" : "  ";
      line += i < left ? fmt::format("{:<{}}", row[i], widths[i])
                       : fmt::format("{:>{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

double metric_of(const json::value& node, std::string_view label) {
  const json::value* metrics = node.as_object().if_contains("metrics");
  if (metrics != nullptr) {
    for (const json::value& metric : metrics->as_array()) {
      if (text_at(metric, "label") == label) {
        return metric.at("value").to_number<double>();
      }
    }
  }
  return 0;
}

}  // namespace

std::string graph_dot(const json::value& view) {
  std::string out = "digraph weft {\n  rankdir=LR;\n";
  for (const auto& [id, node] : view.at("nodes").as_object()) {
    const std::string label =
        fmt::format("{}\n{}", text_at(node, "label"), text_at(node, "labelMinor"));
    out += fmt::format("  {} [label={}, shape={}];\n",
                       quoted(id),
                       quoted(label),
                       dot_shape(text_at(node, "shape")));
  }
  for_each_edge(view, [&](std::string_view from, std::string_view to, const json::value& edge) {
    out +=
        fmt::format("  {} -> {} [label={}];\n", quoted(from), quoted(to), quoted(ports_of(edge)));
  });
  return out + "}\n";
}

std::string edges_text(const json::value& view) {
  const json::value& nodes = view.at("nodes");
  std::vector<Row> rows;
  for_each_edge(view, [&](std::string_view from, std::string_view to, const json::value& edge) {
    rows.push_back({name_of(nodes, from),
                    name_of(nodes, to),
                    ports_of(edge),
                    std::to_string(number_at(edge, "connections")),
                    std::to_string(number_at(edge, "opened")),
                    std::to_string(number_at(edge, "failed")),
                    bytes_text(static_cast<double>(number_at(edge, "sent"))) + "/s",
                    bytes_text(static_cast<double>(number_at(edge, "received"))) + "/s",
                    std::to_string(number_at(edge, "packets_sent")),
                    std::to_string(number_at(edge, "packets_received")),
                    std::to_string(number_at(edge, "retransmits")),
                    std::to_string(number_at(edge, "rtt_us"))});
  });
  std::sort(rows.begin(), rows.end());
  rows.insert(rows.begin(),
              {"FROM",
               "TO",
               "PORT",
               "CONNECTIONS",
               "OPENED",
               "FAILED",
               "SENT",
               "RECEIVED",
               "PACKETS SENT",
               "PACKETS RECEIVED",
               "RETRANSMITS",
               "RTT µs"});
  constexpr std::size_t kNames = 3;
  return table(rows, kNames);
}

std::string top_text(const json::value& view) {
  const json::value& nodes = view.at("nodes");
  struct Line {
    double cpu;
    Row row;
  };
  std::vector<Line> lines;
  for (const auto& [id, node] : nodes.as_object()) {
    if (node.as_object().if_contains("metrics") == nullptr) {
      continue;
    }
    const double cpu = metric_of(node, "CPU");
    lines.push_back({cpu,
                     {std::string(text_at(node, "label")),
                      std::string(text_at(node, "labelMinor")),
                      fmt::format("{:.1f} %", cpu),
                      bytes_text(metric_of(node, "Memory"))}});
  }
  std::stable_sort(
      lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.cpu > b.cpu; });
  std::vector<Row> rows{{"NAME", "WHERE", "CPU", "MEMORY"}};
  for (Line& line : lines) {
    rows.push_back(std::move(line.row));
  }
  constexpr std::size_t kNames = 2;
  return table(rows, kNames);
}

std::string reach_text(const json::value& answer) {
  std::string text = fmt::format("{}\n", text_at(answer, "summary"));
  std::vector<Row> rows{{"CLIENT",
                         "SERVER",
                         "PORT",
                         "OVER",
                         "ENCRYPTED",
                         "CONNECTIONS",
                         "SENT",
                         "RECEIVED",
                         "RTT µs"}};
  for (const json::value& connection : answer.at("connections").as_array()) {
    const json::value& encrypted = connection.at("encrypted");
    const json::value& rtt = connection.at("rtt_us");
    rows.push_back({std::string(text_at(connection.at("client"), "label")),
                    std::string(text_at(connection.at("server"), "label")),
                    std::string(text_at(connection, "port")),
                    std::string(text_at(connection, "carrier")),
                    encrypted.is_null() ? "-" : (encrypted.as_bool() ? "yes" : "no"),
                    std::to_string(number_at(connection, "connections")),
                    bytes_text(connection.at("sent").to_number<double>()) + "/s",
                    bytes_text(connection.at("received").to_number<double>()) + "/s",
                    rtt.is_null() ? "-" : std::to_string(rtt.to_number<std::uint64_t>())});
  }
  if (rows.size() > 1) {
    constexpr std::size_t kNames = 5;
    text += '\n' + table(rows, kNames);
  }
  const std::uint64_t left_out = number_at(answer, "connections_left_out");
  return left_out == 0 ? text : text + fmt::format("and {} more\n", left_out);
}

}  // namespace weft::agent
