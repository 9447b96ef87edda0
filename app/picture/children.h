// The children of a node: what of other topologies names it among its parents, sought on the hosts
// whose data it is, a host at a time. A thousand hosts have ten thousand containers of one image:
// of each topology the busiest are told, and how many more there are. Pure. Used by App.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/picture/summary.h"
#include "app/topology.h"
#include "app/view.h"
#include "base/peer_name.h"
#include "probe/report/report.h"

namespace weft::app {

class Children {
 public:
  // Of one topology: to be read, and to be sent each time the page asks.
  static constexpr std::size_t kShownMax = 500;

  // `topology` is that of `parent`. `report` outlives this.
  Children(TopologyId topology, const Node& parent, const probe::Report& report);

  // Does a part, in nodes as much as `work`, which it takes it from, and at most one host beyond.
  // True if all is done.
  bool advance(std::size_t& work);
  // The groups of an array, without its brackets. Precondition: all is done.
  std::string text(const Staleness& staleness) const;

 private:
  using Rank = std::pair<double, std::string>;  // Less what it uses of a CPU; id.
  struct Group {
    TopologyId topology;
    std::map<Rank, Node> shown{};
    std::uint64_t more = 0;  // That were left out.
  };

  void add_host(Group& group, const probe::HostReport& host, std::size_t& work) const;
  static void add(Group& group, Node node);

  const probe::Report& report_;
  std::string parent_;
  std::set<PeerName> hosts_;
  std::vector<Group> groups_;
  std::size_t group_ = 0;         // The one that is being made,
  std::optional<PeerName> last_;  // of hosts up to this one.
};

}  // namespace weft::app
