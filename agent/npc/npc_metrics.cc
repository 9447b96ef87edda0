#include "agent/npc/npc_metrics.h"

#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace weft::agent {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

std::string_view name_of(policy::BlockedConnection::Protocol protocol) {
  switch (protocol) {
    case policy::BlockedConnection::Protocol::Tcp:
      return "tcp";
    case policy::BlockedConnection::Protocol::Udp:
      return "udp";
    case policy::BlockedConnection::Protocol::Sctp:
      return "sctp";
  }
  return "";
}

MetricFamily counter(std::string name, std::string help, std::uint64_t value) {
  prometheus::ClientMetric metric;
  metric.counter.value = static_cast<double>(value);
  return {std::move(name), std::move(help), MetricType::Counter, {metric}};
}

MetricFamily gauge(std::string name, std::string help, double value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  return {std::move(name), std::move(help), MetricType::Gauge, {metric}};
}

MetricFamily blocked_family(const policy::BlockedCounts& blocked) {
  MetricFamily family{"weavenpc_blocked_connections_total",
                      "Connection attempts blocked by policy controller.",
                      MetricType::Counter,
                      {}};
  for (const auto& [key, count] : blocked.counts()) {
    prometheus::ClientMetric metric;
    metric.counter.value = static_cast<double>(count);
    metric.label = {{"dport", key.second ? std::to_string(*key.second) : "other"},
                    {"protocol", std::string(name_of(key.first))}};
    family.metric.push_back(std::move(metric));
  }
  return family;
}

MetricFamily objects_family(const policy::Compiler::Stats& stats) {
  MetricFamily family{
      "weftnpc_objects", "Kubernetes objects that the controller knows.", MetricType::Gauge, {}};
  const auto add = [&family](const char* kind, std::size_t count) {
    prometheus::ClientMetric metric;
    metric.gauge.value = static_cast<double>(count);
    metric.label = {{"kind", kind}};
    family.metric.push_back(std::move(metric));
  };
  add("namespace", stats.namespaces);
  add("networkpolicy", stats.policies);
  add("pod", stats.pods);
  return family;
}

}  // namespace

std::string npc_metrics(const NpcState& state, const policy::BlockedCounts& blocked) {
  const bool is_enforcing = state.applier.is_in_place && state.applier.is_hooked;
  const std::vector<MetricFamily> families{
      blocked_family(blocked),
      counter("weavenpc_policy_enforcement_errors",
              "Errors occured in enforcing the network policies.",
              state.problems + state.applier.failures + state.compiler.over_limit),
      gauge(
          "weftnpc_enforcing",
          "1 while the kernel has the policies that the API server told of, and the agent's hooks "
          "lead to them.",
          is_enforcing ? 1 : 0),
      gauge("weftnpc_watching",
            "1 while the API server tells of changes.",
            state.is_watching ? 1 : 0),
      objects_family(state.compiler),
      counter("weftnpc_changes_total",
              "Transactions that changed what the kernel has.",
              state.applier.changes),
      counter("weftnpc_rebuilds_total",
              "Transactions that put everything in place, at the start and after damage.",
              state.applier.rebuilds),
      gauge("weftnpc_last_change_bytes",
            "Size of the last transaction.",
            static_cast<double>(state.applier.last_bytes)),
      counter("weftnpc_watch_failures_total",
              "Requests to the API server that failed.",
              state.watch.failures),
      counter("weftnpc_blocked_unlogged_total",
              "Blocked connections that are counted, but were too many to log.",
              blocked.unlogged()),
      counter("weftnpc_blocked_overruns_total",
              "Times that blocked packets came faster than they could be counted.",
              state.log_overruns),
  };
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace weft::agent
