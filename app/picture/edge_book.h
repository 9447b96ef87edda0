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
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "app/graph.h"
#include "app/picture/directory.h"
#include "app/picture/readers.h"
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
  // Precondition of both: settled since the last call of settle(), if it was called at all.
  void update(const probe::HostReport& report);
  void forget(PeerName host);
  // Takes what it does from `work`: flows to be resolved, edges to be summed. True if it was
  // enough; otherwise to be called again before a host says anything new.
  bool settle(std::size_t& work);
  void settle();

  const Edges& edges() const { return edges_; }
  // Those with an end on that host, in no particular order.
  std::span<const EdgeRef> touching(PeerName host) const;
  // Since the last call.
  Changes take_changes();

 private:
  struct Flow;
  // What an edge is the sum of.
  struct Tellers {
    Edges::iterator edge{};
    std::vector<Flow*> flows{};
    bool is_dirty = false;       // To be summed.
    std::size_t index_from = 0;  // Among the edges that touch the client's host, and the server's.
    std::size_t index_to = 0;
  };
  struct Flow {
    PeerName host{};
    const probe::FlowKey* key = nullptr;
    probe::FlowFacts facts{};
    std::vector<Readers<Flow>::Slot> reads{};
    bool reads_networks = false;
    bool is_due = false;         // To be resolved.
    Tellers* tellers = nullptr;  // Of its edge, if it has one:
    std::size_t index = 0;       // Among these.
  };
  struct Host {
    std::map<probe::FlowKey, Flow> flows;
    Claims claims;
  };
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
  void due_touched();
  void resolve_outbound(Flow& flow);
  void resolve_inbound(Flow& flow);
  void set_reads(Flow& flow, const Reads& reads);
  void tell(Flow& flow, const EdgeKey& key);
  void untell(Flow& flow);
  void dirty(Tellers& tellers);
  void sum(Tellers& tellers);
  void drop(Tellers& tellers);
  void touch(Tellers& tellers);
  void untouch(const EdgeKey& key, const Tellers& tellers);
  void untouch(PeerName host, std::size_t index);
  static Coarse coarse(const EdgeKey& key);
  static std::uint64_t read_key(const Coarse& coarse);

  std::map<PeerName, Host> hosts_;
  Directory directory_;
  Edges edges_;
  std::map<const EdgeKey*, Tellers> tellers_;
  std::map<PeerName, std::vector<EdgeRef>> touching_;
  std::map<Coarse, std::uint32_t> reported_;  // By clients' hosts.
  Readers<Flow> readers_;
  std::set<std::pair<Ip, Flow*>> outside_;  // Flows that read networks, by remote address.
  std::vector<std::uint64_t> touched_;      // Whose readers are due.
  std::vector<Flow*> due_outbound_;
  std::vector<Flow*> due_inbound_;
  std::vector<Tellers*> dirty_;
  bool is_settling_ = false;
  Changes changes_;
};

}  // namespace weft::app
