// The control mesh of one peer: whom to connect to, who is there, what they say, how to reach them.
//
// Sans-IO. The shell (router/io/mesh_service.h) opens TCP connections when told to Dial, feeds what
// arrives, and carries out the actions. Every link runs the Noise handshake (router/channel.h)
// before anything else is believed. Membership and topology are records (base/records.h) replicated
// along a broadcast tree and repaired by reconciliation (router/overlay/broadcast.h, reconcile.h):
// each peer's own Links record lists its neighbours, so every peer can compute who is reachable,
// the next hop to it, and the tree along which a broadcast of anybody travels.
//
// Inputs are total: any bytes from any link leave the mesh valid; the worst they do is close that
// link. Not thread safe; lives on the control strand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/gossip.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "base/rng.h"
#include "base/strong_id.h"
#include "base/time.h"
#include "router/frame_kind.h"
#include "router/keys.h"
#include "router/overlay/broadcast.h"
#include "router/overlay/topology.h"

namespace weft::router {

class RecordPool;

using LinkId = StrongId<struct LinkIdTag>;

// Actions -------------------------------------------------------------------------------------

// Open a TCP connection to `host` (name or address), or to one of `others`, in this order of
// preference. Answer with on_connected or on_link_closed.
struct Dial {
  LinkId link;
  std::string host;
  std::uint16_t port = 0;
  std::vector<Endpoint> others{};  // Where else the same peer may be.

  friend bool operator==(const Dial&, const Dial&) = default;
};

struct SendBytes {
  LinkId link;
  Bytes bytes;

  friend bool operator==(const SendBytes&, const SendBytes&) = default;
};

// Close after what was sent has left. on_link_closed() need not follow; it does no harm.
struct CloseLink {
  LinkId link;
  std::string reason;

  friend bool operator==(const CloseLink&, const CloseLink&) = default;
};

// A direct, authenticated connection exists / is gone. `underlay` is the address seen on it. Comes
// again without a NeighbourDown in between when another connection to the peer takes over; what was
// sent on the first may be lost then, so greet the neighbour anew.
struct NeighbourUp {
  PeerName peer;
  Ip underlay;

  friend bool operator==(const NeighbourUp&, const NeighbourUp&) = default;
};
struct NeighbourDown {
  PeerName peer;

  friend bool operator==(const NeighbourDown&, const NeighbourDown&) = default;
};

// The peer can / can no longer be reached over any chain of neighbours. Its records stay.
struct PeerReachable {
  PeerName peer;

  friend bool operator==(const PeerReachable&, const PeerReachable&) = default;
};
struct PeerUnreachable {
  PeerName peer;

  friend bool operator==(const PeerUnreachable&, const PeerUnreachable&) = default;
};

// A payload for a module (base/gossip.h), from a neighbour or from afar.
struct Deliver {
  PeerName from;
  Topic topic = Topic::Ring;
  Bytes payload;

  friend bool operator==(const Deliver&, const Deliver&) = default;
};

// Others know a later run of our name than this one, which is fresh, and whoever that was is gone:
// this host has lost its store. Started again as a later run than `earlier`, it is let in.
struct Outrun {
  Incarnation earlier;

  friend bool operator==(const Outrun&, const Outrun&) = default;
};

// Something an operator may want to read, decided here, logged once by the shell.
struct MeshEvent {
  enum class Level : std::uint8_t { Info, Warning };
  Level level = Level::Info;
  std::string what;    // Fixed text, such as "connection established".
  std::string peer;    // Name and nickname, or the address while unknown.
  std::string detail;  // Why.

