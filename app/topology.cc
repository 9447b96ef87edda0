#include "app/topology.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "app/facts.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::HostReport;
using probe::ProcessFacts;

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

// The end of an edge as a node of a view; nothing if the view does not show it.
using Place = std::function<std::optional<std::string>(const Party& party)>;

Node internet(std::string_view id, std::string_view minor) {
  Node node;
  node.id = id;
  node.label = "The Internet";
  node.label_minor = minor;
  node.rank = id;
  node.shape = "cloud";
  node.pseudo = true;
  return node;
}

Node local_network() {
  Node node = internet(kLocalNetwork, "Addresses of attached networks that no agent speaks for");
  node.label = "Local network";
  return node;
}

std::optional<std::string> outside_node(const Party& party, bool is_source) {
  switch (party.kind) {
    case Party::Kind::Known:
      return std::nullopt;
    case Party::Kind::Internet:
      return std::string(is_source ? kInternetIn : kInternetOut);
    case Party::Kind::LocalNetwork:
      return std::string(kLocalNetwork);
  }
  return std::nullopt;
}

void connect(View& view, const Edges& edges, const Place& place) {
  for (Node node : {internet(kInternetIn, "Inbound connections"),
                    internet(kInternetOut, "Outbound connections"),
                    local_network()}) {
    const std::string id = node.id;
    view.emplace(id, std::move(node));
  }
  // Edges come by who asks: most of them have the client of the one before.
  const Party* client = nullptr;
  auto source = view.end();
  for (const auto& [key, facts] : edges) {
    const bool from_known = key.from.kind == Party::Kind::Known;
    const bool to_known = key.to.kind == Party::Kind::Known;
    if (client == nullptr || *client != key.from) {
      client = &key.from;
      const auto from = from_known ? place(key.from) : outside_node(key.from, true);
      source = from ? view.find(*from) : view.end();
    }
    if (source == view.end() || (!from_known && !to_known)) {
      continue;
    }
    const auto to = to_known ? place(key.to) : outside_node(key.to, false);
    if (!to || *to == source->first || !view.contains(*to)) {
      continue;
    }
    Link& link = source->second.links[*to];
    link.facts += facts;
    link.ports.insert({key.port, key.transport});
  }
}

Node uncontained(const HostReport& host) {
  Node node;
  node.id = "pseudo:uncontained:" + host.origin.to_string();
  node.label = "Uncontained";
  node.label_minor = host.host.name;
  node.rank = node.id;
  node.shape = "square";
  node.stack = true;
  node.pseudo = true;
  node.hosts.insert(host.origin);
  return node;
}

View processes_view(const Scene& scene) {
  View view;
  for (const auto& [name, host] : scene.report.hosts()) {
    for (const ProcessFacts& process : host.processes) {
      Node node = process_node(host, process);
      const std::string id = node.id;
      view.emplace(id, std::move(node));
    }
  }
  connect(view, scene.edges, [](const Party& party) -> std::optional<std::string> {
    if (party.pid == 0) {
      return std::nullopt;
    }
    return process_id(party.host, party.pid);
  });
  return view;
}

View containers_view(const Scene& scene) {
  View view;
  for (const auto& [name, host] : scene.report.hosts()) {
    Node rest = uncontained(host);
    const std::string rest_id = rest.id;
    view.emplace(rest_id, std::move(rest));
    for (const ContainerFacts& container : host.containers) {
      Node node = container_node(host, container);
      const std::string id = node.id;
      view.emplace(id, std::move(node));
    }
  }
  connect(view, scene.edges, [](const Party& party) -> std::optional<std::string> {
    if (party.container.empty()) {
      return "pseudo:uncontained:" + party.host.to_string();
    }
    return container_id(party.container);
  });
  return view;
}

View hosts_view(const Scene& scene) {
  View view;
  for (const auto& [name, host] : scene.report.hosts()) {
    Node node = host_node(host);
    const std::string id = node.id;
    view.emplace(id, std::move(node));
  }
  connect(view, scene.edges, [](const Party& party) -> std::optional<std::string> {
    return host_id(party.host);
  });
  return view;
}

View weave_view(const Scene& scene) {
  View view;
  for (const auto& [name, host] : scene.report.hosts()) {
    Node node = peer_node(host, scene.report);
    const std::string id = node.id;
    view.emplace(id, std::move(node));
  }
  for (const auto& [name, host] : scene.report.hosts()) {
    Node& node = view.at(peer_id(name));
    for (const probe::LinkFacts& link : host.overlay.links) {
      const std::string to = peer_id(PeerName(link.peer));
      const bool is_shown = link.outbound && link.state == "established" && link.peer != 0;
      if (is_shown && to != node.id && view.contains(to)) {
        node.links[to].facts += EdgeFacts{.count = 1};
      }
    }
  }
  return view;
}

// Nodes that share a key become one, with the sum of their metrics and links.
struct Group {
  std::string id;
  std::string label;
  std::string topology;  // Of its members, for the way down.
};

