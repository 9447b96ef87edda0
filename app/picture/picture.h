// The cluster as it is shown: edges and the views that somebody watches, each kept as reports come,
// so that a change costs what changed (docs/adr/0065). What nobody asked for is not made.
//
// Pure. Used by App on its strand.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "app/picture/edge_book.h"
#include "app/picture/view_book.h"
#include "app/topology.h"
#include "probe/report/report.h"

namespace weft::app {

class Picture {
 public:
  // `report` outlives this. Whoever changes it tells by update().
  explicit Picture(const probe::Report& report);
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  // What this host says changed, or it is not there any more. What follows is found out when
  // somebody asks, for many hosts at once if they told at once.
  void update(PeerName host);

  Scene scene();
  // Made at the first call, and kept from then on.
  ViewBook& view(TopologyId topology);
  // Drops the other views; without any, edges too.
  void keep_only(const std::set<TopologyId>& topologies);
  // Precondition: the report is empty.
  void clear();
  // What is said of this host's nodes changed: its age.
  void touch(PeerName host);

 private:
  void settle();
  void update_known(PeerName host);
  void due_all_peers();
  void update_peers(ViewBook& view);

  const probe::Report& report_;
  std::map<PeerName, std::string> known_;  // Hosts and what they are called.
  std::set<PeerName> due_;
  std::optional<EdgeBook> edges_;
  std::map<TopologyId, ViewBook> views_;
  // The overlay's view names peers, so all of it may change with one name: it waits until it is
  // asked for.
  std::set<PeerName> due_peers_;
};

}  // namespace weft::app
