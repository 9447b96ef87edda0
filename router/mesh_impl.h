// The inside of Mesh, in seven files by what they are about:
//
//   mesh.cc            the public face: targets, deadlines, what can be seen
//   mesh_links.cc      one connection: dial, handshake, verdict, end
//   mesh_duplicates.cc which of several connections with one peer is used
//   mesh_admission.cc  who may talk to us: strangers, passwords, refusals an operator should see
//   mesh_gossip.cc     what travels over connections: records, payloads, routed messages
//   mesh_liveness.cc   heartbeats, silence, suspicion, paths
//   mesh_discovery.cc  whom to connect to; what we state of ourselves
//
// The decisions are classes of their own: views.h (how many links, with whom), broadcast.h (what is
// pushed to whom), reconcile.h (where two stores differ), liveness.h (when silence means gone),
// topology.h (paths), link_meter.h (what a link costs).
//
// Private to these files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "router/admission.h"
#include "router/connector.h"
#include "router/link.h"
#include "router/mesh.h"
#include "router/mesh_limits.h"
#include "router/mesh_wire.h"
#include "router/overlay/broadcast.h"
#include "router/overlay/links_record.h"
#include "router/overlay/liveness.h"
#include "router/overlay/records.h"
#include "router/overlay/topology.h"
#include "router/overlay/views.h"

namespace weft::router {

class Mesh::Impl {
 public:
  Impl(Options options, Rng rng, Entropy& entropy);

  void connect(TimePoint now, const std::string& target, MeshActions& out);
  void forget(TimePoint now, const std::string& target, MeshActions& out);
  void dismiss(TimePoint now, PeerName peer);
  void set_passwords(TimePoint now, std::vector<Psk> passwords, MeshActions& out);
  LinkId on_accepted(TimePoint now, Endpoint local, Endpoint remote, MeshActions& out);
  void on_connected(TimePoint now, LinkId id, Endpoint local, Endpoint remote, MeshActions& out);
  void on_bytes(TimePoint now, LinkId id, ByteView bytes, MeshActions& out);
  void on_link_closed(TimePoint now, LinkId id, const std::string& reason, MeshActions& out);
  void publish(TimePoint now, const PublishRecord& record, MeshActions& out);
  void send(TimePoint now, const GossipAll& gossip, MeshActions& out);
  void send(TimePoint now, const GossipTo& gossip, MeshActions& out);
  void on_deadline(TimePoint now, MeshActions& out);
  TimePoint next_deadline() const;
  std::optional<PeerName> next_hop(PeerName peer) const { return topology_.next_hop(peer); }
  bool is_neighbour(PeerName peer) const { return up_.contains(peer); }
  std::size_t peers_reachable() const { return topology_.reachable_count() + suspicions_.count(); }
  std::vector<PeerStatus> peers() const;
  std::optional<PeerStatus> peer(PeerName name) const;
  std::vector<ConnectionStatus> connections() const;
  std::vector<std::string> targets() const;
  std::vector<std::string> warnings() const;
  std::uint64_t records_hash() const { return store_.digest_hash(); }
  MeshStats stats() const;
  void check_invariants() const;

 private:
  using Stage = LinkStage;
  // Connections from one address that came to nothing.
  struct Refusal {
    std::string reason;
    std::uint64_t count = 0;
    TimePoint last;
  };
  struct Missed {
    TimePoint since;
    bool was_reached = false;  // Suspended; else no path has led to it yet.
  };
  struct Accused {
    Life life;
    TimePoint until;
  };

  // mesh.cc
  void begin(TimePoint now);
  void report(MeshActions& out,
              MeshEvent::Level level,
              std::string what,
              std::string peer,
              std::string detail);
  std::string describe(PeerName peer) const;
  std::vector<Ip> underlay_of(PeerName peer) const;
  PeerStatus own_status() const;
  PeerStatus status_of(PeerName peer, const PeerInfo& info) const;
  std::string reason_for(PeerName peer) const;
  void describe_link(const Link& link, ConnectionStatus& status) const;
  void add_waiting(std::vector<ConnectionStatus>& out) const;

  // mesh_admission.cc
  static bool is_stranger(const Link& link);
  bool make_room_for(TimePoint now, const Ip& source, MeshActions& out);
  void turn_away(LinkId id, MeshActions& out);
  bool is_accepted(const std::optional<Psk>& password) const;
  bool is_old(const Link& link) const;
  void count_failure(Channel::Cause cause);
  void count_verdict(Verdict::Code code);
  void note_refusal(TimePoint now, const Ip& source, const std::string& reason);
  void add_refusals(std::vector<ConnectionStatus>& out) const;
  void warn(const std::string& text);
  std::vector<Ip> own_addresses() const;
  Verdict judge_run(const Link& link) const;
  void on_fenced(const Verdict& verdict, MeshActions& out);

