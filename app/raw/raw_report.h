// What all hosts say, as the raw report of Weave Scope (GET /api/report): topologies of nodes with
// templates that explain their keys, before any view is made of it. For scripts written for Scope.
//
// What Scope has and weft does not know is there and empty. Clients' ports never leave their hosts,
// so an endpoint that only opens connections is named by its process: "scope;address;p<pid>".
// Reports carry no times of day: timestamps are Go's zero time, which any other is newer than.
//
// Written as text, a host at a time: of a thousand hosts it is hundreds of megabytes. Hosts that
// tell meanwhile are in it as they were when their turn came; of a thing that two hosts tell of,
// what the first says. Pure. Used by App.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "base/address.h"
#include "base/peer_name.h"
#include "probe/report/report.h"

namespace weft::app {

// One topology as it grows: its nodes, and what explains them.
struct RawTopology {
  std::string nodes{};  // The members of an object.
  boost::json::object metadata{};
  boost::json::object metrics{};
  boost::json::object tables{};
};

class RawReport {
 public:
  // `report` outlives this.
  explicit RawReport(const probe::Report& report) : report_(report) {}

  // Does a part, in nodes and flows as much as `work`, which it takes it from, and at most one host
  // beyond. True if all is done.
  bool advance(std::size_t& work);
  // Precondition: all is done.
  std::string take();

 private:
  // One end of connections: what is told of it, and whom it asks.
  struct End {
    PeerName host{};
    std::uint32_t pid = 0;
    std::uint64_t connections = 0;
    std::set<std::string> asks;
  };
  // A client whose own host may tell of it, too.
  struct Stranger {
    Ip address;
    std::string id;
    std::uint64_t connections = 0;
    std::string asks;
  };

  void add_host(const probe::HostReport& host);
  void add_image(const probe::HostReport& host, const probe::ContainerFacts& container);
  void add_peer(const probe::HostReport& host);
  void add_flow(const probe::HostReport& host,
                const probe::FlowKey& key,
                const probe::FlowFacts& facts);
  bool add_strangers(std::size_t& work);
  bool write_ends(std::size_t& work);

  const probe::Report& report_;
  std::optional<PeerName> last_;  // Of the hosts that are in it.
  RawTopology hosts_;
  RawTopology containers_;
  RawTopology images_;
  RawTopology processes_;
  RawTopology peers_;
  RawTopology endpoints_;
  std::set<std::string> containers_known_;
  std::set<std::string> images_known_;
  std::map<std::string, End> ends_;
  std::set<Ip> known_;
  std::vector<Stranger> strangers_;
  std::map<Ip, std::set<std::string>> names_;
};

}  // namespace weft::app