  friend bool operator==(const MeshEvent&, const MeshEvent&) = default;
};

using MeshAction = std::variant<Dial,
                                SendBytes,
                                CloseLink,
                                NeighbourUp,
                                NeighbourDown,
                                PeerReachable,
                                PeerUnreachable,
                                RecordChanged,
                                Deliver,
                                Outrun,
                                MeshEvent>;
using MeshActions = std::vector<MeshAction>;

// What can be seen -----------------------------------------------------------------------------

enum class ConnectionState : std::uint8_t { Connecting, Pending, Established, Retrying, Failed };

struct ConnectionStatus {
  std::string address;  // The remote endpoint; while there is none, host:port as dialled.
  bool outbound = false;
  ConnectionState state = ConnectionState::Connecting;
  std::optional<PeerName> peer;  // Known once the handshake is done.
  std::string nickname;
  bool authenticated = false;  // Both proved the password; false = encrypted only.
  bool old_password = false;   // It was another one than the one preferred here.
  // Measured by the heartbeats, once Established.
  std::optional<Duration> rtt;
  Duration jitter{};
  double loss_percent = 0;       // Late heartbeats: TCP had to send something again.
  Broadcast::Queue queue{};      // News that waits for the other end.
  LinkId link{};                 // Of this connection, if it exists; the shell knows its socket.
  std::size_t unsent_bytes = 0;  // Wait for that socket; the shell's to fill in.
  std::string reason;            // Why it is in this state; when the next attempt is due.
};

struct PeerStatus {
  PeerName name;
  std::string nickname;
  Incarnation incarnation;
  std::string version;
  bool self = false;
  bool reachable = false;
  std::optional<PeerName> next_hop;  // Nothing for ourselves and for unreachable peers.
  std::vector<Ip> underlay;          // Its addresses, best first: as we see it, as it says.
  std::uint16_t port = 0;            // Where it listens.
  PublicKey key{};                   // Its static key.
  std::vector<PeerName> neighbours;
  std::optional<Duration> latency{};  // There and back along the path, as the links on it measure.
  std::string reason{};               // Why it is reachable or not.
};

// Connections that were refused before they were used, by us or by the other side, and what they
// cost.
struct HandshakeStats {
  std::uint64_t accepted = 0;     // Came in.
  std::uint64_t established = 0;  // Came into use, in and out.
  std::uint64_t terminated = 0;   // Were in use and ended.
  std::uint64_t password = 0;     // Refused: the other side does not know the password.
  std::uint64_t version = 0;      // No protocol version in common.
  std::uint64_t busy = 0;         // Too many handshakes at once, or in a second.
  std::uint64_t clone = 0;        // Two hosts of one name, or an earlier run.
  std::uint64_t self = 0;         // Ourselves.
  std::uint64_t full = 0;         // A limit of connections or peers.
  std::uint64_t broken = 0;       // Not our protocol, or corrupted.
  std::uint64_t dh = 0;           // Multiplications on the curve.
};

struct MeshStats {
  struct Sent {
    std::uint64_t frames = 0;
    std::uint64_t bytes = 0;  // Sealed.
  };
  std::array<Sent, kFrameKinds> sent{};  // By FrameKind; the rest of bytes_out is handshakes.
  std::uint64_t deflated_from = 0;       // Bytes of frames that were deflated …
  std::uint64_t deflated_to = 0;         // … and what became of them.
  std::uint64_t frames_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t links_refused = 0;     // Over links_max, wrong password, clone, self.
  std::uint64_t frames_refused = 0;    // Malformed or over a limit.
  std::uint64_t records_refused = 0;   // Over records_max or a record's size.
  std::uint64_t payloads_dropped = 0;  // No route, hop limit, or queue full.
  HandshakeStats handshakes;
  std::uint64_t reconciliations = 0;  // Comparisons of stores begun because hashes differed.
  std::uint64_t windows_full = 0;     // Pushes put off because a neighbour is slow.
  std::uint64_t announcements_skipped = 0;
  std::uint64_t topology_updates = 0;
  std::uint64_t parts_in = 0;    // Origins in Delta frames received …
  std::uint64_t parts_news = 0;  // … and how many of them brought news.
  std::uint64_t statements = 0;  // Links records of ours.
  // Liveness (router/overlay/liveness.h).
  std::uint64_t accusations = 0;         // Of neighbours, by us.
  std::uint64_t refutations = 0;         // Of accusations of ourselves.
  std::uint64_t suspicions = 0;          // Peers that no path led to …
  std::uint64_t suspicions_cleared = 0;  // … and that were reached again in time …
  std::uint64_t suspensions = 0;         // … or not.
  unsigned health_score = 0;             // 0 is well.
};

class Mesh {
 public:
  struct Options {
    PeerName name;
    Incarnation incarnation;
    std::string nickname;
    std::string version;
    KeyPair key;                 // Static X25519 key of this host.
    std::optional<Psk> psk;      // From the cluster password; without: unauthenticated.
    std::optional<Psk> old_psk;  // Accepted as well, while the password is being replaced.
    std::uint16_t port = 6783;   // Where we listen; told to others.
    std::vector<Ip> addresses;   // Ours, best first; may be empty.
    bool discovery = true;       // Connect to peers we only heard of.
    bool fresh = false;          // The store remembers no peer: new here, or its store was lost.
    bool deflates = true;        // Frames, both ways, where the other end does (overlay/deflate.h).
    std::size_t full_mesh_max = 8;  // Up to this many peers everybody connects to everybody.
    std::size_t degree = 5;         // Beyond: connections each peer keeps (router/overlay/views.h).
    std::size_t links_max = 200;
    std::size_t peers_max = 4096;
    RecordPool* pool = nullptr;  // Shared by the meshes of one process, or nothing.
  };

