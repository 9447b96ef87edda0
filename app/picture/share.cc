#include "app/picture/share.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "app/facts.h"
#include "base/assert.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::HostReport;
using probe::ProcessFacts;
using probe::Report;

constexpr std::size_t kSubnetsMax = 16;  // To be read; a group of containers has one or two.

// Names below these are services of Amazon, Google and Microsoft, as Weave Scope has them (its
// matchers of known services), but for virtual machines that anybody rents there.
constexpr std::array<std::string_view, 8> kProviders{".amazonaws.com",
                                                     ".googleapis.com",
                                                     ".core.windows.net",
                                                     ".servicebus.windows.net",
                                                     ".azure-api.net",
                                                     ".search.windows.net",
                                                     ".cloudapp.azure.com",
                                                     ".database.windows.net"};
constexpr std::string_view kMachines = "ec2-";
constexpr std::string_view kServicePrefix = "service-";

bool is_service_name(std::string_view name) {
  return !name.starts_with(kMachines)
         && std::any_of(kProviders.begin(), kProviders.end(), [&](std::string_view provider) {
              return name.size() > provider.size() && name.ends_with(provider);
            });
}

// Somebody may call a container or a program like that: then it has no place in such a view.
bool is_service_id(std::string_view id) {
  return id.starts_with(kServicePrefix) && is_service_name(id.substr(kServicePrefix.size()));
}

// What stands for several nodes.
struct Group {
  std::string id;
  std::string label;
};

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

// What else is on a host: processes in no container, or containers of no service.
Node rest_of(const HostReport& host, std::string_view id, std::string_view label) {
  Node node;
  node.id = std::string(id) + host.origin.to_string();
  node.label = label;
  node.label_minor = host.host.name;
  node.rank = node.id;
  node.shape = "square";
  node.stack = true;
  node.pseudo = true;
  node.hosts.insert(host.origin);
  return node;
}

void add_node(Share& share, Seat seat, Node node) {
  std::string id = node.id;
  share.pieces.try_emplace(id, Share::Piece{.node = std::move(node)});
  share.places.try_emplace(std::move(seat), std::move(id));
}

Share::Piece& add_to_group(Share& share, Seat seat, const Node& member, const Group& group) {
  Share::Piece& piece = share.pieces[group.id];
  add_member(piece.node, member, group.id, group.label);
  ++piece.members;
  share.places.try_emplace(std::move(seat), group.id);
  return piece;
}

Share processes_share(const HostReport& host, bool by_name) {
  Share share;
  for (const ProcessFacts& process : host.processes) {
    Node node = process_node(host, process);
    Seat seat("", process.pid);
    if (by_name) {
      (void)add_to_group(share, std::move(seat), node, {.id = node.label, .label = node.label});
    } else {
      add_node(share, std::move(seat), std::move(node));
    }
  }
  return share;
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
  for (const Ip& address : container.addresses) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const Cidr& network) {
      return network.is_v4() == address.is_v4() && network.contains(address);
    });
    if (found != known.end() && subnets.size() < kSubnetsMax) {
      subnets.insert(*found);
    }
  }
}

Group group_of(TopologyId topology, const Node& node, const ContainerFacts& container) {
  if (topology == TopologyId::ContainersByHostname) {
    const std::string& name = container.hostname.empty() ? node.label : container.hostname;
    return {.id = name, .label = name};
  }
  if (topology == TopologyId::ContainersByImage) {
    const std::string name = image_name(container.image);
    return {.id = image_id(name), .label = name.empty() ? "unknown image" : name};
  }
  // Containers that are on the same networks: those of a group reach each other, and a node with
  // several names stands for those that lead from one network to another.
  const std::string names = network_names(container);
  return {.id = network_id(names), .label = names.empty() ? "no network" : names};
}

// The containers of swarm services. Of a host that has any, the others and what is in none are one
// more node; a host without has no place here.
Share services_share(const HostReport& host) {
  Share share;
  const auto is_task = [](const ContainerFacts& container) {
    return service_of(container).has_value();
  };
  if (std::none_of(host.containers.begin(), host.containers.end(), is_task)) {
    return share;
  }
  Node rest = rest_of(host, kUnmanagedContainers, "Unmanaged");
  const std::string rest_id = rest.id;
  add_node(share, {}, std::move(rest));
  for (const ContainerFacts& container : host.containers) {
    const auto service = service_of(container);
    if (!service) {
      share.places.emplace(Seat(container.id, 0), rest_id);
      continue;
    }
    Share::Piece& piece = add_to_group(share,
                                       {container.id, 0},
                                       container_node(host, container),
                                       {.id = service->id, .label = service->label});
    piece.node.rank = service->stack.empty() ? service->label : service->stack;
    piece.node.shape = "heptagon";
  }
  return share;
}

Share containers_share(TopologyId topology, const HostReport& host) {
  Share share;
  add_node(share, {}, rest_of(host, kUncontained, "Uncontained"));
  const std::vector<Cidr> known = known_subnets(host);
  for (const ContainerFacts& container : host.containers) {
    Node node = container_node(host, container);
    if (topology == TopologyId::Containers) {
      add_node(share, {container.id, 0}, std::move(node));
      continue;
    }
    Share::Piece& piece =
        add_to_group(share, {container.id, 0}, node, group_of(topology, node, container));
    if (topology == TopologyId::ContainersByNetwork) {
      add_subnets(known, container, piece.subnets);
    }
  }
  return share;
}

