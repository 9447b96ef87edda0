#include "app/metrics.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/graph.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::HostReport;

constexpr double kPercent = 100;
constexpr double kMicros = 1e6;
constexpr std::string_view kOther = "other";

using Pair = std::pair<std::string, std::string>;

std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') {
      out += '\\';
    }
    out += c;  // Reports hold no control characters (probe/report/report.h).
  }
  return out;
}

void declare(std::string& out,
             std::string_view name,
             std::string_view type,
             std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void add(std::string& out, std::string_view name, const std::string& labels, double value) {
  out += labels.empty() ? fmt::format("{} {}\n", name, value)
                        : fmt::format("{}{{{}}} {}\n", name, labels, value);
}

void gauge(std::string& out, std::string_view name, std::string_view help, double value) {
  declare(out, name, "gauge", help);
  add(out, name, "", value);
}

// Names of containers are unique on their host.
std::string name_of(const ContainerFacts& container) {
  return container.name.empty() ? container.id : container.name;
}

std::string name_of(const Party& party, const HostReport& host) {
  if (party.kind == Party::Kind::Internet) {
    return "internet";
  }
  if (party.kind == Party::Kind::LocalNetwork) {
    return "network";
  }
  const auto container =
      std::find_if(host.containers.begin(), host.containers.end(), [&](const ContainerFacts& c) {
        return c.id == party.container;
      });
  if (container != host.containers.end()) {
    return name_of(*container);
  }
  const auto process =
      std::find_if(host.processes.begin(), host.processes.end(), [&](const probe::ProcessFacts& p) {
        return party.pid != 0 && p.pid == party.pid;
      });
  return process == host.processes.end() || process->name.empty() ? "host" : process->name;
}

void add_host(std::string& out, const HostReport& host) {
  gauge(out,
        "weft_host_cpu_cores",
        "CPUs in use on this host.",
        host.host.usage.cpu_percent / kPercent);
  gauge(out,
        "weft_host_memory_bytes",
        "Memory in use on this host.",
        static_cast<double>(host.host.usage.memory_bytes));
  gauge(out, "weft_host_load1", "Load average over a minute.", host.host.load1);
  declare(out, "weft_host_forks_total", "counter", "Processes and threads begun on this host.");
  add(out, "weft_host_forks_total", "", static_cast<double>(host.host.forks));
  declare(out, "weft_probe_source_up", "gauge", "Whether a source of facts works.");
  for (const probe::SourceFacts& source : host.sources) {
    add(out,
        "weft_probe_source_up",
        fmt::format("source=\"{}\"", label_value(source.name)),
        source.working ? 1 : 0);
  }
  gauge(out,
        "weft_probe_interval_seconds",
        "Time between two looks at this host.",
        std::chrono::duration<double>(host.interval).count());
}

struct ContainerSeries {
  std::string_view name;
  std::string_view help;
  std::function<double(const ContainerFacts& container)> value;
};

void add_containers(std::string& out, const HostReport& host) {
  std::vector<const ContainerFacts*> running;
  for (const ContainerFacts& container : host.containers) {
    if (container.state == probe::ContainerState::Running) {
      running.push_back(&container);
    }
  }
  std::stable_sort(
      running.begin(), running.end(), [](const ContainerFacts* a, const ContainerFacts* b) {
        return a->usage.cpu_percent > b->usage.cpu_percent;
      });
  const std::vector<ContainerSeries> all{
      {"weft_container_cpu_cores",
       "CPUs in use.",
       [](const ContainerFacts& c) { return c.usage.cpu_percent / kPercent; }},
      {"weft_container_memory_bytes",
       "Memory in use, but for idle pages of files.",
       [](const ContainerFacts& c) { return static_cast<double>(c.usage.memory_bytes); }},
      {"weft_container_memory_limit_bytes",
       "Memory that it may use; 0 without a limit.",
       [](const ContainerFacts& c) { return static_cast<double>(c.group.memory_limit_bytes); }},
      {"weft_container_cpu_throttled_cores",
       "CPUs that it would have used but for its quota.",
       [](const ContainerFacts& c) { return c.group.throttled_percent / kPercent; }},
      {"weft_container_processes",
       "Processes in it.",
       [](const ContainerFacts& c) { return static_cast<double>(c.process_count); }},
      {"weft_container_file_descriptors",
       "Descriptors that its processes have open.",
       [](const ContainerFacts& c) { return static_cast<double>(c.descriptor_count); }},
      {"weft_container_disk_read_bytes_total",
       "Bytes read from disks.",
       [](const ContainerFacts& c) { return static_cast<double>(c.group.disk_read_bytes); }},
      {"weft_container_disk_written_bytes_total",
       "Bytes written to disks.",
       [](const ContainerFacts& c) { return static_cast<double>(c.group.disk_written_bytes); }}};
  for (const ContainerSeries& series : all) {
    declare(out, series.name, series.name.ends_with("_total") ? "counter" : "gauge", series.help);
    std::map<std::string, double> values;
    for (std::size_t i = 0; i < running.size(); ++i) {
      values[i < kSeriesMax ? name_of(*running[i]) : std::string(kOther)] +=
          series.value(*running[i]);
    }
    for (const auto& [name, value] : values) {
      add(out, series.name, fmt::format("container=\"{}\"", label_value(name)), value);
    }
  }
}

std::map<Pair, EdgeFacts> edges_of(const HostReport& host) {
  probe::Report report;
  report.merge(host);
  std::map<Pair, EdgeFacts> named;
  for (const auto& [key, facts] : resolve_edges(report)) {
    named[{name_of(key.from, host), name_of(key.to, host)}] += facts;
  }
  if (named.size() <= kSeriesMax) {
    return named;
  }
  std::vector<std::pair<Pair, EdgeFacts>> all(named.begin(), named.end());
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second.sent + a.second.received > b.second.sent + b.second.received;
  });
  std::map<Pair, EdgeFacts> kept;
  for (std::size_t i = 0; i < all.size(); ++i) {
    kept[i < kSeriesMax ? all[i].first : Pair(kOther, kOther)] += all[i].second;
  }
  return kept;
}

