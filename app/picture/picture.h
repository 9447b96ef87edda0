// The cluster as it is shown: edges and the views that somebody watches, each kept as reports come,
// so that a change costs what changed (docs/adr/0065). What nobody asked for is not made.
//
// What is much to do is done in slices (docs/adr/0076): first the nodes of the views, host after
// host, then the edges, in rounds. In a round first all hosts put in what they say that have
// something new as it begins, then what follows is found out: so each flow is resolved once.
// Between two slices views are as far as they are, and may be shown: nodes that are missing are
// added later, and an edge is shown when it is known where it leads.
//
// Pure. Used by App on its strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/picture/edge_book.h"
#include "app/picture/view_book.h"
#include "app/topology.h"
#include "probe/report/report.h"

namespace weft::app {

class Picture {
 public:
  // What advance() may do.
  enum class Stage : std::uint8_t {
    Nodes,  // While hosts are missing: edges would lead to nobody, and be resolved again.
    All,
  };

  // `report` outlives this. Whoever changes it tells by update().
  explicit Picture(const probe::Report& report);
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  // What this host says changed, or it is not there any more. What follows is found out by
  // advance(), for many hosts at once if they told at once.
  void update(PeerName host);

  // A view is to be made, and kept.
  void want(TopologyId topology);
  bool contains(TopologyId topology) const { return views_.contains(topology); }
  // Does a part of what is to be done, in nodes and flows: as much as `work`, which it takes it
  // from, and at most one host beyond.
  void advance(std::size_t& work, Stage stage);
  bool is_done(Stage stage) const;
  // Rounds that ended.
  std::uint64_t rounds() const { return rounds_; }
  // Whether a view shows all that was said when so many rounds had ended. Hosts that never stop
  // telling do not put it off: by the end of the round that was under way and one more it does.
  bool shows_all(TopologyId topology, std::uint64_t rounds) const;
  // Hosts whose nodes are not in a wanted view yet.
  std::size_t missing(TopologyId topology) const;

  // Everything that is to be done.
  void settle();
  Scene scene();
  // As far as it is. Precondition: a view that has edges is wanted.
  Scene scene_so_far() const { return {report_, edges_->edges()}; }
  // Made at the first call, and kept from then on.
  ViewBook& view(TopologyId topology);
  // As far as it is. Precondition: it is wanted.
  ViewBook& view_so_far(TopologyId topology) { return views_.at(topology).book; }

  // Drops the other views; without any, edges too. What views leave advance() clears away.
  void keep_only(const std::set<TopologyId>& topologies);
  // Precondition: the report is empty.
  void clear();
  // What is said of this host's nodes changed: its age.
  void touch(PeerName host);

 private:
  static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

  struct Kept {
    explicit Kept(TopologyId topology) : book(topology) {}

    ViewBook book;
    std::set<PeerName> due;    // Hosts that told of something since.
    std::set<PeerName> fresh;  // Those of them that it has nothing of yet.
  };

  void due_all(Kept& kept) const;
  void due_all_peers();
  void update_known(PeerName host);
  void clear_away(std::size_t& work);
  void advance_nodes(std::size_t& work);
  void advance_edges(std::size_t& work);
  void advance_round(std::size_t& work);

  const probe::Report& report_;
  std::map<PeerName, std::string> known_;  // Hosts and what they are called.
  std::map<TopologyId, Kept> views_;
  std::vector<std::map<TopologyId, Kept>::node_type> dropped_;
  std::optional<EdgeBook> edges_;
  std::set<PeerName> due_;    // Hosts whose flows the next round puts in.
  std::set<PeerName> round_;  // Those of the present one that did not yet.
  bool is_round_ = false;
  std::uint64_t rounds_ = 0;
};

}  // namespace weft::app
