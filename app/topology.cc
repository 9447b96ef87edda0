#include "app/topology.h"

#include <algorithm>
#include <array>
#include <set>

namespace weft::app {
namespace {

constexpr std::array kUnconnected{OptionValue{"show", "Unconnected nodes shown"},
                                  OptionValue{"hide", "Unconnected nodes hidden"}};
constexpr std::array kSystem{OptionValue{"all", "All"},
                             OptionValue{"system", "System containers"},
                             OptionValue{"application", "Application containers"}};
constexpr std::array kStopped{OptionValue{"stopped", "Stopped containers"},
                              OptionValue{"running", "Running containers"},
                              OptionValue{"both", "Both"}};
constexpr std::array kPseudo{OptionValue{"show", "Show uncontained"},
                             OptionValue{"hide", "Hide uncontained"}};
constexpr std::array kProcessOptions{OptionGroup{"unconnected", "hide", kUnconnected}};
constexpr std::array kContainerOptions{OptionGroup{"system", "application", kSystem},
                                       OptionGroup{"stopped", "running", kStopped},
                                       OptionGroup{"pseudo", "hide", kPseudo}};

using enum TopologyId;
constexpr std::array kTopologies{
    TopologySpec{Processes, "processes", "Processes", "", 1, true, kProcessOptions},
    TopologySpec{
        ProcessesByName, "processes-by-name", "by name", "processes", 1, true, kProcessOptions},
    TopologySpec{Containers, "containers", "Containers", "", 2, false, kContainerOptions},
    TopologySpec{ContainersByHostname,
                 "containers-by-hostname",
                 "by DNS name",
                 "containers",
                 2,
                 false,
                 kContainerOptions},
    TopologySpec{ContainersByImage,
                 "containers-by-image",
                 "by image",
                 "containers",
                 2,
                 false,
                 kContainerOptions},
    TopologySpec{ContainersByNetwork,
                 "containers-by-network",
                 "by network",
                 "containers",
                 2,
                 false,
                 kContainerOptions},
    TopologySpec{Pods, "pods", "Pods", "", 3, true, {}},
    TopologySpec{EcsTasks, "ecs-tasks", "Tasks", "", 3, true, {}},
    TopologySpec{SwarmServices, "swarm-services", "Services", "", 3, true, {}},
    TopologySpec{Hosts, "hosts", "Hosts", "", 4, false, {}},
    TopologySpec{Weave, "weave", "Weave Net", "hosts", 4, false, {}},
};

std::set<std::string> connected_ids(const View& view) {
  std::set<std::string> ids;
  for (const auto& [id, node] : view) {
    if (node.busy) {
      ids.insert(id);
    }
    for (const auto& [to, link] : node.links) {
      ids.insert(id);
      ids.insert(to);
    }
  }
  return ids;
}

void drop_dangling(View& view) {
  for (auto& [id, node] : view) {
    std::erase_if(node.links, [&](const auto& item) { return !view.contains(item.first); });
  }
}

}  // namespace

std::span<const TopologySpec> topologies() {
  return kTopologies;
}

const TopologySpec* find_topology(std::string_view path) {
  const auto* found = std::find_if(kTopologies.begin(),
                                   kTopologies.end(),
                                   [&](const TopologySpec& spec) { return spec.path == path; });
  return found == kTopologies.end() ? nullptr : found;
}

Filter::Filter(const Choice& choice) {
  const auto is_chosen = [&](std::string_view group, std::string_view value) {
    const auto found = choice.find(group);
    return found != choice.end() && found->second == value;
  };
  uncontained_ = is_chosen("pseudo", "hide");
  unconnected_ = is_chosen("unconnected", "hide");
  applications_ = is_chosen("system", "system");
  system_ = is_chosen("system", "application");
  stopped_ = is_chosen("stopped", "running");
  running_ = is_chosen("stopped", "stopped");
}

bool Filter::hides(const Node& node) const {
  if (node.pseudo) {
    return uncontained_ && node.id.starts_with("pseudo:uncontained:");
  }
  return (node.system ? system_ : applications_) || (node.stopped ? stopped_ : running_);
}

std::size_t apply_choice(const Choice& choice, View& view) {
  const Filter filter(choice);
  const std::size_t before = view.size();
  std::erase_if(view, [&](const auto& item) { return filter.hides(item.second); });
  drop_dangling(view);
  if (filter.hides_unconnected()) {
    const std::set<std::string> connected = connected_ids(view);
    std::erase_if(view, [&](const auto& item) {
      return !item.second.pseudo && !connected.contains(item.first);
    });
  }
  const std::size_t dropped = before - view.size();
  const std::set<std::string> connected = connected_ids(view);
  std::erase_if(view, [&](const auto& item) {
    return item.second.pseudo && !connected.contains(item.first);
  });
  return dropped;
}

}  // namespace weft::app
