// Who sends which copy of a flood: to each target exactly one, along the mesh's shortest paths
// where there are many. Pure.
//
// Up to `straight_max` targets get their copies from here. More are handed to the next hops on the
// ways to them, each with the list of those behind it, which it splits again in the same manner:
// together that is the shortest-path tree of the origin. As lists never overlap, nobody gets two
// copies, whatever the hosts believe of the mesh at that moment.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "router/datapath/paths.h"

namespace weft::router {

struct FloodPlan {
  std::vector<PeerName> straight;                     // A copy each.
  std::map<PeerName, std::vector<PeerName>> through;  // One copy with a list, to each of these.
};

struct FloodView {
  // How frames to a peer travel; nothing: it is not known here.
  std::function<std::optional<Path>(PeerName peer)> path;
  // The neighbour on the quickest way to it, if the mesh knows one.
  std::function<std::optional<PeerName>(PeerName peer)> next_hop;
};

FloodPlan plan_flood(const std::vector<PeerName>& targets,
                     const FloodView& view,
                     std::size_t straight_max);

}  // namespace weft::router
