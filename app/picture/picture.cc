#include "app/picture/picture.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "app/facts.h"
#include "base/assert.h"

namespace weft::app {
namespace {

// Of a slice, what edges get even while hosts come faster than their nodes are made.
constexpr std::size_t kEdgesShare = 4;

// The overlay's view shows links that hosts tell of, not edges.
bool needs_edges(TopologyId topology) {
  return topology != TopologyId::Weave;
}

void take(std::size_t& work, std::size_t amount) {
  work -= std::min(work, amount);
}

std::size_t node_count(const probe::HostReport* report) {
  return report == nullptr ? 1 : 1 + report->containers.size() + report->processes.size();
}

}  // namespace

Picture::Picture(const probe::Report& report) : report_(report) {
  for (const auto& [name, host] : report.hosts()) {
    known_.emplace(name, host_label(host));
  }
}

void Picture::update(PeerName host) {
  update_known(host);
  // A report that is full drops one host for another.
  if (known_.size() != report_.hosts().size()) {
    std::vector<PeerName> gone;
    for (const auto& [name, label] : known_) {
      if (report_.find(name) == nullptr) {
        gone.push_back(name);
      }
    }
    for (const PeerName name : gone) {
      update_known(name);
    }
  }
}

void Picture::update_known(PeerName name) {
  const probe::HostReport* const report = report_.find(name);
  const auto known = known_.find(name);
  const bool is_new = known == known_.end();
  const bool is_same_name = report != nullptr && !is_new && known->second == host_label(*report);
  for (auto& [topology, kept] : views_) {
    kept.due.insert(name);
    if (is_new) {
      kept.fresh.insert(name);
    } else if (report == nullptr) {
      kept.fresh.erase(name);
    }
  }
  if (edges_) {
    due_.insert(name);
  }
  if (is_same_name) {
    return;
  }
  due_all_peers();
  if (report == nullptr) {
    known_.erase(name);
  } else {
    known_[name] = host_label(*report);
  }
}

void Picture::due_all(Kept& kept) const {
  for (const auto& [name, host] : report_.hosts()) {
    kept.due.insert(name);
  }
}

// Peers are named in each other's tables, so all of that view may change with one name.
void Picture::due_all_peers() {
  if (const auto peers = views_.find(TopologyId::Weave); peers != views_.end()) {
    due_all(peers->second);
  }
}

void Picture::want(TopologyId topology) {
  const auto [found, is_new] = views_.try_emplace(topology, topology);
  if (is_new) {
    due_all(found->second);
    found->second.fresh = found->second.due;
  }
  if (needs_edges(topology) && !edges_) {
    edges_.emplace();
    for (const auto& [name, host] : report_.hosts()) {
      due_.insert(name);
    }
  }
}

// A slice
// ------------------------------------------------------------------------------------------

void Picture::advance(std::size_t& work, Stage stage) {
  const bool has_edges = stage == Stage::All && edges_;
  const std::size_t reserved = has_edges ? work / kEdgesShare : 0;
  work -= reserved;
  clear_away(work);
  advance_nodes(work);
  work += reserved;
  if (has_edges) {
    advance_edges(work);
  }
}

void Picture::clear_away(std::size_t& work) {
  while (!dropped_.empty() && dropped_.back().mapped().book.let_go(work)) {
    dropped_.pop_back();
  }
}

void Picture::advance_nodes(std::size_t& work) {
  static const EdgeBook kNoEdges;
  for (auto& [topology, kept] : views_) {
    if (kept.due.empty()) {
      continue;
    }
    while (!kept.due.empty() && work > 0) {
      const PeerName name = *kept.due.begin();
      const probe::HostReport* const report = report_.find(name);
      kept.book.update(name, report, report_);
      kept.due.erase(kept.due.begin());
      kept.fresh.erase(name);
      take(work, node_count(report));
    }
    kept.book.settle(needs_edges(topology) ? *edges_ : kNoEdges, {});
  }
}

void Picture::advance_edges(std::size_t& work) {
  do {
    advance_round(work);
    const EdgeBook::Changes changes = edges_->take_changes();
    for (auto& [topology, kept] : views_) {
      if (needs_edges(topology)) {
        kept.book.settle(*edges_, changes);
      }
    }
  } while (work > 0 && !due_.empty());
}

void Picture::advance_round(std::size_t& work) {
  if (!is_round_ && !due_.empty()) {
    is_round_ = true;
    round_ = std::exchange(due_, {});
  }
  while (!round_.empty() && work > 0) {
    const PeerName name = *round_.begin();
    round_.erase(round_.begin());
    if (const probe::HostReport* const report = report_.find(name)) {
      edges_->update(*report);
      take(work, 1 + report->flows.size());
    } else {
      edges_->forget(name);
      take(work, 1);
    }
  }
  if (round_.empty() && edges_->settle(work) && std::exchange(is_round_, false)) {
    ++rounds_;
  }
}

bool Picture::is_done(Stage stage) const {
  const bool are_nodes_done =
      dropped_.empty() && std::all_of(views_.begin(), views_.end(), [](const auto& item) {
        return item.second.due.empty();
      });
  return are_nodes_done && (stage == Stage::Nodes || (!is_round_ && due_.empty()));
}

bool Picture::shows_all(TopologyId topology, std::uint64_t rounds) const {
  return contains(topology)
         && (is_done(Stage::All) || (missing(topology) == 0 && rounds_ > rounds + 1));
}

std::size_t Picture::missing(TopologyId topology) const {
  return views_.at(topology).fresh.size();
}

// Everything
// ---------------------------------------------------------------------------------------

void Picture::settle() {
  while (!is_done(Stage::All)) {
    std::size_t work = kAll;
    advance(work, Stage::All);
  }
}

Scene Picture::scene() {
  if (!edges_) {
    edges_.emplace();
    for (const auto& [name, host] : report_.hosts()) {
      due_.insert(name);
    }
  }
  settle();
  return {report_, edges_->edges()};
}

ViewBook& Picture::view(TopologyId topology) {
  want(topology);
  settle();
  return view_so_far(topology);
}

void Picture::keep_only(const std::set<TopologyId>& topologies) {
  for (auto at = views_.begin(); at != views_.end();) {
    const auto view = at++;
    if (!topologies.contains(view->first)) {
      dropped_.push_back(views_.extract(view));
    }
  }
  const bool are_edges_needed = std::any_of(
      views_.begin(), views_.end(), [](const auto& item) { return needs_edges(item.first); });
  if (!are_edges_needed) {
    edges_.reset();
    due_.clear();
    round_.clear();
    is_round_ = false;
  }
}

void Picture::clear() {
  keep_only({});
  dropped_.clear();
  known_.clear();
}

void Picture::touch(PeerName host) {
  for (auto& [topology, kept] : views_) {
    kept.book.touch(host);
  }
}

}  // namespace weft::app
