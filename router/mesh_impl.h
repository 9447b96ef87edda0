// The inside of Mesh, in five files by what they are about:
//
//   mesh.cc            the public face: targets, deadlines, what can be seen
//   mesh_links.cc      one connection: dial, handshake, verdict, liveness, end
//   mesh_admission.cc  who may talk to us: strangers, passwords, refusals an operator should see
//   mesh_gossip.cc     what travels over connections: records, payloads, routed messages
//   mesh_discovery.cc  whom to connect to; what Peer records say
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
#include "router/channel.h"
#include "router/connector.h"
#include "router/mesh.h"
#include "router/mesh_wire.h"
#include "router/records.h"
#include "router/topology.h"

namespace weft::router {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A dial, a handshake or a verdict that takes longer is not going to work: five round trips of the
// worst satellite link.
inline constexpr Duration kHandshakeMax = seconds(5);
// A sign of life each second; five missed ones in a row are a lost connection. Shorter would take a
// busy host for a dead one.
inline constexpr Duration kHeartbeatInterval = seconds(1);
inline constexpr Duration kSilenceMax = seconds(5);
// Time in which our own process did not run says nothing about others.
inline constexpr Duration kStarvedMin = seconds(2);
// How long an earlier run of an agent has to prove that it is alive before a later one replaces it.
inline constexpr Duration kChallengeMax = seconds(1);
// Accepted connections that have not proved anything yet; memory and CPU for strangers. A member
// proves itself within a round trip. The second is for one source: many hosts may share a NAT.
inline constexpr std::size_t kStrangersMax = 64;
inline constexpr std::size_t kSourceStrangersMax = 16;
// Keys change this often, so that a stolen one opens little. Nobody notices the cost: one block.
inline constexpr Duration kRekeyInterval = std::chrono::minutes(5);
// Refused connections are shown for this long after their last attempt, which is longer than the
// longest pause between two attempts of one peer.
inline constexpr Duration kRefusalShown = std::chrono::minutes(2);
inline constexpr std::size_t kRefusalsMax = 64;
// Warnings are repeated by whatever causes them; without it they go.
inline constexpr Duration kWarningShown = std::chrono::minutes(10);
inline constexpr std::size_t kWarningsMax = 16;
// Addresses that others see us at: one per network we are behind.
inline constexpr std::size_t kObservedMax = 4;
// Our Peer record follows our connections after this delay: a joining peer makes many at once.
inline constexpr Duration kStatementDelay = milliseconds(100);
// The same for paths after other peers' records changed.
inline constexpr Duration kTopologyDelay = milliseconds(100);
// While everything changes, neither happens more often than this.
inline constexpr Duration kStatementInterval = milliseconds(500);
inline constexpr Duration kTopologyInterval = milliseconds(500);
// News of others is passed on after a tenth to all of this: several items travel together, and a
// neighbour that has them already says so in the meantime. Full meshes relay nothing.
inline constexpr Duration kRelayDelay = milliseconds(120);
// Bytes of records per frame, and the pause between two frames to one neighbour: 12 MB/s at most,
// far below the send queue of the shell.
inline constexpr std::size_t kDeltaBytesMax = 256U << 10U;
inline constexpr Duration kDeltaPause = milliseconds(20);
// Digests that open connections go out this far apart: by the time the second neighbour hears what
// we lack, the first has told us most of it.
inline constexpr Duration kDigestPace = milliseconds(50);
// One neighbour is asked whether it knows the same.
inline constexpr Duration kRepairInterval = seconds(10);
// After a start, modules state their records anew within a few seconds; dockerd may take longer to
// come up. What was not restated by then is gone.
inline constexpr Duration kRestateGrace = seconds(30);
// An unreachable peer is forgotten after a day: longer than any outage that is being repaired.
inline constexpr Duration kForgetAfter = hours(24);
inline constexpr Duration kDiscoveryInterval = seconds(1);
// Of two peers the lower name dials at once, the other after this, in case the first cannot.
inline constexpr Duration kSecondDialDelay = seconds(3);
// The first `degree` connections of a full mesh are made at once, each further one this much later:
// a cluster that is starting up learns how large it is before everybody has dialled everybody.
inline constexpr Duration kFullMeshPace = milliseconds(150);
// Unreachable peers tried at a time, in clusters too large to try all.
inline constexpr std::size_t kRescueCount = 4;
// Before, it may be that we only have not heard yet how to reach them.
inline constexpr Duration kRescueAfter = seconds(2);
// Failures remembered in order to report each once.
inline constexpr std::size_t kReportedMax = 1024;

class Mesh::Impl {
 public:
  Impl(Options options, Rng rng, Entropy& entropy);

  void connect(TimePoint now, const std::string& target, MeshActions& out);
  void forget(TimePoint now, const std::string& target, MeshActions& out);
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
  std::vector<PeerStatus> peers() const;
  std::optional<PeerStatus> peer(PeerName name) const;
  std::vector<ConnectionStatus> connections() const;
  std::vector<std::string> targets() const;
  std::vector<std::string> warnings() const;
  MeshStats stats() const;
  void check_invariants() const;

 private:
  enum class Stage : std::uint8_t { Dialling, Handshake, Verdict, Up };