View grouped(const View& members,
             std::string_view plural,
             const std::function<std::optional<Group>(const Node&)>& group_of) {
  View view;
  std::map<std::string, std::string> group_of_id;
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, member] : members) {
    const auto group = member.pseudo ? std::nullopt : group_of(member);
    if (!group) {
      Node copy = member;
      copy.links.clear();
      view.emplace(id, std::move(copy));
      group_of_id.emplace(id, id);
      continue;
    }
    group_of_id.emplace(id, group->id);
    ++counts[group->id];
    add_member(view[group->id], member, group->id, group->label);
  }
  for (auto& [id, count] : counts) {
    Node& node = view.at(id);
    node.label_minor = fmt::format("{} {}{}",
                                   count,
                                   plural,
                                   count == 1            ? ""
                                   : plural == "process" ? "es"
                                                         : "s");
    node.metadata.insert(node.metadata.begin(),
                         Row{.id = "count",
                             .label = "# " + std::string(plural),
                             .value = std::to_string(count),
                             .priority = 1,
                             .type = "number"});
  }
  for (const auto& [id, member] : members) {
    for (const auto& [to, link] : member.links) {
      const std::string& from_group = group_of_id.at(id);
      const std::string& to_group = group_of_id.at(to);
      if (from_group == to_group) {
        view.at(from_group).busy = true;
      } else {
        Link& sum = view.at(from_group).links[to_group];
        sum.facts += link.facts;
        sum.ports.insert(link.ports.begin(), link.ports.end());
      }
    }
  }
  return view;
}

std::string row_value(const Node& node, std::string_view id) {
  for (const Row& row : node.metadata) {
    if (row.id == id) {
      return row.value;
    }
  }
  return "";
}

// Those that a host is attached to, and the overlay's.
std::vector<Cidr> known_subnets(const HostReport& host) {
  std::vector<Cidr> known;
  for (const Cidr& network : host.host.networks) {
    known.push_back(network.network());
  }
  if (const auto range = Cidr::parse(host.overlay.range); range.ok()) {
    known.push_back(range.value().network());
  }
  return known;
}

// The subnets of a container's addresses, as far as its host knows them.
void add_subnets(const std::vector<Cidr>& known,
                 const ContainerFacts& container,
                 std::set<Cidr>& subnets) {
  constexpr std::size_t kSubnetsMax = 16;  // To be read; a group of containers has one or two.
  for (const Ip& address : container.addresses) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const Cidr& network) {
      return network.is_v4() == address.is_v4() && network.contains(address);
    });
    if (found != known.end() && subnets.size() < kSubnetsMax) {
      subnets.insert(*found);
    }
  }
}

// Containers that are on the same networks: those of a group reach each other, and a node with
// several names stands for those that lead from one network to another.
View networks_view(const Scene& scene) {
  View view =
      grouped(containers_view(scene), "container", [](const Node& node) -> std::optional<Group> {
        const std::string names = row_value(node, "docker_container_networks");
        return Group{network_id(names), names.empty() ? "no network" : names, "containers"};
      });
  std::map<std::string, std::set<Cidr>> subnets;
  for (const auto& [name, host] : scene.report.hosts()) {
    const std::vector<Cidr> known = known_subnets(host);
    for (const ContainerFacts& container : host.containers) {
      add_subnets(known, container, subnets[network_id(network_names(container))]);
    }
  }
  for (const auto& [id, of_group] : subnets) {
    std::string text;
    for (const Cidr& subnet : of_group) {
      text += (text.empty() ? "" : ", ") + subnet.to_string();
    }
    // Of two containers of one id on two hosts only one is shown.
    if (const auto node = view.find(id); node != view.end() && !text.empty()) {
      node->second.metadata.push_back(
          {.id = "weft_subnets", .label = "Subnets", .value = text, .priority = 2});
    }
  }
  return view;
}

bool is_hidden(const Choice& choice, const Node& node) {
  const auto chosen = [&](std::string_view group) {
    const auto found = choice.find(group);
    return found == choice.end() ? std::string_view() : std::string_view(found->second);
  };
  const bool is_uncontained = node.id.starts_with("pseudo:uncontained:");
  if (is_uncontained) {
    return chosen("pseudo") == "hide";
  }
  if (node.pseudo) {
    return false;
  }
  return (chosen("system") == "system" && !node.system)
         || (chosen("system") == "application" && node.system)
         || (chosen("stopped") == "running" && node.stopped)
         || (chosen("stopped") == "stopped" && !node.stopped);
}

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

View render_view(TopologyId topology, const Scene& scene) {
  switch (topology) {
    case Processes:
      return processes_view(scene);
    case ProcessesByName:
      return grouped(processes_view(scene), "process", [](const Node& node) {
        return std::optional(Group{node.label, node.label, "processes"});
      });
    case Containers:
      return containers_view(scene);
    case ContainersByHostname:
      return grouped(containers_view(scene), "container", [](const Node& node) {
        const std::string name = row_value(node, "docker_container_hostname");
        return std::optional(Group{
            name.empty() ? node.label : name, name.empty() ? node.label : name, "containers"});
      });
    case ContainersByImage:
      return grouped(
          containers_view(scene), "container", [](const Node& node) -> std::optional<Group> {
            const std::string name = row_value(node, "docker_image_name");
            return Group{image_id(name), name.empty() ? "unknown image" : name, "containers"};
          });
    case ContainersByNetwork:
      return networks_view(scene);
    case Pods:
    case SwarmServices:
    case EcsTasks:
      return {};
    case Hosts:
      return hosts_view(scene);
    case Weave:
      return weave_view(scene);
  }
  return {};
}

std::size_t apply_choice(const Choice& choice, View& view) {
  const std::size_t before = view.size();
  std::erase_if(view, [&](const auto& item) { return is_hidden(choice, item.second); });
  drop_dangling(view);
  const auto unconnected = choice.find("unconnected");
  if (unconnected != choice.end() && unconnected->second == "hide") {
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
