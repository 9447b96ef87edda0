// Who can be reached, and over which neighbour: shortest paths over the connections that both ends
// list, and over our own.
//
// Every peer computes this from the same Peer records. A next hop is always one step nearer to the
// destination, so once the records agree, paths have no loops; before, the hop limit ends them.
//
// Pure; lives on the control strand.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/peer_name.h"

namespace weft::router {

class Topology {
 public:
  explicit Topology(PeerName self) : self_(self) {}

  // Each true if it changed anything.
  bool add_link(PeerName neighbour);
  bool remove_link(PeerName neighbour);
  bool set_neighbours(PeerName peer, const std::set<PeerName>& neighbours);
  bool remove(PeerName peer);

  struct Changes {
    std::vector<PeerName> reachable;
    std::vector<PeerName> unreachable;

    friend bool operator==(const Changes&, const Changes&) = default;
  };
  // Recomputes the paths. Everything below answers as of the last call.
  Changes update();

  bool reachable(PeerName peer) const { return next_hops_.contains(peer); }
  std::optional<PeerName> next_hop(PeerName peer) const;
  const std::map<PeerName, PeerName>& next_hops() const { return next_hops_; }

  // As stated, also while unreachable.
  bool lists(PeerName peer, PeerName neighbour) const;
  const std::set<PeerName>& links() const { return links_; }

  void check_invariants() const;

 private:
  PeerName self_;
  std::set<PeerName> links_;
  std::map<PeerName, std::vector<PeerName>> stated_;  // Ascending.
  std::map<PeerName, PeerName> next_hops_;            // Ourselves excepted.
};

}  // namespace weft::router
