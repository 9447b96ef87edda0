// Views as the JSON that Weave Scope's clients read (docs/adr/0015). Pure.
//
// What Scope does not have is added under names it does not use: "edges" (what each adjacency
// carries), "stale" (seconds since the host spoke) and, in frames, "loading".
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "app/picture/summary.h"
#include "app/picture/view_book.h"
#include "app/topology.h"
#include "app/view.h"

namespace weft::app {

// The JSON of a node with what is around it: its children (Children::text()), connections. `view`
// is the one it is from.
std::string details_text(const Node& node,
                         TopologyId topology,
                         const ViewBook& view,
                         std::string_view children,
                         const Staleness& staleness);

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

// How much of a view there is while it is being made: hosts whose nodes are in it.
struct Loading {
  std::size_t hosts = 0;
  std::size_t of = 0;
};

// Frames of the WebSocket.
std::string reset_frame(const Rendered& view, const std::optional<Loading>& loading = {});
// Empty `add`, `update` and `remove` are null, which tells "nothing changed, still alive".
std::string delta_frame(const Delta& delta, const std::optional<Loading>& loading = {});

}  // namespace weft::app
