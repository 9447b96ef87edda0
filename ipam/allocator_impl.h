// The inside of Allocator. allocator.cc serves this host's requests, allocator_mesh.cc talks to the
// other peers. Nobody else includes this.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ipam/allocator.h"
#include "ipam/asks.h"
#include "ipam/claims.h"
#include "ipam/consensus.h"
#include "ipam/messages.h"
#include "ipam/ring.h"
#include "ipam/space.h"
#include "ipam/stored.h"

namespace weft::ipam {

class Allocator::Impl {
 public:
  Impl(Options options, StoredState state, Rng rng);

  // allocator.cc
  void allocate(TimePoint now, const AllocateRequest& request, AllocatorActions& out);
  void claim(TimePoint now, RequestId id, const Owner& owner, Cidr address, AllocatorActions& out);
  bool release(TimePoint now, const Owner& owner, Ip address, AllocatorActions& out);
  std::size_t release_all(TimePoint now, const Owner& owner, AllocatorActions& out);
  void cancel(TimePoint now, RequestId id);
  void prime(TimePoint now, RequestId id, AllocatorActions& out);
  AllocatorStatus status() const;
  AllocatorStats stats() const;
  const Ring* ring() const { return ring_ ? &*ring_ : nullptr; }
  const Claims& claims() const { return claims_; }
  const Options& options() const { return options_; }
  void check_invariants() const;

  // allocator_mesh.cc
  void on_neighbour_up(PeerName peer, AllocatorActions& out);
  void on_peer_reachable(TimePoint now, PeerName peer);
  void on_peer_unreachable(PeerName peer);
  void on_gossip(
      TimePoint now, PeerName from, Topic topic, ByteView payload, AllocatorActions& out);
  void on_deadline(TimePoint now, AllocatorActions& out);
  TimePoint next_deadline() const;

 private:
  struct WaitingAllocate {
    AllocateRequest request;
    Space::Want want;
  };
  struct WaitingClaim {
    RequestId id;
    Owner owner;
    Cidr address;
  };
  struct WaitingPrime {
    RequestId id;
  };
  using Waiting = std::variant<WaitingAllocate, WaitingClaim, WaitingPrime>;

  // Requests. try_* answer at once if they can and say whether they did.
  Result<Space::Want> want_of(const AllocateRequest& request) const;
  Result<Ok> check_claim(const Owner& owner, const Cidr& address) const;
  bool try_allocate(const WaitingAllocate& waiting, AllocatorActions& out);
  bool try_claim(const WaitingClaim& waiting, AllocatorActions& out);
  bool try_waiting(const Waiting& waiting, AllocatorActions& out);
  void wait(TimePoint now, Waiting waiting, AllocatorActions& out);
  void hold(const Owner& owner, const Cidr& address, AllocatorActions& out);
  StoreWrite let_go(TimePoint now, const Ip& address);
  // Serves whoever waits, in order, then seeks what is still missing.
  void resume(TimePoint now, AllocatorActions& out);
  // Starts an election or asks other peers if somebody waits.
  void seek(TimePoint now, AllocatorActions& out);
  void refuse_claims(std::uint32_t address, const Error& reason, AllocatorActions& out);
  std::set<Asks::Want> open_wants() const;

  // The mesh.
  void on_ring(TimePoint now, PeerName from, const Ring& theirs, AllocatorActions& out);
  void on_claims(TimePoint now, PeerName from, const ElectorClaims& theirs, AllocatorActions& out);
  void on_message(TimePoint now, PeerName from, const PeerMessage& message, AllocatorActions& out);
  void on_space_request(
      TimePoint now, PeerName from, std::uint64_t id, Space::Want want, AllocatorActions& out);
  void on_claim_request(
      TimePoint now, PeerName from, std::uint64_t id, std::uint32_t address, AllocatorActions& out);
  void on_digest(TimePoint now, PeerName from, std::uint64_t digest, AllocatorActions& out);
  void adopt(TimePoint now, Ring ring, std::optional<PeerName> except, AllocatorActions& out);
  void merge(TimePoint now, PeerName from, const Ring& theirs, AllocatorActions& out);
  // False if it would take an address from us that somebody here holds.
  bool replace_ring(Ring merged);
  void donate(const Span& block, PeerName to, std::uint64_t id, AllocatorActions& out);
  void deny(TimePoint now, PeerName to, std::uint64_t id, Denial denial, AllocatorActions& out);
  // States our free space anew where what we said misleads; adds the tokens to `changed`.
  void restate_free_counts(std::set<std::uint32_t>& changed);
  void report_free_counts(AllocatorActions& out);
  void apply(TimePoint now, Consensus::Change change, PeerName from, AllocatorActions& out);
  void perform(Asks::Steps steps, AllocatorActions& out);
  void flush_news(AllocatorActions& out);
  void send_digest(TimePoint now, AllocatorActions& out);
  void note_conflict(PeerName from, const Error& error);
  void owe(TimePoint now, PeerName peer);
  void send_to(PeerName to, Topic topic, Bytes payload, AllocatorActions& out);
  void send_all(std::optional<PeerName> except, Bytes payload, AllocatorActions& out);
  Bytes encode_state() const;  // The ring, or our claims while there is none.
  Asks::View view() const { return {.ring = *ring_, .reachable = reachable_}; }

  void persist(StoreBatch batch, AllocatorActions& out);
  void persist_entries(const std::set<std::uint32_t>& tokens, AllocatorActions& out);

  Options options_;
  Span range_;
  Rng rng_;
  bool has_meta_ = false;
  bool is_provoked_ = false;  // Somebody who has no vote needs a ring.
  std::optional<Ring> ring_;
  std::optional<Consensus> consensus_;  // Until the ring exists.
  Space space_;
  Claims claims_;
  Asks asks_;
  std::list<Waiting> waiting_;
  std::set<PeerName> reachable_;
  std::map<PeerName, std::uint64_t> last_granted_;  // Request ids, to recognise repetitions.

  std::set<PeerName> owed_;  // Who showed us a state older than ours.
  bool has_news_ = false;    // For every neighbour but news_from_, if there is one.
  std::optional<PeerName> news_from_;
  TimePoint flush_due_ = kNever;
  TimePoint report_due_ = kNever;
  TimePoint digest_due_ = kNever;
  std::string conflict_;
  AllocatorStats stats_;
};

}  // namespace weft::ipam
