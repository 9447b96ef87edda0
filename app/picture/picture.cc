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
  if (!edges_) {
    return;
  }
  if (report == nullptr) {
    edges_->forget(name);
  } else {
    edges_->update(*report);
  }
  const EdgeBook::Changes changes = edges_->take_changes();
  for (auto& [topology, view] : views_) {
    if (topology != TopologyId::Weave) {
      view.update(name, report, report_);
      view.place_edges(name, *edges_, changes);
    }
  }
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
    view.place_edges(name, kNoEdges, {});
  }
}

EdgeBook& Picture::edges() {
  if (!edges_) {
    edges_.emplace();
    for (const auto& [name, host] : report_.hosts()) {
      edges_->update(host);
    }
    (void)edges_->take_changes();  // Views are filled from all edges.
  }
  return *edges_;
}

ViewBook& Picture::view(TopologyId topology) {
  const auto [found, is_new] = views_.try_emplace(topology, topology);
  ViewBook& view = found->second;
  if (topology == TopologyId::Weave) {
    if (is_new) {
      due_all_peers();
    }
    update_peers(view);
  } else if (is_new) {
    for (const auto& [name, host] : report_.hosts()) {
      view.update(name, &host, report_);
      view.place_edges(name, edges(), {});
    }
    (void)edges();  // From now on, they are kept also where no host has told of any.
  }
  return view;
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
