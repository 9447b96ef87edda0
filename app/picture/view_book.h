// One topology, kept as reports come: the share of each host is taken out and put in again as the
// host tells of changes, links are sums over edges, and what changed is told by nodes' ids, so that
// who shows the view renders those alone.
//
// Always holds: view() is what a new book makes of the same reports. Pure. Used by Picture.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/picture/edge_book.h"
#include "app/picture/share.h"
#include "app/topology.h"
#include "app/view.h"
#include "probe/report/report.h"

namespace weft::app {

// What a choice leaves of a view.
struct ViewStats {
  std::size_t node_count = 0;
  std::size_t nonpseudo_node_count = 0;
  std::size_t edge_count = 0;
  std::size_t filtered_nodes = 0;
  std::set<std::string> stacks;  // That there are, whatever is chosen.

  friend bool operator==(const ViewStats&, const ViewStats&) = default;
};

class ViewBook {
 public:
  explicit ViewBook(TopologyId topology);
  ViewBook(const ViewBook&) = delete;  // Nodes and links know each other by where they are.
  ViewBook& operator=(const ViewBook&) = delete;

  // Takes the place of what a host said before; nothing remains of one that says nothing any more
  // (null). `all` has the hosts' reports. To be settled before anything is asked.
  void update(PeerName host, const probe::HostReport* report, const probe::Report& all);
  // With the edges that the reports come to, and what changed in them.
  void settle(const EdgeBook& edges, const EdgeBook::Changes& changes);

  const View& view() const { return view_; }
  // A node, unless the filter hides it (null), with links that are shown if they lead to listed
  // ones.
  const Node* shown(const std::string& id, const Filter& filter) const;
  bool is_listed(const std::string& id, const Filter& filter) const;
  // Nodes whose links lead to this one, by id.
  std::vector<const Node*> clients_of(const std::string& id) const;
  ViewStats stats(const Filter& filter) const;

  // What may look otherwise since the last call, whatever is chosen.
  std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
  // What is said of this host's nodes changed: its age.
  void touch(PeerName host);

  // Lets go of nodes, as many as `work`, which it takes them from; true if there are none left. To
  // be destroyed afterwards: a view of thousands of nodes takes a while to free.
  bool let_go(std::size_t& work);

 private:
  struct Spot;
  // All edges from one node to another.
  struct Bundle {
    Spot* from = nullptr;
    Spot* to = nullptr;
    std::vector<EdgeRef> edges;
    bool is_due = false;  // To be summed.
  };
  struct Spot {
    Node* node = nullptr;  // In view_.
    std::map<PeerName, Share::Piece> pieces;
    std::map<const Spot*, Bundle> bundles;  // By where its edges lead.
    std::set<Spot*> clients;                // Whose links lead here.
    bool is_outside = false;
    bool is_service = false;  // Outside, and there as long as a link leads to it.
  };
  struct Position {
    Bundle* bundle = nullptr;
    std::size_t index = 0;
  };
  struct Host {
    std::map<Seat, Spot*> places;
    std::set<std::string> pieces;
    std::set<Seat> moved;  // Places that came, went or lead elsewhere: whose edges to place.
  };

  Spot& spot(const std::string& id);
  void put(PeerName name, Host& host, const std::string& id, Share::Piece piece);
  void remove_pieces(PeerName name, Host& host, const Share& share);
  void compose(Spot& spot);
  void place_moved(PeerName name, Host& host, const EdgeBook& edges);
  void touch_around(const Spot& spot);
  const Node* shown(const Spot& spot, const Filter& filter) const;
  void drop_if_empty(const std::string& id);
  Spot* spot_of(const Party& party, bool is_client);
  Spot& service_spot(const Party& party);
  void drop_left_services();
  Bundle* bundle_of(const EdgeKey& key);
  void place(const EdgeRef& edge);
  void take_away(const EdgeKey* key);
  void due(Bundle& bundle);
  void sum_due();
  void sum(Bundle& bundle);
  void cut(Bundle& bundle);

  TopologyId topology_;
  View view_;
  std::map<std::string, Spot> spots_;
  std::map<PeerName, Host> hosts_;
  std::map<const EdgeKey*, Position> positions_;
  std::set<PeerName> updated_;       // Hosts since it was settled.
  std::set<std::string> due_spots_;  // To be composed.
  std::vector<Bundle*> due_;         // To be summed.
  std::set<std::string> left_;       // Services that a link no longer leads to.
  std::set<std::string> changed_;
};

}  // namespace weft::app
