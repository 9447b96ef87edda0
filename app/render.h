// Views as the JSON that Weave Scope's clients read (docs/adr/0015). Pure.
//
// What Scope does not have is added under names it does not use: "edges" (what each adjacency
// carries) and "stale" (seconds since the host spoke).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "app/picture/summary.h"
#include "app/topology.h"
#include "app/view.h"

namespace weft::app {

// The JSON of a node with what is around it: children, connections. `view` is the one it is from.
std::string details_text(const Node& node,
                         TopologyId topology,
                         const View& view,
                         const Scene& scene,
                         const Staleness& staleness);

struct ViewStats {
  std::size_t node_count = 0;
  std::size_t nonpseudo_node_count = 0;
  std::size_t edge_count = 0;
  std::size_t filtered_nodes = 0;

  friend bool operator==(const ViewStats&, const ViewStats&) = default;
};
ViewStats stats_of(const View& view, std::size_t filtered);

// The menu: an array of topologies with their options, sub-topologies and counts.
boost::json::array topologies_json(const std::function<ViewStats(const TopologySpec&)>& stats);

using Rendered = std::map<std::string, std::string>;  // Id → summary as JSON.
// What is otherwise in a rendering: summaries, and ids of nodes that are gone.
struct Delta {
  std::vector<std::string_view> added{};
  std::vector<std::string_view> updated{};
  std::vector<std::string> removed{};

  bool empty() const { return added.empty() && updated.empty() && removed.empty(); }
};

// Frames of the WebSocket.
std::string reset_frame(const Rendered& view);
// Empty `add`, `update` and `remove` are null, which tells "nothing changed, still alive".
std::string delta_frame(const Delta& delta);

}  // namespace weft::app
