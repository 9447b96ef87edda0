#include "router/datapath/flood_plan.h"

namespace weft::router {
namespace {

bool is_straight(const std::optional<Path>& path) {
  return path && path->way != Way::Relay;
}

}  // namespace

FloodPlan plan_flood(const std::vector<PeerName>& targets,
                     const FloodView& view,
                     std::size_t straight_max) {
  FloodPlan plan;
  for (const PeerName target : targets) {
    const std::optional<Path> path = view.path(target);
    if (!path) {
      continue;
    }
    if (path->way == Way::Relay) {
      plan.through[path->via].push_back(target);
      continue;
    }
    const std::optional<PeerName> hop =
        targets.size() > straight_max && view.next_hop ? view.next_hop(target) : std::nullopt;
    if (hop && *hop != target && is_straight(view.path(*hop))) {
      plan.through[*hop].push_back(target);
    } else {
      plan.straight.push_back(target);
    }
  }
  return plan;
}

}  // namespace weft::router
