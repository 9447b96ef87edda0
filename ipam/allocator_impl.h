// The inside of Allocator. allocator.cc serves this host's requests, allocator_mesh.cc talks to the
// other peers, news/election_news.cc about the first ring, allocator_council.cc to the council.
// Nobody else includes this.
#pragma once

#include <chrono>
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
#include "ipam/council/proposal.h"
#include "ipam/council/tenure.h"
#include "ipam/council/voter.h"
#include "ipam/messages.h"
#include "ipam/news/ring_news.h"
#include "ipam/ring.h"
#include "ipam/space.h"
#include "ipam/stored.h"

namespace weft::ipam {

// Space that appears is news for those who wait for it; space that goes is not urgent.
inline constexpr Duration kReportSoon = std::chrono::seconds(1);

// News is told, and replies to those who lag are sent, this much later, so that a burst of changes
// is one message and not one each.
inline constexpr Duration kNewsDelay = std::chrono::milliseconds(50);

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
  void describe_waiting(AllocatorStatus& status) const;
  AllocatorStats stats() const;
  const Ring* ring() const { return ring_ ? &*ring_ : nullptr; }
  const Claims& claims() const { return claims_; }
  IntervalSet authority() const { return space_.authority(); }
  const Options& options() const { return options_; }
  // The time of the first input: what depends on the stored state and the time begins.
  void start(TimePoint now, AllocatorActions& out);
  void check_invariants() const;

  // allocator_mesh.cc
  void on_neighbour_up(PeerName peer, AllocatorActions& out);
  void on_peer_reachable(TimePoint now, PeerName peer);
  void on_peer_unreachable(TimePoint now, PeerName peer);
  void on_gossip(
      TimePoint now, PeerName from, Topic topic, ByteView payload, AllocatorActions& out);
  void on_deadline(TimePoint now, AllocatorActions& out);
  TimePoint next_deadline() const;

  // allocator_council.cc
  bool may_hand_out(TimePoint now) const;
  bool is_suspended(TimePoint now) const;
  void remove_peer(TimePoint now, RequestId id, PeerName peer, AllocatorActions& out);
  void leave(TimePoint now, RequestId id, AllocatorActions& out);

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
  bool try_allocate(TimePoint now, const WaitingAllocate& waiting, AllocatorActions& out);
  bool try_claim(TimePoint now, const WaitingClaim& waiting, AllocatorActions& out);
  bool try_waiting(TimePoint now, const Waiting& waiting, AllocatorActions& out);
  // The addresses that would serve a request; nothing if any or none would.
  std::optional<Span> usable_of(const Waiting& waiting) const;
  // Makes own free space ready for those who wait for it.
  void warm_wanted(TimePoint now, AllocatorActions& out);
  void wait(TimePoint now, Waiting waiting, AllocatorActions& out);
  void hold(const Owner& owner, const Cidr& address, AllocatorActions& out);
  StoreWrite let_go(TimePoint now, const Ip& address);
  // Serves whoever waits, in order, then seeks what is still missing.
  void resume(TimePoint now, AllocatorActions& out);
  // Starts an election or asks other peers if somebody waits.
  void seek(TimePoint now, AllocatorActions& out);
  void refuse_claims(Uint128 address, const Error& reason, AllocatorActions& out);
  std::set<Asks::Want> open_wants() const;

