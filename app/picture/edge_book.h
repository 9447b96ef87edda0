// Who talks to whom, kept as reports come: each host's flows as it told them last, each resolved
// once, and again only when something changed that its resolution read (directory.h).
//
// An outbound flow names its own end exactly and the other by address. Inbound flows add which
// process answered, and edges whose other end nobody reports.
//
// Always holds once settled: edges() is what resolve_edges() makes of the reports. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "app/graph.h"
#include "app/picture/directory.h"
#include "probe/report/report.h"

namespace weft::app {

// An edge of the book, as long as it has it. Its key's place in memory is its name.
struct EdgeRef {
  const EdgeKey* key = nullptr;
  const EdgeFacts* facts = nullptr;

  friend auto operator<=>(const EdgeRef&, const EdgeRef&) = default;
};

class EdgeBook {
 public:
  // Edges that came, went or carry another amount. Those that went live as long as this.
  struct Changes {
    std::vector<EdgeRef> changed;
    std::vector<Edges::node_type> gone;
  };

  // Takes the place of what the host said before; what follows, settle() finds out, for many hosts
  // at once if they told at once.
  void update(const probe::HostReport& report);
  void forget(PeerName host);
  void settle();

  const Edges& edges() const { return edges_; }
  // Those with an end on that host, in no particular order.
  const std::set<EdgeRef>& touching(PeerName host) const;
  // Since the last call. Precondition: settled.
  Changes take_changes();

 private:
  struct Flow {
    PeerName host{};
    const probe::FlowKey* key = nullptr;
    probe::FlowFacts facts{};
    Reads reads{};
    bool is_due = false;   // To be resolved.
    bool is_told = false;  // Has an edge:
    Edges::iterator edge{};
    std::size_t index = 0;  // Among those of the edge.
  };
  struct Host {
    std::map<probe::FlowKey, Flow> flows;
    Claims claims;
  };
  // What an edge is the sum of.
  struct Tellers {
    std::vector<Flow*> flows;
    bool is_dirty = false;  // To be summed.
  };
  using Reader = std::pair<std::uint64_t, Flow*>;
  // Both ends, whichever their processes.
  using End = std::tuple<Party::Kind, PeerName, std::string>;
  using Coarse = std::tuple<End, End, Transport>;

  void change_claims(PeerName name, Host& host, Claims claims);
  void change_flows(PeerName name,
                    Host& host,
                    const std::map<probe::FlowKey, probe::FlowFacts>& flows);
  void add(PeerName name, Host& host, Flow& flow);
  void remove(PeerName name, Host& host, Flow& flow);
  void due(Flow& flow);
  void due_readers(std::uint64_t key);
  void resolve_due();
  void resolve_outbound(Flow& flow);
  void resolve_inbound(Flow& flow);
  void set_reads(Flow& flow, Reads reads);
  void add_readers();
  void tell(Flow& flow, const EdgeKey& key);
  void untell(Flow& flow);
  void dirty(Edges::iterator edge);
  void sum_dirty();
  static Coarse coarse(const EdgeKey& key);
  static std::uint64_t read_key(const Coarse& coarse);

  std::map<PeerName, Host> hosts_;
  Directory directory_;
  Edges edges_;
  std::map<const EdgeKey*, Tellers> tellers_;
  std::map<PeerName, std::set<EdgeRef>> touching_;
  std::map<Coarse, std::uint32_t> reported_;  // By clients' hosts.
  // Who read what, to be asked by what.
  std::set<Reader> readers_;
  std::vector<Reader> new_readers_;         // Not yet among them; there are none once settled.
  std::set<std::pair<Ip, Flow*>> outside_;  // Flows that read networks, by remote address.
  std::vector<Flow*> due_outbound_;
  std::vector<Flow*> due_inbound_;
  std::vector<Edges::iterator> dirty_;
  Changes changes_;
};

}  // namespace weft::app
