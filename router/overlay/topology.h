// Who can be reached, over which neighbour, and along which tree a broadcast travels: shortest
// paths (Dijkstra) over the links that both ends list, weighted with their latency.
//
// Every peer computes this from the same Links records, and a link costs the same in both
// directions. A next hop is therefore always strictly nearer to the destination: once the records
// agree, paths have no loops; before, the hop limit ends them.
//
// Pure; lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_name.h"

namespace weft::router {

// What everybody says of its links, put together once per computation and thrown away: the records
// are the only place where it is kept.
class LinkGraph {
 public:
  struct Edge {
    PeerName to;
    std::uint32_t cost = 0;  // Microseconds, at least 1.
  };

  // Peers in ascending order, each once. What a peer says of itself is skipped.
  void add(PeerName peer, const std::vector<Edge>& edges);

  // From `root` to everybody over the links that both ends list. A link of `root` itself counts
  // before the other end lists it if `trust_root`: we know of our own links first.
  struct Path {
    std::uint64_t distance = 0;    // Microseconds; meaningless if not reached.
    std::uint32_t parent = kNone;  // The peer before it on the way from the root.
    std::uint32_t first = kNone;   // The root's neighbour the way starts with.
  };
  static constexpr std::uint32_t kNone = UINT32_MAX;
  enum class RootLinks : std::uint8_t { AsStated, AsListedByBoth };
  std::vector<Path> paths_from(PeerName root, RootLinks rule);

  // True if both ends list the link. Precondition: paths_from() was called.
  bool is_mutual(PeerName one, PeerName other) const;

  const std::vector<PeerName>& peers() const { return peers_; }
  // kNone if it is not in the graph. Precondition: paths_from() was called.
  std::uint32_t index_of(PeerName peer) const;

 private:
  struct Arc {
    std::uint32_t to = 0;
    std::uint32_t cost = 0;
    bool mutual = false;
  };
  void resolve();
  void index_names();
  std::size_t slot_of(PeerName peer) const;

  std::vector<PeerName> peers_;
  // Where each name is: an open hash table, at most half full. Every link of everybody is looked up
  // once per computation.
  std::vector<std::uint32_t> slots_;
  unsigned slot_shift_ = 0;
  std::vector<std::uint32_t> starts_;  // Of each peer's arcs; one more than peers once resolved.
  std::vector<Edge> edges_;
  std::vector<Arc> arcs_;
  bool resolved_ = false;
};

// A broadcast of `origin` reaches every peer exactly once if each passes it to its children and
// takes it from its parent only.
struct BroadcastTree {
  std::optional<PeerName> parent;  // Nothing at the origin, and where it cannot be reached.
  std::vector<PeerName> children;  // Ascending.

  friend bool operator==(const BroadcastTree&, const BroadcastTree&) = default;
};
BroadcastTree broadcast_tree(LinkGraph& graph, PeerName origin, PeerName self);

class Topology {
 public:
  explicit Topology(PeerName self) : self_(self) {}

  struct Changes {
    std::vector<PeerName> reachable;
    std::vector<PeerName> unreachable;

    friend bool operator==(const Changes&, const Changes&) = default;
  };
  // Recomputes the routes. Everything below answers as of the last call. `graph` holds our own
  // links under our name.
  Changes update(LinkGraph& graph);

  bool reachable(PeerName peer) const { return find(peer) != nullptr; }
  std::optional<PeerName> next_hop(PeerName peer) const;
  // Microseconds, one way and back, as the links on the way say.
  std::optional<std::uint64_t> distance(PeerName peer) const;
  std::optional<PeerName> first_reachable() const;  // The lowest name.
  std::size_t reachable_count() const { return routes_.size(); }
  std::vector<PeerName> reachable_peers() const;  // Ascending.

  void check_invariants() const;

 private:
  struct Route {
    PeerName to;
    std::uint32_t distance = 0;
    std::uint16_t hop = 0;  // Index into hops_.
  };
  const Route* find(PeerName peer) const;

  PeerName self_;
  std::vector<PeerName> hops_;
  std::vector<Route> routes_;  // Ascending; ourselves excepted.
};

}  // namespace weft::router