  // The council.
  enum class Knowledge : std::uint8_t {
    None,   // We had no ring before: perhaps we have lost one, and a seat's memory with it.
    Seat,   // We took part in what came before; others may have changed the ring since.
    Whole,  // It is ours, or follows from the first sharing.
  };
  struct Removal {
    RequestId id;
    PeerName peer;
    PeerName heir;
    std::uint64_t address_count = 0;
    TimePoint deadline{};
  };
  struct Leaving {
    RequestId id;
    TimePoint until{};
  };
  std::optional<PeerName> find_heir() const;
  void resume_leaving(TimePoint now, AllocatorActions& out);
  void note_departed(const Charter& decreed, AllocatorActions& out);
  bool has_part(PeerName peer) const;
  bool has_nothing_left() const;
  void take_seat(TimePoint now, Voter::Memory memory);
  // The rows of the decree in force, to be written together with those of its ring.
  void append_decree(Knowledge knowledge, StoreBatch& batch) const;
  void enter_decree(TimePoint now, Knowledge knowledge, AllocatorActions& out);
  void register_space(TimePoint now, IntervalSet cold, AllocatorActions& out);
  void withhold();
  void renew(TimePoint now, AllocatorActions& out);
  Duration renewal_interval(TimePoint now) const;
  // For somebody who waits until we may hand out again.
  void renew_at_once(TimePoint now, AllocatorActions& out);
  bool has_time_to_hand_out(TimePoint now) const;
  void on_handed_out(TimePoint now);
  void consider_soon(TimePoint now);
  bool acknowledge_own(TimePoint now, AllocatorActions& out);
  void persist_registration(PeerName peer, AllocatorActions& out);
  void on_more_counts(TimePoint now, AllocatorActions& out);
  bool warm(TimePoint now, const Span& usable, AllocatorActions& out);
  void on_gained(TimePoint now, const std::vector<Span>& gained, AllocatorActions& out);
  void cool(TimePoint now, AllocatorActions& out);
  void on_register(TimePoint now, PeerName from, const Register& word, AllocatorActions& out);
  void on_registered(TimePoint now, PeerName from, const Registered& answer, AllocatorActions& out);
  void on_prepare(TimePoint now, PeerName from, const Prepare& prepare, AllocatorActions& out);
  void on_accept(TimePoint now, PeerName from, const Accept& accept, AllocatorActions& out);
  void on_vote(TimePoint now, PeerName from, const Promise& promise, AllocatorActions& out);
  void on_vote(TimePoint now, PeerName from, const Accepted& accepted, AllocatorActions& out);
  void on_vote(TimePoint now, PeerName from, const Rebuff& rebuff, AllocatorActions& out);
  template <class Body>
  void answer_proposer(TimePoint now, PeerName to, Body body, AllocatorActions& out);
  template <class Question>
  void ask_council(TimePoint now, const Question& question, AllocatorActions& out);
  bool is_decree_due(TimePoint now) const;
  std::set<PeerName> forfeited(TimePoint now) const;
  bool is_forfeiture_due(TimePoint now) const;
  void note_alive(TimePoint now, PeerName peer);
  Promise own_promise(TimePoint now) const;
  void consider_decree(TimePoint now, AllocatorActions& out);
  void propose(TimePoint now, Proposal::Aim aim, AllocatorActions& out);
  void unseal_alone(TimePoint now, AllocatorActions& out);
  void forget_all(AllocatorActions& out);
  void pursue_removal(TimePoint now, AllocatorActions& out);
  // The peer of a council of two without whom we cannot go on, if it is missing.
  std::optional<PeerName> missing_witness() const;
  void on_council_deadline(TimePoint now, AllocatorActions& out);
  TimePoint next_council_deadline() const;

  // The election.
  void on_claims(TimePoint now,
                 PeerName from,
                 const ElectorClaims& theirs,
                 Consensus::Extent extent,
                 AllocatorActions& out);
  void apply(TimePoint now, Consensus::Change change, PeerName from, AllocatorActions& out);
  void owe_claims(TimePoint now, PeerName peer, const std::set<PeerName>& electors);
  PeerName first_elector() const;
  Duration news_delay() const;
  void flush_claims(AllocatorActions& out);

  // The mesh.
  bool knows(const Ring& theirs, PeerName owner) const;
  void on_ring(TimePoint now, PeerName from, const Ring& theirs, AllocatorActions& out);
  void on_message(TimePoint now, PeerName from, const PeerMessage& message, AllocatorActions& out);
  void on_space_request(
      TimePoint now, PeerName from, std::uint64_t id, Space::Want want, AllocatorActions& out);
  void on_claim_request(
      TimePoint now, PeerName from, std::uint64_t id, Uint128 address, AllocatorActions& out);
  void on_digest(TimePoint now, PeerName from, std::uint64_t digest, AllocatorActions& out);
  void adopt(TimePoint now,
             Ring ring,
             std::optional<PeerName> except,
             Knowledge knowledge,
             AllocatorActions& out);
  void on_part(TimePoint now, PeerName from, const Ring::Part& theirs, AllocatorActions& out);
  void merge(TimePoint now, PeerName from, const Ring& theirs, AllocatorActions& out);
  // What a merge made of our ring.
  void take_over(TimePoint now,
                 PeerName from,
                 Ring merged,
                 const Ring::Merged& outcome,
                 AllocatorActions& out);
  // False if a ring of the same decree would take an address from us that somebody here holds.
  // Adds what became ours.
  bool replace_ring(Ring merged, std::vector<Span>& gained);
  void mark_held_in(const Span& span);
  // Of two rings founded apart, whether ours gives way to theirs.
  bool yields_to(const Ring& theirs) const;
  void reserve_inherited(TimePoint now, const std::vector<Span>& gained);
  void give_up_ring(TimePoint now, PeerName from, const Ring& theirs, AllocatorActions& out);
  void donate(
      TimePoint now, const Span& block, PeerName to, std::uint64_t id, AllocatorActions& out);
  void deny(TimePoint now, PeerName to, std::uint64_t id, Denial denial, AllocatorActions& out);
  // States our free space anew where what we said misleads; adds the tokens to `changed`.
  void restate_free_counts(std::set<Uint128>& changed);
  void report_free_counts(TimePoint now, AllocatorActions& out);
  // We have changed these entries ourselves.
  void publish(TimePoint now, const std::set<Uint128>& tokens, AllocatorActions& out);
  void perform(Asks::Steps steps, AllocatorActions& out);
  void flush_news(AllocatorActions& out);
  void send_digest(TimePoint now, AllocatorActions& out);
  void note_conflict(PeerName from, const Error& error);
  bool is_our_range(PeerName from, const std::optional<Cidr>& theirs);
  void owe(TimePoint now, PeerName peer);
  void send_to(PeerName to, Topic topic, Bytes payload, AllocatorActions& out);
  void send_all(std::optional<PeerName> except, Bytes payload, AllocatorActions& out);
  Asks::View view() const { return {.ring = *ring_, .reachable = reachable_}; }

