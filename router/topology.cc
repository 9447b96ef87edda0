#include "router/topology.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/assert.h"

namespace weft::router {

bool Topology::add_link(PeerName neighbour) {
  WEFT_ASSERT(neighbour != self_);
  return links_.insert(neighbour).second;
}

bool Topology::remove_link(PeerName neighbour) {
  return links_.erase(neighbour) > 0;
}

bool Topology::set_neighbours(PeerName peer, const std::set<PeerName>& neighbours) {
  WEFT_ASSERT(peer != self_);
  auto [at, added] = stated_.try_emplace(peer);
  std::vector<PeerName> sorted(neighbours.begin(), neighbours.end());
  if (!added && at->second == sorted) {
    return false;
  }
  at->second = std::move(sorted);
  return true;
}

bool Topology::remove(PeerName peer) {
  return stated_.erase(peer) > 0;
}

Topology::Changes Topology::update() {
  std::map<PeerName, PeerName> next_hops;
  std::deque<PeerName> queue;
  for (const PeerName link : links_) {
    next_hops.emplace(link, link);
    queue.push_back(link);
  }
  while (!queue.empty()) {
    const PeerName peer = queue.front();
    queue.pop_front();
    const auto stated = stated_.find(peer);
    if (stated == stated_.end()) {
      continue;
    }
    const PeerName hop = next_hops.at(peer);
    for (const PeerName neighbour : stated->second) {
      if (neighbour == self_ || next_hops.contains(neighbour) || !lists(neighbour, peer)) {
        continue;
      }
      next_hops.emplace(neighbour, hop);
      queue.push_back(neighbour);
    }
  }

  Changes changes;
  for (const auto& [peer, hop] : next_hops) {
    if (!next_hops_.contains(peer)) {
      changes.reachable.push_back(peer);
    }
  }
  for (const auto& [peer, hop] : next_hops_) {
    if (!next_hops.contains(peer)) {
      changes.unreachable.push_back(peer);
    }
  }
  next_hops_ = std::move(next_hops);
  return changes;
}

std::optional<PeerName> Topology::next_hop(PeerName peer) const {
  const auto at = next_hops_.find(peer);
  return at == next_hops_.end() ? std::nullopt : std::optional(at->second);
}

bool Topology::lists(PeerName peer, PeerName neighbour) const {
  if (peer == self_) {
    return links_.contains(neighbour);
  }
  const auto at = stated_.find(peer);
  return at != stated_.end() && std::binary_search(at->second.begin(), at->second.end(), neighbour);
}

void Topology::check_invariants() const {
  WEFT_ASSERT(!links_.contains(self_));
  WEFT_ASSERT(!stated_.contains(self_));
  WEFT_ASSERT(!next_hops_.contains(self_));
}

}  // namespace weft::router
