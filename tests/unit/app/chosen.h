// What options leave of a view, worked out on all of it at once: what streams and answers, which
// look at single nodes, must come to.
#pragma once

#include <set>
#include <string>

#include "app/topology.h"
#include "app/view.h"

namespace weft::app {

inline std::set<std::string> connected_ids(const View& view) {
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

inline void drop_dangling(View& view) {
  for (auto& [id, node] : view) {
    std::erase_if(node.links, [&](const auto& item) { return !view.contains(item.first); });
  }
}

// Drops what the choice hides and pseudo nodes that talk to nobody. Links to dropped nodes go too.
// Gives the number of nodes dropped by choice.
inline std::size_t apply_choice(const Choice& choice, View& view) {
  const Filter filter(choice);
  const std::size_t before = view.size();
  std::erase_if(view, [&](const auto& item) { return filter.hides(item.second); });
  drop_dangling(view);
  if (filter.hides_unconnected()) {
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