  struct Link {
    LinkId id;
    Stage stage = Stage::Dialling;
    bool outbound = false;
    std::optional<Goal> goal;  // Why we dialled.
    std::string address;       // As dialled, or the remote endpoint.
    Endpoint remote;
    std::uint64_t dial_serial = 0;
    std::unique_ptr<Channel> channel;
    TimePoint deadline = kNever;  // Of the stage, before Up.
    TimePoint heard;
    TimePoint sent;
    // From the handshake:
    Hello hello;
    PublicKey key{};
    bool authenticated = false;
    TimePoint rekey_due = kNever;
    // Verdicts:
    bool accept_sent = false;
    bool accept_received = false;
    bool duplicate = false;       // Refused because there is another; nothing to tell anybody.
    std::uint64_t challenge = 0;  // Nonce; an earlier run is being asked whether it is alive.
    TimePoint challenge_deadline = kNever;
    // Records: what the neighbour is known to hold, and what it has yet to get from us.
    TimePoint digest_due = kNever;  // Ours, that opens the connection.
    bool digest_received = false;
    Digest known;
    std::set<PeerName> owed;
    TimePoint pump_due = kNever;
  };
  // Connections from one address that came to nothing.
  struct Refusal {
    std::string reason;
    std::uint64_t count = 0;
    TimePoint last;
  };
  struct Rescue {
    TimePoint due = kNever;
    Duration backoff{};
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

  // mesh_links.cc
  void dial(TimePoint now, const Goal& goal, MeshActions& out);
  Channel::Options channel_options(const Link& link) const;
  void start_channel(TimePoint now, Link& link, MeshActions& out);
  void on_event(TimePoint now, LinkId id, Channel::Event event, MeshActions& out);
  void on_established(TimePoint now, Link& link, Channel::Established event, MeshActions& out);
  void on_frame(TimePoint now, Link& link, ByteView frame, MeshActions& out);
  void on_refusal(const Link& link, const Verdict& verdict);
  void on_verdict(TimePoint now, Link& link, const Verdict& verdict, MeshActions& out);
  static std::string clone_text(PeerName peer);
  Verdict judge(const Link& link) const;
  Verdict judge_rival(const Link& link, const Link& rival) const;
  bool wins(const Link& link, const Link& rival) const;
  const Link* rival_of(const Link& link) const;
  std::optional<Incarnation> earlier_run(const Link& link) const;
  void decide(TimePoint now, Link& link, MeshActions& out);
  void accept(TimePoint now, Link& link, MeshActions& out);
  void refuse(TimePoint now, Link& link, const Verdict& verdict, MeshActions& out);
  void go_up(TimePoint now, Link& link, MeshActions& out);
  void drop(TimePoint now, LinkId id, const std::string& reason, MeshActions& out);
  void report_failure(const Link& link, const std::string& reason, MeshActions& out);
  void settle_goal(TimePoint now, const Link& link, const std::string& reason);
  void send_message(TimePoint now, Link& link, const Message& message, MeshActions& out);
  void flush(TimePoint now, Link& link, Channel::Output& output, MeshActions& out);
  void run_links(TimePoint now, MeshActions& out);
  TimePoint link_deadline(const Link& link) const;
  Link* up_link(PeerName peer);

  // mesh_gossip.cc
  void on_message(TimePoint now, Link& link, const Message& message, MeshActions& out);
  void on_digest(TimePoint now, Link& link, const DigestMessage& message, MeshActions& out);
  void on_delta(TimePoint now, Link& link, const Delta& delta, MeshActions& out);
  void report_clone(const std::string& how, MeshActions& out);
  void on_routed(TimePoint now, Link& link, const Routed& routed, MeshActions& out);
  void deliver(TimePoint now, const Routed& routed, MeshActions& out);
  bool route(TimePoint now, const Routed& routed, MeshActions& out);
  void owe_all(TimePoint now, Link& link);
  void pump(TimePoint now, Link& link, MeshActions& out);
  void pass_on_news(TimePoint now);
  bool hears_elsewhere(PeerName neighbour, PeerName origin, std::optional<PeerName> from) const;
  void run_gossip(TimePoint now, MeshActions& out);

  // mesh_discovery.cc
  void on_peer_record(TimePoint now, const RecordChanged& change);
  void state_self(TimePoint now);
  void state_self_soon(TimePoint now);
  PeerInfo own_info() const;
  void note_unreachable(TimePoint now, PeerName peer);
  void update_topology(TimePoint now, MeshActions& out);
  void discover(TimePoint now, MeshActions& out);
  void seek_everyone(TimePoint now);
  void seek_some(TimePoint now, MeshActions& out);
  void seek_unreachable(TimePoint now);
  void trim(TimePoint now, MeshActions& out);
  std::vector<Target> addresses_of(PeerName peer) const;
  bool everyone() const { return infos_.size() + 1 <= options_.full_mesh_max; }
  void forget_the_dead(TimePoint now, MeshActions& out);
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
  std::map<PeerName, std::size_t> dial_attempts_;
  std::map<std::string, std::string> reported_;  // Address -> last failure reported.
  std::vector<Psk> passwords_;                   // Preferred first; none: anybody may join.
  Admission admission_{Admission::Options{}};
  std::map<Ip, Refusal> refusals_;             // By where they came from.
  std::map<std::string, TimePoint> warnings_;  // Text -> when there last was a reason for it.

  RecordStore store_;
  std::map<PeerName, PeerInfo> infos_;  // Decoded Peer records of others.
  Topology topology_;
  std::map<PeerName, TimePoint> unreachable_since_;
  std::map<PeerName, TimePoint> buried_;
  std::map<PeerName, std::optional<PeerName>> news_;  // Origin -> from whom, if not ourselves.
  Rescue rescue_;

  TimePoint next_digest_;  // Not before.
  TimePoint last_statement_;
  TimePoint last_topology_;
  TimePoint statement_due_ = kNever;
  TimePoint topology_due_ = kNever;
  TimePoint relay_due_ = kNever;
  TimePoint repair_due_ = kNever;
  TimePoint restate_due_ = kNever;
  TimePoint discovery_due_ = kNever;
  MeshStats stats_;
};

}  // namespace weft::router
