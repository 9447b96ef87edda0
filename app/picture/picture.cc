#include "app/picture/picture.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "app/facts.h"

namespace weft::app {

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
  const bool is_same_name =
      report != nullptr && known != known_.end() && known->second == host_label(*report);
  if (views_.contains(TopologyId::Weave)) {
    due_peers_.insert(name);
  }
  if (!is_same_name) {
    due_all_peers();
    if (report == nullptr) {
      known_.erase(name);
    } else {
      known_[name] = host_label(*report);
    }
  }
  if (edges_) {
    due_.insert(name);
  }
}

// Edges first, of all hosts that told of changes, then views.
void Picture::settle() {
  if (!edges_) {
    edges_.emplace();
    for (const auto& [name, host] : report_.hosts()) {
      due_.insert(name);
    }
  }
  const std::set<PeerName> due = std::exchange(due_, {});
  for (const PeerName name : due) {
    if (const probe::HostReport* const report = report_.find(name)) {
      edges_->update(*report);
    } else {
      edges_->forget(name);
    }
  }
  edges_->settle();
  const EdgeBook::Changes changes = edges_->take_changes();
  for (auto& [topology, view] : views_) {
    if (topology != TopologyId::Weave) {
      for (const PeerName name : due) {
        view.update(name, report_.find(name), report_);
      }
      view.settle(*edges_, changes);
    }
  }
}

Scene Picture::scene() {
  settle();
  return {report_, edges_->edges()};
}

void Picture::due_all_peers() {
  if (views_.contains(TopologyId::Weave)) {
    for (const auto& [name, host] : report_.hosts()) {
      due_peers_.insert(name);
    }
  }
}

void Picture::update_peers(ViewBook& view) {
  static const EdgeBook kNoEdges;
  for (const PeerName name : std::exchange(due_peers_, {})) {
    view.update(name, report_.find(name), report_);
  }
  view.settle(kNoEdges, {});
}

ViewBook& Picture::view(TopologyId topology) {
  if (topology == TopologyId::Weave) {
    const auto [found, is_new] = views_.try_emplace(topology, topology);
    if (is_new) {
      due_all_peers();
    }
    update_peers(found->second);
    return found->second;
  }
  settle();
  const auto [found, is_new] = views_.try_emplace(topology, topology);
  if (is_new) {
    for (const auto& [name, host] : report_.hosts()) {
      found->second.update(name, &host, report_);
    }
    found->second.settle(*edges_, {});
  }
  return found->second;
}

void Picture::keep_only(const std::set<TopologyId>& topologies) {
  std::erase_if(views_, [&](const auto& item) { return !topologies.contains(item.first); });
  if (!topologies.contains(TopologyId::Weave)) {
    due_peers_.clear();
  }
  const bool needs_edges = std::any_of(views_.begin(), views_.end(), [](const auto& item) {
    return item.first != TopologyId::Weave;
  });
  if (!needs_edges) {
    edges_.reset();
    due_.clear();
  }
}

void Picture::clear() {
  keep_only({});
  known_.clear();
}

void Picture::touch(PeerName host) {
  for (auto& [topology, view] : views_) {
    view.touch(host);
  }
}

}  // namespace weft::app