  Mesh(Options options, Rng rng, Entropy& entropy);
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  // Targets: peers an operator named, "host" or "host:port". Kept and retried until forgotten.
  void connect(TimePoint now, const std::string& target, MeshActions& out);
  void forget(TimePoint now, const std::string& target, MeshActions& out);
  // Who is gone for good: forgotten once out of reach. To be told to all: who keeps it offers it.
  void dismiss(TimePoint now, PeerName peer);

  // From here on `psk` is preferred and `old_psk` accepted. Connections that stand on neither end,
  // and are dialled anew. Precondition: there was a password before.
  void set_passwords(TimePoint now,
                     const Psk& psk,
                     const std::optional<Psk>& old_psk,
                     MeshActions& out);

  // Links. An accepted connection gets its id here; a dialled one brings the id of its Dial.
  LinkId on_accepted(TimePoint now, Endpoint local, Endpoint remote, MeshActions& out);
  void on_connected(TimePoint now, LinkId link, Endpoint local, Endpoint remote, MeshActions& out);
  void on_bytes(TimePoint now, LinkId link, ByteView bytes, MeshActions& out);
  void on_link_closed(TimePoint now, LinkId link, const std::string& reason, MeshActions& out);

  // What we state, and what modules send. All of it is legal at any time, also while alone.
  void publish(TimePoint now, const PublishRecord& record, MeshActions& out);
  void send(TimePoint now, const GossipAll& gossip, MeshActions& out);
  void send(TimePoint now, const GossipTo& gossip, MeshActions& out);

  void on_deadline(TimePoint now, MeshActions& out);
  TimePoint next_deadline() const;

  // Cheap, for who asks for every frame: the neighbour on the quickest way to a peer, if there is
  // one, and whether a connection with it is in use.
  std::optional<PeerName> next_hop(PeerName peer) const;
  bool is_neighbour(PeerName peer) const;
  std::size_t peers_reachable() const;  // Without ourselves.

  std::vector<PeerStatus> peers() const;  // Ourselves first, then by name.
  std::optional<PeerStatus> peer(PeerName name) const;
  std::vector<ConnectionStatus> connections() const;  // By address.
  std::vector<std::string> targets() const;
  std::vector<std::string> warnings() const;  // What an operator has to put right.
  std::uint64_t records_hash() const;  // Two meshes that hold the same records have the same.
  MeshStats stats() const;
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
