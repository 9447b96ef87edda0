#include "app/topology.h"

#include <algorithm>
#include <array>

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
constexpr std::array kUnmanaged{OptionValue{"show", "Show unmanaged"},
                                OptionValue{"hide", "Hide unmanaged"}};
constexpr std::array kProcessOptions{OptionGroup{"unconnected", "hide", kUnconnected}};
constexpr std::array kContainerOptions{OptionGroup{"system", "application", kSystem},
                                       OptionGroup{"stopped", "running", kStopped},
                                       OptionGroup{"pseudo", "hide", kPseudo}};
constexpr std::array kServiceOptions{OptionGroup{"pseudo", "hide", kUnmanaged}};

using enum TopologyId;
constexpr std::array kTopologies{
    TopologySpec{Processes, "processes", "Processes", "", 1, true, kProcessOptions},
    TopologySpec{
        ProcessesByName, "processes-by-name", "by name", "processes", 1, true, kProcessOptions},
    TopologySpec{Containers, "containers", "Containers", "", 2, false, kContainerOptions, true},
    TopologySpec{ContainersByHostname,
                 "containers-by-hostname",
                 "by DNS name",
                 "containers",
                 2,
                 false,
                 kContainerOptions,
                 true},
    TopologySpec{ContainersByImage,
                 "containers-by-image",
                 "by image",
                 "containers",
                 2,
                 false,
                 kContainerOptions,
                 true},
    TopologySpec{ContainersByNetwork,
                 "containers-by-network",
                 "by network",
                 "containers",
                 2,
                 false,
                 kContainerOptions,
                 true},
    TopologySpec{Pods, "pods", "Pods", "", 3, true, {}},
    TopologySpec{EcsTasks, "ecs-tasks", "Tasks", "", 3, true, {}},
    TopologySpec{SwarmServices, "swarm-services", "Services", "", 3, true, kServiceOptions, true},
    TopologySpec{Hosts, "hosts", "Hosts", "", 4, false, {}},
    TopologySpec{Weave, "weave", "Weave Net", "hosts", 4, false, {}},
};

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

std::string_view path_of(TopologyId topology) {
  const auto* found = std::find_if(kTopologies.begin(),
                                   kTopologies.end(),
                                   [&](const TopologySpec& spec) { return spec.id == topology; });
  return found == kTopologies.end() ? "" : found->path;
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
  const auto stacks = choice.find(kStackGroup);
  std::string_view left = stacks == choice.end() ? std::string_view() : stacks->second;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find(','), left.size());
    if (end > 0) {
      stacks_.emplace(left.substr(0, end));
    }
    left.remove_prefix(std::min(left.size(), end + 1));
  }
}

bool Filter::hides(const Node& node) const {
  if (node.pseudo) {
    return uncontained_
           && (node.id.starts_with(kUncontained) || node.id.starts_with(kUnmanagedContainers));
  }
  const bool is_elsewhere =
      !stacks_.empty()
      && std::none_of(node.stacks.begin(), node.stacks.end(), [this](const std::string& stack) {
           return stacks_.contains(stack);
         });
  if (is_elsewhere) {
    return true;
  }
  return (node.system ? system_ : applications_) || (node.stopped ? stopped_ : running_);
}

// Scope's rule: without any query no option filters; with one, groups that are not named take their
// defaults, and a value that does not exist switches its group off. Which stacks there are is a
// matter of what runs.
Choice choice_of(const TopologySpec& spec, const Choice& query) {
  Choice choice;
  if (query.empty()) {
    return choice;
  }
  for (const OptionGroup& group : spec.options) {
    const auto asked = query.find(group.id);
    const std::string_view value =
        asked == query.end() ? group.fallback : std::string_view(asked->second);
    const bool is_known =
        std::any_of(group.values.begin(), group.values.end(), [&](const OptionValue& known) {
          return known.value == value;
        });
    if (is_known) {
      choice.emplace(group.id, value);
    }
  }
  const auto stacks = query.find(kStackGroup);
  if (spec.has_stacks && stacks != query.end() && !stacks->second.empty()) {
    choice.emplace(*stacks);
  }
  return choice;
}

}  // namespace weft::app
