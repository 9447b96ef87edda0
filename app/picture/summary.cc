#include "app/picture/summary.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "app/facts.h"

namespace weft::app {
namespace {

// Writers of what is in an object or array that is open: they put the comma.
void put_comma(std::string& out) {
  if (out.back() != '{' && out.back() != '[') {
    out += ',';
  }
}

void put_name(std::string& out, std::string_view name) {
  put_comma(out);
  out += '"';
  out += name;
  out += "\":";
}

void put(std::string& out, std::string_view name, std::string_view text) {
  put_name(out, name);
  append_json(out, text);
}

void put_number(std::string& out, std::string_view name, std::uint64_t number) {
  put_name(out, name);
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

// JSON has no infinities; what hosts tell may have.
void put_real(std::string& out, std::string_view name, double number) {
  put_name(out, name);
  fmt::format_to(std::back_inserter(out), "{}", std::isfinite(number) ? number : 0);
}

void put_true(std::string& out, std::string_view name) {
  put_name(out, name);
  out += "true";
}

double two_decimals(double value) {
  constexpr double kHundredths = 100;
  return std::round(value * kHundredths) / kHundredths;
}

void put_row(std::string& out, const Row& row) {
  put(out, "id", row.id);
  put(out, "label", row.label);
  put(out, "value", row.value);
  put_real(out, "priority", row.priority);
  if (!row.type.empty()) {
    put(out, "dataType", row.type);
  }
  constexpr std::uint64_t kShown = 12;
  if (row.id == "docker_container_id") {
    put_number(out, "truncate", kShown);
  }
}

void put_metric(std::string& out, const Metric& metric) {
  put(out, "id", metric.id);
  put(out, "label", metric.label);
  put_real(out, "value", two_decimals(metric.value));
  put_real(out, "priority", metric.priority);
  out += ",\"samples\":null,\"min\":0";
  put_real(out, "max", metric.max);
  out += ",\"url\":\"\"";
  if (!metric.format.empty()) {
    put(out, "format", metric.format);
  }
}

void put_parent(std::string& out, const Parent& parent) {
  put(out, "id", parent.id);
  put(out, "label", parent.label);
  put(out, "topologyId", parent.topology);
}

// Absent rather than empty: clients test for both.
template <class Items, class PutItem>
void put_list(std::string& out, std::string_view name, const Items& items, PutItem put_item) {
  if (items.empty()) {
    return;
  }
  put_name(out, name);
  out += '[';
  for (const auto& item : items) {
    put_comma(out);
    out += '{';
    put_item(out, item);
    out += '}';
  }
  out += ']';
}

void put_table(std::string& out, const Table& table) {
  put(out, "id", table.id);
  put(out, "label", table.label);
  put(out, "type", "multicolumn-table");
  put_name(out, "columns");
  out += '[';
  for (const Table::Column& column : table.columns) {
    put_comma(out);
    out += '{';
    put(out, "id", column.id);
    put(out, "label", column.label);
    put(out, "dataType", "");
    out += '}';
  }
  out += ']';
  put_name(out, "rows");
  out += '[';
  std::size_t index = 0;
  for (const auto& row : table.rows) {
    put_comma(out);
    out += '{';
    put(out, "id", fmt::format("row_{}", index++));
    put_name(out, "entries");
    out += '{';
    for (const auto& [key, value] : row) {
      put_comma(out);
      append_json(out, key);
      out += ':';
      append_json(out, value);
    }
    out += "}}";
  }
  out += ']';
}

void put_link(std::string& out, const Link& link) {
  put_number(out, "connections", link.facts.count);
  put_number(out, "sent", link.facts.sent_per_second);
  put_number(out, "received", link.facts.received_per_second);
  put_number(out, "retransmits", link.facts.retransmits);
  put_number(out, "rtt_us", link.facts.rtt_us);
  put_number(out, "opened", link.facts.opened);
  put_number(out, "failed", link.facts.failed);
  put_number(out, "sent_total", link.facts.sent);
  put_number(out, "received_total", link.facts.received);
  put_number(out, "packets_sent", link.facts.packets_sent);
  put_number(out, "packets_received", link.facts.packets_received);
  put_name(out, "ports");
  out += '[';
  for (const auto& [port, transport] : link.ports) {
    put_comma(out);
    append_json(out, port_label(port, transport));
  }
  out += ']';
  if (!link.names.empty()) {
    put_name(out, "names");
    out += '[';
    for (const std::string& name : link.names) {
      put_comma(out);
      append_json(out, name);
    }
    out += ']';
  }
}

void put_links(std::string& out, const Node& node, const SummaryOptions& options) {
  std::string edges;
  for (const auto& [to, link] : node.links) {
    if (options.shows_link && !options.shows_link(to)) {
      continue;
    }
    if (edges.empty()) {
      put_name(out, "adjacency");
      out += '[';
      edges += '{';
    }
    put_comma(out);
    append_json(out, to);
    put_comma(edges);
    append_json(edges, to);
    edges += ":{";
    put_link(edges, link);
    edges += '}';
  }
  if (!edges.empty()) {
    out += ']';
    put_name(out, "edges");
    out += edges;
    out += '}';
  }
}

}  // namespace

// RFC 8259, section 7: what must be escaped.
void append_json(std::string& out, std::string_view text) {
  constexpr char kFirstPrintable = ' ';
  out += '"';
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char octet = text[at];
    const bool is_control = octet >= 0 && octet < kFirstPrintable;
    if (!is_control && octet != '"' && octet != '\\') {
      continue;
    }
    out += text.substr(done, at - done);
    if (is_control) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(octet));
    } else {
      out += '\\';
      out += octet;
    }
    done = at + 1;
  }
  out += text.substr(done);
  out += '"';
}

std::string summary_text(const Node& node,
                         const Staleness& staleness,
                         const SummaryOptions& options) {
  constexpr std::size_t kMany = 2048;  // A container with a few links.
  std::string out;
  out.reserve(kMany);
  out += '{';
  put(out, "id", node.id);
  put(out, "label", node.label);
  put(out, "labelMinor", node.label_minor);
  put(out, "rank", node.rank);
  put(out, "shape", node.shape);
  if (node.stack) {
    put_true(out, "stack");
  }
  if (node.pseudo) {
    put_true(out, "pseudo");
  }
  std::int64_t stale = 0;
  for (const PeerName host : node.hosts) {
    stale = std::max(stale, staleness(host));
  }
  if (stale > 0) {
    put_number(out, "stale", static_cast<std::uint64_t>(stale));
  }
  put_list(out, "metadata", node.metadata, put_row);
  put_list(out, "metrics", node.metrics, put_metric);
  put_list(out, "parents", node.parents, put_parent);
  if (options.tables) {
    put_list(out, "tables", node.tables, put_table);
  }
  put_links(out, node, options);
  out += '}';
  return out;
}

}  // namespace weft::app
