#include "app/picture/children.h"

#include <algorithm>
#include <map>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/facts.h"
#include "base/assert.h"

namespace weft::app {

namespace json = boost::json;

namespace {

std::vector<TopologyId> children_of(TopologyId topology) {
  using enum TopologyId;
  switch (topology) {
    case Hosts:
    case ContainersByImage:
      return {Containers, Processes};
    case ContainersByNetwork:
    case SwarmServices:
      return {Containers};
    case Containers:
      return {Processes};
    case Processes:
    case ProcessesByName:
    case ContainersByHostname:
    case Pods:
    case EcsTasks:
    case Weave:
      break;
  }
  return {};
}

json::array columns_of(TopologyId topology) {
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
  columns.push_back(
      json::object{{"id", "open_files_count"}, {"label", "Open files"}, {"dataType", "number"}});
  return columns;
}

// The first metric of containers and of processes is their CPU.
double cpu_of(const Node& node) {
  return node.metrics.empty() ? 0 : node.metrics.front().value;
}

}  // namespace

Children::Children(TopologyId topology, const Node& parent, const probe::Report& report)
    : report_(report),
      parent_(parent.id),
      hosts_(parent.hosts) {
  for (const TopologyId child : children_of(topology)) {
    groups_.push_back({.topology = child});
  }
}

bool Children::advance(std::size_t& work) {
  for (; group_ < groups_.size(); ++group_, last_.reset()) {
    auto at = last_ ? hosts_.upper_bound(*last_) : hosts_.begin();
    for (; at != hosts_.end(); ++at) {
      if (work == 0) {
        return false;
      }
      last_ = *at;
      if (const probe::HostReport* const host = report_.find(*at)) {
        add_host(groups_[group_], *host, work);
      }
    }
  }
  return true;
}

// Most of what a host has is no child: nodes, which cost ten times what telling that does, are made
// of children alone.
void Children::add_host(Group& group, const probe::HostReport& host, std::size_t& work) const {
  const auto is_child = [this](const std::vector<Parent>& parents) {
    return std::any_of(
        parents.begin(), parents.end(), [this](const Parent& one) { return one.id == parent_; });
  };
  if (group.topology == TopologyId::Processes) {
    work -= std::min(work, host.processes.size() + 1);
    std::map<std::string_view, bool> is_child_in;  // Those of a container have the same parents.
    for (const probe::ProcessFacts& process : host.processes) {
      const auto [in, is_new] = is_child_in.try_emplace(process.container);
      if (is_new) {
        in->second = is_child(parents_of(host, process));
      }
      if (in->second) {
        add(group, process_node(host, process));
      }
    }
    return;
  }
  WEFT_ASSERT(group.topology == TopologyId::Containers);
  work -= std::min(work, host.containers.size() + 1);
  for (const probe::ContainerFacts& container : host.containers) {
    if (is_up(container) && is_child(parents_of(host, container))) {
      add(group, container_node(host, container));
    }
  }
}

void Children::add(Group& group, Node node) {
  Rank rank(-cpu_of(node), node.id);
  group.shown.try_emplace(std::move(rank), std::move(node));
  if (group.shown.size() > kShownMax) {
    group.shown.erase(std::prev(group.shown.end()));
    ++group.more;
  }
}

std::string Children::text(const Staleness& staleness) const {
  WEFT_ASSERT(group_ == groups_.size());
  std::string text;
  for (const Group& group : groups_) {
    if (group.shown.empty()) {
      continue;
    }
    std::map<std::string_view, const Node*> by_id;
    for (const auto& [rank, node] : group.shown) {
      by_id.emplace(rank.second, &node);
    }
    std::string nodes;
    for (const auto& [id, node] : by_id) {
      nodes += nodes.empty() ? "" : ",";
      nodes += summary_text(*node, staleness, {.tables = false});
    }
    const bool is_process = group.topology == TopologyId::Processes;
    text += text.empty() ? "" : ",";
    text += fmt::format(
        R"({{"id":"{0}","label":"{1}","nodes":[{2}],"more":{3},"topologyId":"{0}","columns":{4}}})",
        path_of(group.topology),
        is_process ? "Processes" : "Containers",
        nodes,
        group.more,
        json::serialize(columns_of(group.topology)));
  }
  return text;
}

}  // namespace weft::app