  // mesh_links.cc
  void dial(TimePoint now, const Goal& goal, MeshActions& out);
  void start_channel(TimePoint now, Link& link, MeshActions& out);
  void on_event(TimePoint now, LinkId id, Channel::Event event, MeshActions& out);
  void on_established(TimePoint now, Link& link, Channel::Established event, MeshActions& out);
  Result<Bytes> unpack(Link& link, ByteView frame) const;
  void on_frame(TimePoint now, Link& link, ByteView frame, MeshActions& out);
  void on_refusal(const Link& link, const Verdict& verdict);
  void on_verdict(TimePoint now, Link& link, const Verdict& verdict, MeshActions& out);
  static std::string clone_text(PeerName peer);
  static std::string fenced_text(Incarnation known, const Hello& hello);
  std::optional<Verdict> judge(const Link& link) const;
  std::optional<Incarnation> earlier_run(const Link& link) const;
  void decide(TimePoint now, Link& link, MeshActions& out);
  void accept(TimePoint now, Link& link, MeshActions& out);
  void refuse(TimePoint now, Link& link, Verdict verdict, MeshActions& out);
  void go_up(TimePoint now, Link& link, MeshActions& out);
  void drop(TimePoint now, LinkId id, const std::string& reason, MeshActions& out);
  void report_failure(const Link& link, const std::string& reason, MeshActions& out);
  void settle_goal(TimePoint now, const Link& link, const std::string& reason);
  void send_message(TimePoint now, Link& link, const Message& message, MeshActions& out);
  void flush(TimePoint now, Link& link, Channel::Output& output, MeshActions& out);
  void send_encoded(TimePoint now, Link& link, FrameKind kind, ByteView frame, MeshActions& out);
  void run_links(TimePoint now, MeshActions& out);
  TimePoint link_deadline(const Link& link) const;
  Link* up_link(PeerName peer);

  // mesh_duplicates.cc
  std::optional<Verdict> judge_rival(const Link& link, const Link& rival) const;
  bool wins(const Link& link, const Link& rival) const;
  const Link* rival_of(const Link& link) const;
  void retire_rivals(TimePoint now, Link& winner);
  void end_retired(TimePoint now, Link& winner, MeshActions& out);
  void judge_waiting(TimePoint now, PeerName peer);

  // mesh_gossip.cc
  void on_message(TimePoint now, Link& link, const Message& message, MeshActions& out);
  void on_want(TimePoint now, Link& link, const Want& want);
  void on_announce(TimePoint now, Link& link, const Announce& announce);
  void on_ranges(TimePoint now, Link& link, const Ranges& ranges, MeshActions& out);
  void on_delta(TimePoint now, Link& link, const Delta& delta, MeshActions& out);
  void on_change(TimePoint now, RecordChanged& change, MeshActions& out);
  void report_clone(const std::string& how, MeshActions& out);
  void on_routed(TimePoint now, Link& link, const Routed& routed, MeshActions& out);
  void deliver(TimePoint now, const Routed& routed, MeshActions& out);
  bool route(TimePoint now, const Routed& routed, MeshActions& out);
  void start_gossip(TimePoint now, Link& link, MeshActions& out);
  void ask_for_all(TimePoint now, Link& link, MeshActions& out);
  void note_answer(TimePoint now, PeerName from);
  void meet(TimePoint now, Link& link, MeshActions& out);
  void compare_hashes(TimePoint now, Link& link, std::uint32_t hash, MeshActions& out);
  void leave_branch(TimePoint now, PeerName peer);
  void own_news(TimePoint now, OriginVersion before);
  void push(TimePoint now, const Broadcast::Push& push, MeshActions& out);
  void perform(TimePoint now, const Broadcast::Step& step, MeshActions& out);
  void run_gossip(TimePoint now, MeshActions& out);

  // mesh_liveness.cc
  void on_heartbeat(TimePoint now, Link& link, const Heartbeat& heartbeat, MeshActions& out);
  void note_lateness(TimePoint now);
  Duration silence_after(TimePoint now, const Link& link) const;
  TimePoint silence_due(TimePoint now, const Link& link) const;
  void beat(TimePoint now, Link& link, MeshActions& out);
  void hear(TimePoint now, Link& link, MeshActions& out);
  void fall_silent(TimePoint now, Link& link, MeshActions& out);
  void accuse(TimePoint now, PeerName peer);
  void refute(TimePoint now, std::uint32_t life);
  void on_links_record(TimePoint now, PeerName origin, const LinksRecord& links);
  Life life_of(PeerName peer) const;
  std::optional<LinksRecord> links_of(PeerName peer) const;
  bool is_present(PeerName peer) const;
  LinkGraph graph() const;
  LinksRecord own_links() const;
  void update_topology_soon(TimePoint now);
  void meet_soon(TimePoint now);
  void update_topology(TimePoint now, MeshActions& out);
  void set_branches(LinkGraph& links);
  void set_role(TimePoint now, const Link& link);
  void count_accusers();
  void note_unreachable(TimePoint now);
  void suspend(TimePoint now, PeerName peer, MeshActions& out);
  void run_up_link(TimePoint now, Link& link, MeshActions& out);
  void run_liveness(TimePoint now, MeshActions& out);