struct EdgeSeries {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::function<double(const EdgeFacts& edge)> value;
};

void add_edges(std::string& out, const HostReport& host) {
  const std::vector<EdgeSeries> all{
      {"traces_service_graph_request_total",
       "counter",
       "Connections opened.",
       [](const EdgeFacts& e) { return static_cast<double>(e.opened); }},
      {"traces_service_graph_request_failed_total",
       "counter",
       "Connections refused or not answered.",
       [](const EdgeFacts& e) { return static_cast<double>(e.failed); }},
      {"weft_edge_sent_bytes_total",
       "counter",
       "Bytes from client to server.",
       [](const EdgeFacts& e) { return static_cast<double>(e.sent); }},
      {"weft_edge_received_bytes_total",
       "counter",
       "Bytes from server to client.",
       [](const EdgeFacts& e) { return static_cast<double>(e.received); }},
      {"weft_edge_sent_packets_total",
       "counter",
       "Packets from client to server.",
       [](const EdgeFacts& e) { return static_cast<double>(e.packets_sent); }},
      {"weft_edge_received_packets_total",
       "counter",
       "Packets from server to client.",
       [](const EdgeFacts& e) { return static_cast<double>(e.packets_received); }},
      {"weft_edge_connections",
       "gauge",
       "Connections open, or closed since the look before.",
       [](const EdgeFacts& e) { return static_cast<double>(e.count); }},
      {"weft_edge_rtt_seconds", "gauge", "Round trip of the slowest.", [](const EdgeFacts& e) {
         return static_cast<double>(e.rtt_us) / kMicros;
       }}};
  const std::map<Pair, EdgeFacts> edges = edges_of(host);
  for (const EdgeSeries& series : all) {
    declare(out, series.name, series.type, series.help);
    for (const auto& [pair, facts] : edges) {
      add(out,
          series.name,
          fmt::format(
              "client=\"{}\",server=\"{}\"", label_value(pair.first), label_value(pair.second)),
          series.value(facts));
    }
  }
}

}  // namespace

std::string metrics_text(const HostReport& host) {
  std::string out;
  add_host(out, host);
  add_containers(out, host);
  add_edges(out, host);
  return out;
}

}  // namespace weft::app