  void persist(StoreBatch batch, AllocatorActions& out);
  void append_entries(const std::set<Uint128>& tokens, StoreBatch& batch) const;

  Options options_;
  Span range_;
  Rng rng_;
  bool has_meta_ = false;
  bool is_provoked_ = false;           // Somebody who has no vote needs a ring.
  TimePoint founding_due_ = kNever;    // No ring is founded before.
  TimePoint founding_retry_ = kNever;  // Somebody waits for that.
  std::optional<Ring> ring_;
  std::optional<Consensus> consensus_;  // Until the ring exists.
  Space space_;
  Claims claims_;
  // Held here, inside the range, and another peer's in the ring: we ask for them. True for those
  // that were given out again elsewhere.
  std::map<Uint128, bool> strays_;
  Asks asks_;

  bool is_started_ = false;
  bool has_left_ = false;
  Registration stored_word_;
  std::optional<Voter::Memory> stored_vote_;
  Tenure tenure_;
  std::optional<Voter> voter_;
  Proposal proposal_;
  std::optional<Removal> removal_;
  std::optional<Leaving> leaving_;  // Asked to leave while nobody could have what is ours.
  TimePoint met_ = TimePoint() - std::chrono::hours(1);  // When somebody was last reached anew.
  TimePoint reserved_until_ = kNever;  // What reserve_inherited() says is for who claims it.
  std::uint64_t window_ = 0;           // Free addresses made ready at once.
  TimePoint warmed_{};
  TimePoint renew_due_ = kNever;
  TimePoint renewed_ = TimePoint::min();
  Duration pending_retry_{};  // From one repetition of a word that does not count yet to the next.
  TimePoint handed_out_{};
  TimePoint unheard_since_ = kNever;  // When somebody began to wait for the right to be renewed.
  TimePoint consider_due_ = kNever;
  TimePoint decree_due_ = kNever;
  TimePoint sealed_since_ = kNever;
  bool is_suspended_ = false;
  std::list<Waiting> waiting_;
  bool is_resuming_ = false;
  bool resume_wanted_ = false;
  std::set<PeerName> reachable_;
  std::set<PeerName> departed_;            // Of these: gave all they had to others.
  std::map<PeerName, TimePoint> missing_;  // Since when; all others since began_.
  TimePoint began_ = kNever;
  TimePoint forfeit_retry_ = TimePoint::min();
  IntervalSet given_;                               // To others since the decree in force.
  std::map<PeerName, std::uint64_t> last_granted_;  // Request ids, to recognise repetitions.

  RingNews news_;  // Once there is a ring. Before, of the election:
  std::map<PeerName, std::set<PeerName>> owed_claims_;  // Whose claims each lacks.
  std::set<PeerName> claims_news_;                      // Whose claims are news for every neighbour
  std::optional<PeerName> claims_from_;                 // but this one, if any.
  TimePoint flush_due_ = kNever;
  TimePoint report_due_ = kNever;
  TimePoint digest_due_ = kNever;
  std::string conflict_;
  AllocatorStats stats_;
};

}  // namespace weft::ipam
