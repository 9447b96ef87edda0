#include "router/overlay/views.h"

#include <algorithm>

namespace weft::router {

std::size_t Views::wanted(std::size_t links, std::size_t seeking, std::size_t members) const {
  const std::size_t others = members - 1;
  const std::size_t goal = is_full_mesh(members) ? others : std::min(degree(members), others);
  const std::size_t lacking = goal - std::min(goal, links + seeking);
  const std::size_t seeking_max = is_urgent(links, members) ? options_.seeking_max : 1;
  return std::min(lacking, seeking_max - std::min(seeking_max, seeking));
}

std::vector<PeerName> Views::choose(TimePoint now,
                                    std::vector<Candidate> candidates,
                                    std::size_t count) {
  std::erase_if(avoided_, [now](const auto& item) { return item.second <= now; });
  std::erase_if(candidates, [this](const Candidate& c) { return avoided_.contains(c.peer); });
  std::vector<PeerName> chosen;
  while (chosen.size() < count && !candidates.empty()) {
    const auto bound = static_cast<std::uint32_t>(candidates.size());
    std::uint32_t pick = rng_.below(bound);
    for (std::size_t i = 1; i < options_.choices; ++i) {
      const std::uint32_t other = rng_.below(bound);
      pick = candidates[other].degree < candidates[pick].degree ? other : pick;
    }
    chosen.push_back(candidates[pick].peer);
    candidates[pick] = candidates.back();
    candidates.pop_back();
  }
  return chosen;
}

void Views::avoid(TimePoint now, PeerName peer) {
  if (avoided_.size() < options_.avoided_max) {
    avoided_[peer] = now + options_.avoid / 2 + options_.avoid * rng_.below(100) / 100;
  }
}

bool Views::admits(std::size_t links, Standing standing, std::size_t members) const {
  // Before we know of more than a few, we cannot know that there are too many.
  const std::size_t limit =
      standing == Standing::Alone ? options_.degree_alone_max : options_.degree_max;
  return links < std::max(limit, is_full_mesh(members) ? options_.full_mesh_max : 0);
}

std::optional<PeerName> Views::spare(const std::vector<Link>& links, std::size_t members) {
  if (links.size() <= options_.degree_max || is_full_mesh(members)) {
    return std::nullopt;
  }
  // Of those whose other end can spare us and need not look for another, rather one that is no
  // branch of the tree.
  std::vector<PeerName> branches;
  std::vector<PeerName> others;
  for (const Link& link : links) {
    if (!link.is_target && link.degree > degree(members)) {
      (link.is_branch ? branches : others).push_back(link.peer);
    }
  }
  const std::vector<PeerName>& from = others.empty() ? branches : others;
  if (from.empty()) {
    return std::nullopt;
  }
  return from[rng_.below(static_cast<std::uint32_t>(from.size()))];
}

}  // namespace weft::router