EdgeFacts carried_to(const HostReport& host, PeerName peer) {
  const auto path = std::find_if(host.overlay.paths.begin(),
                                 host.overlay.paths.end(),
                                 [peer](const probe::PathFacts& one) { return one.peer == peer; });
  EdgeFacts facts = path == host.overlay.paths.end() ? EdgeFacts() : path->carried;
  facts.count = 1;
  facts.rtt_us = path == host.overlay.paths.end() ? 0 : path->rtt_us;
  return facts;
}

Share peer_share(const HostReport& host, const Report& all) {
  Node node = peer_node(host, all);
  for (const probe::LinkFacts& link : host.overlay.links) {
    const bool is_shown = link.outbound && link.state == "established"
                          && link.peer != host.origin.number()
                          && all.find(PeerName(link.peer)) != nullptr;
    if (is_shown) {
      node.links[peer_id(PeerName(link.peer))].facts += carried_to(host, PeerName(link.peer));
    }
  }
  Share share;
  add_node(share, {}, std::move(node));
  return share;
}

std::string_view plural(TopologyId topology, std::size_t count) {
  if (topology == TopologyId::ProcessesByName) {
    return count == 1 ? "process" : "processes";
  }
  return count == 1 ? "container" : "containers";
}

void tell_members(TopologyId topology, std::size_t count, Node& node) {
  node.label_minor = fmt::format("{} {}", count, plural(topology, count));
  node.metadata.insert(
      node.metadata.begin(),
      Row{.id = "count",
          .label = topology == TopologyId::ProcessesByName ? "# process" : "# container",
          .value = std::to_string(count),
          .priority = 1,
          .type = "number"});
}

void tell_subnets(const std::set<Cidr>& subnets, Node& node) {
  std::string text;
  for (const Cidr& subnet : subnets) {
    text += (text.empty() ? "" : ", ") + subnet.to_string();
  }
  if (!text.empty()) {
    node.metadata.push_back(
        {.id = "weft_subnets", .label = "Subnets", .value = text, .priority = 2});
  }
}

Share whole_share(TopologyId topology, const HostReport& host, const Report& all) {
  using enum TopologyId;
  switch (topology) {
    case Processes:
      return processes_share(host, false);
    case ProcessesByName:
      return processes_share(host, true);
    case Containers:
    case ContainersByHostname:
    case ContainersByImage:
    case ContainersByNetwork:
      return containers_share(topology, host);
    case Hosts: {
      Share share;
      add_node(share, {}, host_node(host));
      return share;
    }
    case Weave:
      return peer_share(host, all);
    case SwarmServices:
      return services_share(host);
    case Pods:
    case EcsTasks:
      break;
  }
  return {};
}

}  // namespace

Share share_of(TopologyId topology, const HostReport& host, const Report& all) {
  Share share = whole_share(topology, host, all);
  std::erase_if(share.pieces, [](const auto& item) { return is_service_id(item.first); });
  std::erase_if(share.places, [](const auto& item) { return is_service_id(item.second); });
  return share;
}

std::optional<Seat> seat_of(TopologyId topology, const Party& party) {
  using enum TopologyId;
  switch (topology) {
    case Processes:
    case ProcessesByName:
      return party.pid == 0 ? std::nullopt : std::optional(Seat("", party.pid));
    case Containers:
    case ContainersByHostname:
    case ContainersByImage:
    case ContainersByNetwork:
    case SwarmServices:
      return Seat(party.container, 0);
    case Hosts:
      return Seat("", 0);
    case Weave:
    case Pods:
    case EcsTasks:
      break;
  }
  return std::nullopt;
}

Node join(TopologyId topology, const std::map<PeerName, Share::Piece>& pieces) {
  WEFT_ASSERT(!pieces.empty());
  const Share::Piece& first = pieces.begin()->second;
  if (first.members == 0) {
    return first.node;
  }
  Node node;
  std::size_t count = 0;
  std::set<Cidr> subnets;
  for (const auto& [host, piece] : pieces) {
    add_member(node, piece.node, first.node.id, first.node.label);
    count += piece.members;
    for (const Cidr& subnet : piece.subnets) {
      if (subnets.size() < kSubnetsMax) {
        subnets.insert(subnet);
      }
    }
  }
  tell_members(topology, count, node);
  tell_subnets(subnets, node);
  return node;
}

bool is_grouped(TopologyId topology) {
  using enum TopologyId;
  return topology == ProcessesByName || topology == ContainersByHostname
         || topology == ContainersByImage || topology == ContainersByNetwork
         || topology == SwarmServices;
}

bool shows_connections(TopologyId topology) {
  using enum TopologyId;
  return topology != Weave && topology != Pods && topology != EcsTasks;
}

std::map<std::string, Node> outside_nodes() {
  std::map<std::string, Node> nodes;
  for (Node node : {internet(kInternetIn, "Inbound connections"),
                    internet(kInternetOut, "Outbound connections"),
                    local_network()}) {
    std::string id = node.id;
    nodes.emplace(std::move(id), std::move(node));
  }
  return nodes;
}

bool is_service(const Party& party) {
  return party.kind == Party::Kind::Internet && is_service_name(party.name);
}

std::string service_id(const Party& party) {
  return std::string(kServicePrefix) + party.name;
}

Node service_node(const Party& party) {
  Node node = internet(service_id(party), "");
  node.label = party.name;
  return node;
}

std::string_view outside_id(Party::Kind kind, bool is_client) {
  WEFT_ASSERT(kind != Party::Kind::Known);
  if (kind == Party::Kind::LocalNetwork) {
    return kLocalNetwork;
  }
  return is_client ? kInternetIn : kInternetOut;
}

}  // namespace weft::app
