// Hands out addresses of one range, of IPv4 or of IPv6, shared by all peers, without any central
// store.
//
// Each peer owns parts of the range (ipam/ring.h, a CRDT) and hands out what it owns on its own; a
// peer that runs dry asks one that has space (donation). Until the ring exists, requests wait; the
// first ring is agreed by single-decree Paxos among the first peers (ipam/consensus.h), which then
// share the range out deterministically by sorted name. What a dead peer owns is taken over by
// decree of a council (docs/adr/0010).
//
// Crash safety: an action that lets others act on a change (Answer, Gossip…) always follows the
// Persist that makes the change durable. Sans-IO; control strand only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/gossip.h"
#include "base/peer_name.h"
#include "base/request.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/store_batch.h"
#include "base/time.h"
#include "ipam/span.h"

namespace weft::ipam {

// Whose address it is: a container id, "docker/<pool>" or a reserved owner such as "weft:expose".
using Owner = std::string;

struct Persist {
  StoreBatch batch;

  friend bool operator==(const Persist&, const Persist&) = default;
};

// The end of an allocate, claim or prime. The CIDR has the address with the prefix of its subnet.
struct Answer {
  RequestId request;
  Result<Cidr> result;
  bool is_new = false;  // Handed out just now, and only as long as may_hand_out() is true.
};

// The end of remove_peer or leave: how many addresses changed hands.
struct PeerRemoved {
  RequestId request;
  Result<std::uint64_t> address_count;
};

// A decree says that the peer left or was removed: it has neither space nor a seat.
struct PeerGone {
  PeerName peer;
};

using AllocatorAction = std::variant<Persist, Answer, PeerRemoved, PeerGone, GossipAll, GossipTo>;
using AllocatorActions = std::vector<AllocatorAction>;

struct RangeStatus {
  PeerName owner;
  Uint128 address_count = 0;     // Owned in the ring.
  std::uint64_t used_count = 0;  // Known for ourselves only.
  bool reachable = true;
};

// What happened since the start.
struct AllocatorStats {
  std::uint64_t invalid_count = 0;    // Messages that did not decode.
  std::uint64_t conflict_count = 0;   // Rings refused, wholly or in part.
  std::uint64_t misfit_count = 0;     // Parts of rings that did not fit ours; we asked.
  std::uint64_t refused_count = 0;    // Requests, peers and electors beyond a limit.
  std::uint64_t granted_count = 0;    // Blocks given away.
  std::uint64_t denied_count = 0;     // Questions for space answered with no.
  std::uint64_t asked_count = 0;      // Questions put to others.
  std::uint64_t oversized_count = 0;  // Payloads of ours too large to send.
  std::uint64_t decree_count = 0;     // Decrees that we brought about.
};

// One entry of the ring.
struct PieceStatus {
  Ip first;
  Uint128 address_count = 0;
  PeerName owner;
  std::uint64_t version = 0;
};

// A request that waits. Of many, as a storm leaves, people read the first.
inline constexpr std::size_t kPendingShown = 100;
struct PendingStatus {
  std::string owner;
  Cidr cidr;  // The address of a claim, else the subnet.
  bool is_claim = false;
};

// The first ring's election.
struct ElectionStatus {
  bool is_elector = true;
  std::size_t known_count = 0;
  std::size_t quorum = 0;
};

struct AllocatorStatus {
  enum class State : std::uint8_t {
    Idle,
    AwaitingConsensus,
    Priming,  // An observer's wait for the ring of others.
    Ready,
    WaitingForSpace,
    Suspended,  // No majority of the council has heard us: nothing new is handed out.
  };
  State state = State::Idle;
  std::string detail;  // Such as "quorum: 2, known: 1"; empty when Ready.
  Cidr range;          // no_range() (ipam/claims.h) where nothing is handed out.
  Cidr default_subnet;
  std::vector<RangeStatus> ranges;           // Ourselves first, then by name.
  std::uint64_t pending_count = 0;           // Requests that wait,
  std::uint64_t pending_claim_count = 0;     // of these, for one address.
  std::vector<PieceStatus> pieces{};         // Ascending; none while there is no ring.
  std::vector<PendingStatus> pending{};      // The first kPendingShown of them, in turn.
  std::optional<ElectionStatus> election{};  // While there is no ring.
  std::uint64_t decree = 0;                  // The epoch of all ranges.
  std::vector<PeerName> council{};           // Empty while there is no ring.
  // The last disagreement with another peer's ring: other range, other seeds, an address owned
  // twice. Such a ring is not taken over; everything else goes on.
  std::string conflict;
  AllocatorStats stats{};

