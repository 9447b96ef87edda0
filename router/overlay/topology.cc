#include "router/overlay/topology.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "base/assert.h"

namespace weft::router {
namespace {

// A step of Dijkstra's queue is one number, which compares as fast as one: the distance, of which
// 2^40 microseconds (twelve days) are enough, then the peer.
constexpr unsigned kPeerBits = 24;
constexpr std::uint64_t kPeerMask = (std::uint64_t{1} << kPeerBits) - 1;
constexpr std::uint64_t kWayMax = (std::uint64_t{1} << (64 - kPeerBits)) - 1;

}  // namespace

void LinkGraph::add(PeerName peer, const std::vector<Edge>& edges) {
  WEFT_ASSERT(!resolved_);
  WEFT_ASSERT(peers_.empty() || peers_.back() < peer);
  WEFT_ASSERT(peers_.size() < kPeerMask);
  peers_.push_back(peer);
  starts_.push_back(static_cast<std::uint32_t>(edges_.size()));
  for (const Edge& edge : edges) {
    if (edge.to != peer) {
      edges_.push_back(edge);
    }
  }
}

void LinkGraph::index_names() {
  const auto bits = static_cast<unsigned>(std::bit_width(peers_.size() + 1)) + 1;
  slot_shift_ = 64 - bits;
  slots_.assign(std::size_t{1} << bits, kNone);
  for (std::uint32_t peer = 0; peer < peers_.size(); ++peer) {
    slots_[slot_of(peers_[peer])] = peer;
  }
}

// Of the name, or where it would be. Multiplicative hashing (Knuth, volume 3, 6.4) and linear
// probing: whoever makes up names to collide makes a computation slower and nothing else.
std::size_t LinkGraph::slot_of(PeerName peer) const {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;  // 2^64 over the golden ratio.
  std::size_t slot = (peer.number() * kGolden) >> slot_shift_;
  while (slots_[slot] != kNone && peers_[slots_[slot]] != peer) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

std::uint32_t LinkGraph::index_of(PeerName peer) const {
  WEFT_ASSERT(resolved_);
  return slots_[slot_of(peer)];
}

// Names become indices; a link costs what the slower end measured.
void LinkGraph::resolve() {
  if (resolved_) {
    return;
  }
  resolved_ = true;
  index_names();
  starts_.push_back(static_cast<std::uint32_t>(edges_.size()));
  arcs_.reserve(edges_.size());
  for (const Edge& edge : edges_) {
    arcs_.push_back({index_of(edge.to), std::max(edge.cost, 1U), false});
  }
  edges_ = {};
  for (std::uint32_t from = 0; from < peers_.size(); ++from) {
    for (std::uint32_t at = starts_[from]; at < starts_[from + 1]; ++at) {
      Arc& arc = arcs_[at];
      if (arc.to == kNone || arc.mutual) {
        continue;
      }
      for (std::uint32_t back = starts_[arc.to]; back < starts_[arc.to + 1]; ++back) {
        if (arcs_[back].to == from) {
          arc.mutual = arcs_[back].mutual = true;
          arc.cost = arcs_[back].cost = std::max(arc.cost, arcs_[back].cost);
          break;
        }
      }
    }
  }
}

bool LinkGraph::is_mutual(PeerName one, PeerName other) const {
  WEFT_ASSERT(resolved_);
  const std::uint32_t from = index_of(one);
  const std::uint32_t to = index_of(other);
  return from != kNone && to != kNone
         && std::any_of(arcs_.begin() + starts_[from],
                        arcs_.begin() + starts_[from + 1],
                        [to](const Arc& arc) { return arc.to == to && arc.mutual; });
}

std::vector<LinkGraph::Path> LinkGraph::paths_from(PeerName root, RootLinks rule) {
  resolve();
  std::vector<Path> paths(peers_.size(),
                          Path{.distance = std::numeric_limits<std::uint64_t>::max()});
  const std::uint32_t start = index_of(root);
  if (start == kNone) {
    return paths;
  }
  // Of two equal ways the one over the lower name, so that everybody draws the same tree.
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue;
  paths[start] = {.distance = 0, .parent = start, .first = kNone};
  queue.push(start);
  while (!queue.empty()) {
    const std::uint64_t distance = queue.top() >> kPeerBits;
    const auto at = static_cast<std::uint32_t>(queue.top() & kPeerMask);
    queue.pop();
    if (distance > paths[at].distance) {
      continue;
    }
    const bool stated = at == start && rule == RootLinks::AsStated;
    for (std::uint32_t index = starts_[at]; index < starts_[at + 1]; ++index) {
      const Arc& arc = arcs_[index];
      if (arc.to == kNone || !(arc.mutual || stated)) {
        continue;
      }
      Path& path = paths[arc.to];
      const std::uint64_t way = std::min(distance + arc.cost, kWayMax);
      if (way < path.distance) {
        path = {way, at, at == start ? arc.to : paths[at].first};
        queue.push((way << kPeerBits) | arc.to);
      } else if (way == path.distance && arc.to != start && at < path.parent) {
        path.parent = at;
        path.first = at == start ? arc.to : paths[at].first;
      }
    }
  }
  return paths;
}

BroadcastTree broadcast_tree(LinkGraph& graph, PeerName origin, PeerName self) {
  BroadcastTree tree;
  const auto paths = graph.paths_from(origin, LinkGraph::RootLinks::AsListedByBoth);
  const std::uint32_t here = graph.index_of(self);
  if (here == LinkGraph::kNone || paths[here].parent == LinkGraph::kNone) {
    return tree;
  }
  if (origin != self) {
    tree.parent = graph.peers()[paths[here].parent];
  }
  for (std::uint32_t peer = 0; peer < paths.size(); ++peer) {
    if (peer != here && paths[peer].parent == here) {
      tree.children.push_back(graph.peers()[peer]);
    }
  }
  return tree;
}

Topology::Changes Topology::update(LinkGraph& graph) {
  const auto paths = graph.paths_from(self_, LinkGraph::RootLinks::AsStated);
  const std::vector<PeerName>& peers = graph.peers();
  std::vector<PeerName> hops;
  std::vector<Route> routes;
  Changes changes;
  auto old = routes_.begin();
  const auto gone_below = [&](PeerName peer) {
    for (; old != routes_.end() && old->to < peer; ++old) {
      changes.unreachable.push_back(old->to);
    }
  };
  routes.reserve(peers.size());
  for (std::uint32_t peer = 0; peer < peers.size(); ++peer) {
    if (paths[peer].parent == LinkGraph::kNone || peers[peer] == self_) {
      continue;
    }
    const PeerName hop = peers[paths[peer].first];
    auto at = std::find(hops.begin(), hops.end(), hop);
    if (at == hops.end()) {
      at = hops.insert(hops.end(), hop);
    }
    const auto distance = std::min<std::uint64_t>(paths[peer].distance, UINT32_MAX);
    routes.push_back({peers[peer],
                      static_cast<std::uint32_t>(distance),
                      static_cast<std::uint16_t>(at - hops.begin())});
    gone_below(peers[peer]);
    if (old != routes_.end() && old->to == peers[peer]) {
      ++old;
    } else {
      changes.reachable.push_back(peers[peer]);
    }
  }
  for (; old != routes_.end(); ++old) {
    changes.unreachable.push_back(old->to);
  }
  hops_ = std::move(hops);
  routes_ = std::move(routes);
  routes_.shrink_to_fit();
  return changes;
}

const Topology::Route* Topology::find(PeerName peer) const {
  const auto at =
      std::lower_bound(routes_.begin(), routes_.end(), peer, [](const Route& route, PeerName name) {
        return route.to < name;
      });
  return at == routes_.end() || at->to != peer ? nullptr : &*at;
}

std::optional<PeerName> Topology::next_hop(PeerName peer) const {
  const Route* route = find(peer);
  return route == nullptr ? std::nullopt : std::optional(hops_[route->hop]);
}

std::optional<std::uint64_t> Topology::distance(PeerName peer) const {
  const Route* route = find(peer);
  return route == nullptr ? std::nullopt : std::optional<std::uint64_t>(route->distance);
}

std::optional<PeerName> Topology::first_reachable() const {
  return routes_.empty() ? std::nullopt : std::optional(routes_.front().to);
}

std::vector<PeerName> Topology::reachable_peers() const {
  std::vector<PeerName> peers;
  peers.reserve(routes_.size());
  for (const Route& route : routes_) {
    peers.push_back(route.to);
  }
  return peers;
}

void Topology::check_invariants() const {
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    WEFT_ASSERT(routes_[i].to != self_);
    WEFT_ASSERT(routes_[i].hop < hops_.size());
    WEFT_ASSERT(i == 0 || routes_[i - 1].to < routes_[i].to);
  }
}

}  // namespace weft::router