  // mesh_discovery.cc
  void on_peer_record(TimePoint now, const RecordChanged& change);
  void state_self(TimePoint now);
  void state_links(TimePoint now);
  void state_links_soon(TimePoint now, Duration delay);
  PeerInfo own_info() const;
  std::optional<PeerInfo> info_of(PeerName peer) const;
  std::size_t members() const { return store_.origin_count() - buried_.size(); }
  std::size_t links_in_use() const;
  bool is_target(PeerName peer) const;
  bool is_crowded(const Link& link) const;
  void refer(Verdict& verdict);
  void on_full(TimePoint now, Link& link, const Verdict& verdict);
  void retry_full_targets(TimePoint now);
  void discover_soon(TimePoint now);
  void discover(TimePoint now, MeshActions& out);
  void seek_everyone(TimePoint now);
  void seek_some(TimePoint now, std::size_t seeking);
  std::size_t follow_referrals(TimePoint now, std::size_t seeking);
  std::vector<Views::Candidate> candidates() const;
  std::size_t clear_goals();
  bool is_replaced(PeerName peer) const;
  void seek_unreachable(TimePoint now);
  void probe_suspects(TimePoint now);
  bool is_prober_of(PeerName suspect) const;
  void trim(TimePoint now, MeshActions& out);
  std::vector<Target> addresses_of(PeerName peer) const;
  void forget_the_dead(TimePoint now, MeshActions& out);
  void bury(TimePoint now, PeerName peer, MeshActions& out);
  void run_discovery(TimePoint now, MeshActions& out);

  const Options options_;
  Rng rng_;
  Entropy& entropy_;
  std::uint64_t session_ = 0;
  bool begun_ = false;
  TimePoint now_;  // Of the last input, for status texts.

  std::map<LinkId, Link> links_;
  std::map<PeerName, LinkId> up_;  // The connection in use with each neighbour.
  std::uint64_t last_link_ = 0;
  std::uint64_t last_dial_ = 0;
  Connector connector_;
  std::map<Target, std::string> targets_;   // As the operator wrote them.
  std::map<Target, PeerName> target_peer_;  // Who answered there.
  std::set<Target> full_targets_;           // Had no room, and no path led to them since.
  std::map<PeerName, std::size_t> dial_attempts_;
  std::map<std::string, std::string> reported_;  // Address -> last failure reported.
  std::vector<Psk> passwords_;                   // Preferred first; none: anybody may join.
  Admission admission_{Admission::Options{}};
  std::map<Ip, Refusal> refusals_;             // By where they came from.
  std::map<std::string, TimePoint> warnings_;  // Text -> when there last was a reason for it.

  RecordStore store_;
  Topology topology_;
  Broadcast broadcast_;
  Views views_;
  LocalHealth health_;
  Suspicions suspicions_;
  TimePoint well_since_;                 // Our last late turn, or since our health was last better.
  std::map<PeerName, Accused> accused_;  // By us.
  std::uint32_t life_ = 0;               // Ours; a new one refutes accusations.
  TimePoint life_since_;
  std::map<PeerName, Missed> unreachable_;
  std::map<PeerName, TimePoint> buried_;
  // Until when; of peers that we hold records of, and have not buried.
  std::map<PeerName, TimePoint> dismissed_;
  std::vector<Endpoint> referrals_;
  std::vector<PeerName> branches_;  // Of the tree, as last computed; ascending.

  TimePoint last_statement_;
  TimePoint last_topology_;
  Duration topology_hold_ = kTopologyHold;
  TimePoint last_change_;        // Of the store.
  TimePoint last_links_change_;  // Of any peer's Links record.
  TimePoint last_reconciliation_;
  // Whom we asked then, and when the first of its answer came.
  PeerName asked_;
  TimePoint last_answer_;
  TimePoint last_up_;  // When a connection of ours came into use.
  TimePoint last_trim_;
  TimePoint last_rescue_;
  TimePoint statement_due_ = kNever;
  TimePoint topology_due_ = kNever;
  TimePoint restate_due_ = kNever;
  TimePoint discovery_due_ = kNever;
  MeshStats stats_;
};

}  // namespace weft::router