  bool has_range() const;  // Else what is claimed is recorded, and that is all.
};

class Ring;

class Allocator {
 public:
  struct Options {
    PeerName self;
    Cidr range;           // Host bits zero, at least 4 addresses.
    Cidr default_subnet;  // Overlaps the range.
    // Electors for the first ring, ourselves included; quorum = n/2 + 1.
    std::size_t elector_count = 1;
    // Ascending; if there are any, the ring is shared out among them without an election.
    std::vector<PeerName> seeds{};
    // Never an elector: gets its space from others.
    bool observer = false;
    // False if a peer of this name may have lived before and have lost its store.
    bool is_known_new = true;
    // A ring is awaited from others for so long before one is founded: of a host that has lost its
    // store, they may have one.
    Duration founding_delay{};
    // A peer that a majority of the council has missed for so long loses its used addresses too;
    // zero: never. The operator vouches that no such peer's containers run. Longer than the time of
    // silence after which its free space goes (docs/adr/0010).
    Duration forfeit_after{};
  };
  // Tables this core keeps: "ipam_ring", "ipam_owned", "ipam_paxos", "ipam_council". `load` them
  // all into `stored`.
  struct Stored {
    StoreTable ring;
    StoreTable owned;
    StoreTable paxos;
    StoreTable council{};
  };

  // Fails when the stored state belongs to another range or does not decode.
  static Result<std::unique_ptr<Allocator>> create(Options options, const Stored& stored, Rng rng);
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // The lowest free address of `subnet` within what we own; the same owner and subnet get the same
  // answer again unless `fresh`. Never the network or broadcast address of the subnet. Waits for a
  // ring or for space.
  struct AllocateRequest {
    RequestId id;
    Owner owner;
    Cidr subnet;
    std::optional<Cidr> within;  // Docker's --ip-range.
    bool fresh = false;          // An owner that may hold many: Docker's pools.
    bool anonymous = false;      // Held under its own text; `owner` does not count.
  };
  void allocate(TimePoint now, const AllocateRequest& request, AllocatorActions& out);
  // This very address for this owner. Outside the range it is only recorded. A refusal names the
  // holder.
  void claim(TimePoint now, RequestId id, const Owner& owner, Cidr address, AllocatorActions& out);
  // True if the owner held it.
  bool release(TimePoint now, const Owner& owner, Ip address, AllocatorActions& out);
  std::size_t release_all(TimePoint now, const Owner& owner, AllocatorActions& out);
  // Forgets a waiting request; its Answer will not come.
  void cancel(TimePoint now, RequestId id, AllocatorActions& out);
  // Answers once the ring exists.
  void prime(TimePoint now, RequestId id, AllocatorActions& out);
  // Takes all that a peer owns, its used addresses too: the caller vouches that it is gone for
  // good.
  void remove_peer(TimePoint now, RequestId id, PeerName peer, AllocatorActions& out);
  // Gives all we own to another peer and hands out nothing any more.
  void leave(TimePoint now, RequestId id, AllocatorActions& out);
  // Whether what was handed out by an action of ours may be told now. To be asked again once it has
  // been stored: the process may have been frozen in between.
  bool may_hand_out(TimePoint now) const;

  // From the mesh.
  void on_neighbour_up(TimePoint now, PeerName peer, AllocatorActions& out);
  void on_peer_reachable(TimePoint now, PeerName peer, AllocatorActions& out);
  void on_peer_unreachable(TimePoint now, PeerName peer, AllocatorActions& out);
  void on_gossip(
      TimePoint now, PeerName from, Topic topic, ByteView payload, AllocatorActions& out);

  void on_deadline(TimePoint now, AllocatorActions& out);
  TimePoint next_deadline() const;

  AllocatorStatus status() const;
  AllocatorStats stats() const;
  const Ring* ring() const;  // Null until it exists.
  // Addresses that we hold as their owner or may hand out without anybody's further word: those of
  // any two peers are disjoint at any time.
  IntervalSet authority() const;
  std::vector<std::pair<Owner, Cidr>> held() const;
  std::vector<Cidr> held_by(const Owner& owner) const;  // Ascending.
  const Options& options() const;
  void check_invariants() const;

 private:
  class Impl;
  explicit Allocator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::ipam
