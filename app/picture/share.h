// What one host adds to a topology: its nodes, or its part of nodes that stand for many, and which
// of them stand for the ends of its connections. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "app/topology.h"
#include "app/view.h"
#include "probe/report/report.h"

namespace weft::app {

// What a topology tells a host's parties apart by: container and process, or neither.
using Seat = std::pair<std::string, std::uint32_t>;

struct Share {
  // Of a node, which other hosts may have pieces of.
  struct Piece {
    Node node;                 // But for what follows from the number of its members.
    std::size_t members = 0;   // If the topology groups.
    std::set<Cidr> subnets{};  // Of networks: those of its members' addresses.

    friend bool operator==(const Piece&, const Piece&) = default;
  };
  std::map<std::string, Piece> pieces;  // By the node's id.
  std::map<Seat, std::string> places;   // Ids of nodes.
};

Share share_of(TopologyId topology, const probe::HostReport& host, const probe::Report& all);
// Nothing if the topology does not show such a party. Precondition: it is a known one.
std::optional<Seat> seat_of(TopologyId topology, const Party& party);

// The node that the pieces of all hosts make, which come by host. Without links, unless a piece has
// them. Precondition: there is one.
Node join(TopologyId topology, const std::map<PeerName, Share::Piece>& pieces);

// Whether nodes stand for several of another topology.
bool is_grouped(TopologyId topology);
// Whether what is said of connections makes links, and the nodes for those without a host.
bool shows_connections(TopologyId topology);
// The Internet, as client and as server, and local networks.
std::map<std::string, Node> outside_nodes();
std::string_view outside_id(Party::Kind kind, bool is_client);

// What is asked of well-known providers has nodes of its own, by name; the rest of the Internet is
// one. No piece of a host has such an id.
bool is_service(const Party& party);
std::string service_id(const Party& party);
Node service_node(const Party& party);

}  // namespace weft::app
