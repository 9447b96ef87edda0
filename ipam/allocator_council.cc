// The allocator and the council (docs/adr/0010): registering our own space, our seat if we have
// one, and decrees.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "ipam/allocator_impl.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A word is repeated until it counts, ever less often: who is slow gets no faster by repetitions.
constexpr Duration kPendingRetryMin = milliseconds(250);
constexpr Duration kPendingRetryMax = seconds(1);

// How often a member looks whether a decree is due, and how far members keep apart, so that usually
// one proposes and the others find it done.
constexpr Duration kConsiderInterval = seconds(1);
constexpr Duration kRankDelay = milliseconds(300);
constexpr std::uint32_t kProposeJitterMs = 250;

// The same if nothing that is going on could change the answer: the mesh and registrations tell us.
constexpr Duration kConsiderIdle = seconds(60);

// A right that ends sooner is renewed before it is used, as what is handed out has to be stored
// first.
constexpr Duration kHandOutMargin = seconds(1);

// After this long somebody who waits is told that the council does not hear us.
constexpr Duration kUnheardMax = seconds(2);

// Renewals that somebody waits for, in vain so far.
constexpr Duration kUnheardRetry = seconds(1);

// A window that is used up within this time doubles, up to what a burst of a whole host takes.
constexpr Duration kWindowFast = seconds(2);
constexpr std::uint64_t kWindowMax = 16'384;

IntervalSet largest(const IntervalSet& set) {
  return set.span_count() <= kColdSpanMax ? set : choose_cold(set, 0);
}

}  // namespace

// Our own space.

void Allocator::Impl::start(TimePoint now, AllocatorActions& out) {
  began_ = std::min(began_, now);
  if (std::exchange(is_started_, true) || !ring_) {
    return;
  }
  // A restart: what we sent last may be what a decree finds, and whether it counts we do not know.
  tenure_.begin(ring_->charter(), {}, stored_word_.cold, stored_word_.seq);
  if (stored_vote_ && ring_->charter().has_seat(options_.self)) {
    take_seat(now, std::move(*stored_vote_));
  }
  consider_due_ = now + kConsiderInterval;
  // The row keeps all cold sets that might have counted when it was written. What containers were
  // given since had become hot: to register it as cold would let a decree give it away.
  IntervalSet cold = stored_word_.cold;
  for (const Span& used : space_.owned().minus(space_.free())) {
    cold.remove(used);
  }
  register_space(now, std::move(cold), out);
}

void Allocator::Impl::take_seat(TimePoint now, Voter::Memory memory) {
  voter_.emplace();
  voter_->begin(now, ring_->charter(), std::move(memory), reachable_);
  voter_->on_reachable(options_.self);
  sealed_since_ = voter_->is_sealed() ? now : kNever;
}

void Allocator::Impl::append_decree(Knowledge knowledge, StoreBatch& batch) const {
  const Charter& charter = ring_->charter();
  batch.push_back(charter_row(charter));
  if (charter.has_seat(options_.self) && knowledge != Knowledge::None) {
    batch.push_back(vote_row(charter.number, {}));
  }
}

void Allocator::Impl::enter_decree(TimePoint now, Knowledge knowledge, AllocatorActions& out) {
  is_started_ = true;
  const Charter& charter = ring_->charter();
  const auto found = charter.cold.find(options_.self);
  const IntervalSet cold = found == charter.cold.end() ? IntervalSet() : found->second;
  tenure_.begin(charter, knowledge == Knowledge::Whole ? space_.owned() : IntervalSet(), cold, 0);
  voter_.reset();
  proposal_.stop();
  decree_due_ = kNever;
  consider_due_ = now + kConsiderInterval;
  sealed_since_ = kNever;
  if (charter.has_seat(options_.self) && knowledge != Knowledge::None) {
    take_seat(now, {});
  }
  if (removal_) {
    consider_due_ = now;
  }
  register_space(now, cold, out);
}

void Allocator::Impl::register_space(TimePoint now, IntervalSet cold, AllocatorActions& out) {
  if (has_left_) {
    return;
  }
  tenure_.propose(space_.owned(), largest(cold));
  persist({word_row(ring_->charter().number, {.seq = tenure_.seq(), .cold = tenure_.cold_union()})},
          out);
  withhold();
  pending_retry_ = kPendingRetryMin;
  renew(now, out);
}

void Allocator::Impl::withhold() {
  IntervalSet withheld = tenure_.cold_union();
  for (const Span& span : space_.owned().minus(tenure_.owned())) {
    withheld.add(span);
  }
  space_.withhold(std::move(withheld));
}

// Says our word to every member, ourselves included. A last one would get us a seat again.
void Allocator::Impl::renew(TimePoint now, AllocatorActions& out) {
  if (has_nothing_left()) {
    renew_due_ = now + kRenewInterval;
    return;
  }
  bool counts = false;
  for (const PeerName& member : ring_->charter().council) {
    if (member == options_.self) {
      counts = acknowledge_own(now, out) || counts;
      continue;
    }
    Register word{.decree = ring_->charter().number,
                  .seq = tenure_.seq(),
                  .nonce = tenure_.ask(now, member),
                  .state = std::nullopt};
    if (!tenure_.has_heard(member)) {
      word.state = Register::State{.cold = tenure_.cold(), .ring = *ring_};
    }
    send_to(member, Topic::Ipam, encode(PeerMessage{.id = 0, .body = std::move(word)}), out);
  }
  renewed_ = now;
  renew_due_ = now + renewal_interval(now);
  pending_retry_ = std::min(2 * pending_retry_, kPendingRetryMax);
  if (counts) {
    on_more_counts(now, out);
  }
}

Duration Allocator::Impl::renewal_interval(TimePoint now) const {
  if (tenure_.is_pending()) {
    return pending_retry_;
  }
  if (!waiting_.empty() && !has_time_to_hand_out(now)) {
    return kUnheardRetry;
  }
  // What a quorum knows counts. The others are told too: a decree needs all who make it to agree.
  const auto& council = ring_->charter().council;
  const bool is_known = std::all_of(council.begin(), council.end(), [this](PeerName member) {
    return member == options_.self || !reachable_.contains(member) || tenure_.has_heard(member);
  });
  const bool is_active = !waiting_.empty() || now - handed_out_ < kRenewInterval;
  return is_known && !is_active ? kRenewIdle : kRenewInterval;
}

void Allocator::Impl::renew_at_once(TimePoint now, AllocatorActions& out) {
  if (has_left_ || has_time_to_hand_out(now)) {
    return;
  }
  unheard_since_ = std::min(unheard_since_, now);
  const TimePoint due = renewed_ + (tenure_.is_pending() ? pending_retry_ : kPendingRetryMin);
  if (now >= due) {
    renew(now, out);
  } else {
    renew_due_ = std::min(renew_due_, due);
  }
}

void Allocator::Impl::on_handed_out(TimePoint now) {
  handed_out_ = now;
  renew_due_ = std::min(renew_due_, now + kRenewInterval);
}

bool Allocator::Impl::has_time_to_hand_out(TimePoint now) const {
  return may_hand_out(now + kHandOutMargin);
}

bool Allocator::Impl::is_suspended(TimePoint now) const {
  if (!ring_ || has_left_ || may_hand_out(now)) {
    return false;
  }
  std::size_t voices = 0;
  for (const PeerName& member : ring_->charter().council) {
    voices += member == options_.self || reachable_.contains(member) ? 1U : 0U;
  }
  const bool is_unheard = unheard_since_ != kNever && now - unheard_since_ > kUnheardMax;
  return is_unheard || voices < tenure_.needed_count();
}

bool Allocator::Impl::acknowledge_own(TimePoint now, AllocatorActions& out) {
  if (!voter_) {
    return false;
  }
  const auto heard =
      voter_->on_register(now, options_.self, tenure_.seq(), std::optional(tenure_.cold()));
  if (!heard || heard->seq != tenure_.seq()) {
    return false;
  }
  if (heard->changed) {
    persist_registration(options_.self, out);
  }
  return tenure_.on_own(now);
}

void Allocator::Impl::persist_registration(PeerName peer, AllocatorActions& out) {
  persist({registration_row(ring_->charter().number, peer, voter_->registrations().at(peer))}, out);
}

void Allocator::Impl::on_more_counts(TimePoint now, AllocatorActions& out) {
  withhold();
  if (!tenure_.is_pending()) {
    renew_due_ = std::min(renew_due_, now + renewal_interval(now));
  }
  resume(now, out);
}

// Makes free space ready where somebody wants it: the lowest `window_` addresses of it, or the one.
// False if there is none that could become ready.
bool Allocator::Impl::warm(TimePoint now, const Span& usable, AllocatorActions& out) {
  const std::vector<Span> free = space_.free_for(usable);
  if (!ring_ || free.empty()) {
    return false;
  }
  IntervalSet cold = tenure_.cold();
  std::uint64_t left = window_;
  bool changed = false;
  for (const Span& run : free) {
    for (Span part : cold.spans_in(run)) {
      const auto size = static_cast<std::uint64_t>(std::min<Uint128>(left, part.size()));
      if (size == 0) {
        break;
      }
      part.last = part.first + size - 1;
      cold.remove(part);
      left -= size;
      changed = true;
    }
  }
  if (changed) {
    const std::uint64_t base = base_window(space_.owned_count());
    window_ = now - warmed_ < kWindowFast ? std::min(2 * window_, kWindowMax) : base;
    window_ = std::max(window_, base);
    warmed_ = now;
    register_space(now, std::move(cold), out);
  }
  return true;  // If nothing changed, it waits for its acknowledgement.
}

// Space that came to us is cold, but for what somebody waits for.
void Allocator::Impl::on_gained(TimePoint now,
                                const std::vector<Span>& gained,
                                AllocatorActions& out) {
  IntervalSet cold = tenure_.cold();
  for (const Span& span : gained) {
    cold.add(span);
  }
  for (const Waiting& waiting : waiting_) {
    std::uint64_t left = window_;
    const std::optional<Span> usable = usable_of(waiting);
    for (const Span& span : gained) {
      auto part = usable ? span.intersect(*usable) : std::nullopt;
      if (part && left > 0) {
        const auto size = static_cast<std::uint64_t>(std::min<Uint128>(left, part->size()));
        part->last = part->first + size - 1;
        cold.remove(*part);
        left -= size;
      }
    }
  }
  for (const auto& [address, holding] : claims_.by_address()) {
    if (cold.size() > 0 && options_.range.contains(address)) {
      const Uint128 number = number_of(address);
      cold.remove({number, number});
    }
  }
  register_space(now, std::move(cold), out);
}

// Gives what is free in abundance back to the cold.
void Allocator::Impl::cool(TimePoint now, AllocatorActions& out) {
  const std::uint64_t base = base_window(space_.owned_count());
  if (now - warmed_ > kWindowFast) {
    window_ = std::max(base, window_ / 2);
  }
  constexpr std::uint64_t kAbundance = 4;
  if (!tenure_.is_pending() && waiting_.empty()
      && space_.ready_count() > kAbundance * std::max(window_, base)) {
    IntervalSet cold = choose_cold(space_.free(), window_);
    if (cold.size() > tenure_.cold().size()) {
      register_space(now, std::move(cold), out);
    }
  }
}

// Our seat.

void Allocator::Impl::on_register(TimePoint now,
                                  PeerName from,
                                  const Register& word,
                                  AllocatorActions& out) {
  note_alive(now, from);
  if (!ring_) {
    return;
  }
  const std::uint64_t number = ring_->charter().number;
  if (word.state && word.decree >= number) {
    merge(now, from, word.state->ring, out);
  }
  if (word.decree < ring_->charter().number) {
    owe(now, from);
    return;
  }
  if (!voter_ || word.decree != ring_->charter().number) {
    return;
  }
  if (word.state && !knows(word.state->ring, from)) {
    return;  // Its ring was refused; to acknowledge it would be a lie.
  }
  std::optional<IntervalSet> cold;
  if (word.state) {
    cold = word.state->cold;
  }
  consider_soon(now);  // Perhaps it has been missed on the council.
  const auto heard = voter_->on_register(now, from, word.seq, cold);
  if (!heard) {
    return;
  }
  if (heard->changed) {
    persist_registration(from, out);
  }
  send_to(
      from,
      Topic::Ipam,
      encode(PeerMessage{
          .id = 0, .body = Registered{.decree = number, .seq = heard->seq, .nonce = word.nonce}}),
      out);
}

void Allocator::Impl::on_registered(TimePoint now,
                                    PeerName from,
                                    const Registered& answer,
                                    AllocatorActions& out) {
  if (!ring_ || answer.decree != ring_->charter().number) {
    return;
  }
  const bool was_pending = tenure_.is_pending();
  const TimePoint before = tenure_.expiry();
  const bool counts = tenure_.on_registered(from, answer.seq, answer.nonce);
  if (has_time_to_hand_out(now)) {
    unheard_since_ = kNever;
  }
  if (counts || before <= now + kHandOutMargin) {
    on_more_counts(now, out);
  }
  if (was_pending && !tenure_.is_pending()) {
    renew_due_ = now + renewal_interval(now);
  }
}

void Allocator::Impl::on_prepare(TimePoint now,
                                 PeerName from,
                                 const Prepare& prepare,
                                 AllocatorActions& out) {
  if (!ring_ || prepare.decree != ring_->charter().number) {
    if (ring_ && prepare.decree < ring_->charter().number) {
      owe(now, from);
    }
    return;
  }
  if (!voter_) {
    return;
  }
  proposal_.on_ballot(prepare.ballot);
  if (!voter_->on_prepare(now, prepare)) {
    const Rebuff rebuff{.decree = prepare.decree,
                        .ballot = prepare.ballot,
                        .promised = voter_->memory().promised,
                        .heard = prepare.removed && !voter_->is_silent(now, *prepare.removed)};
    answer_proposer(now, from, rebuff, out);
    return;
  }
  sealed_since_ = now;
  consider_soon(now);
  persist({vote_row(prepare.decree, voter_->memory())}, out);
  answer_proposer(now, from, own_promise(now), out);
}

void Allocator::Impl::on_accept(TimePoint now,
                                PeerName from,
                                const Accept& accept,
                                AllocatorActions& out) {
  if (!ring_ || !voter_ || accept.decree != ring_->charter().number
      || accept.value.seeds() != ring_->seeds() || accept.value.range() != ring_->range()) {
    return;
  }
  if (!voter_->on_accept(accept)) {
    const Rebuff rebuff{
        .decree = accept.decree, .ballot = accept.ballot, .promised = voter_->memory().promised};
    answer_proposer(now, from, rebuff, out);
    return;
  }
  sealed_since_ = now;
  consider_soon(now);
  persist({vote_row(accept.decree, voter_->memory())}, out);
  answer_proposer(now, from, Accepted{.decree = accept.decree, .ballot = accept.ballot}, out);
}

template <class Body>
void Allocator::Impl::answer_proposer(TimePoint now,
                                      PeerName to,
                                      Body body,
                                      AllocatorActions& out) {
  if (to == options_.self) {
    on_vote(now, to, body, out);
  } else {
    send_to(to, Topic::Ipam, encode(PeerMessage{.id = 0, .body = std::move(body)}), out);
  }
}

// Decrees.

void Allocator::Impl::on_vote(TimePoint now,
                              PeerName from,
                              const Promise& promise,
                              AllocatorActions& out) {
  if (auto accept = proposal_.on_promise(from, promise)) {
    ask_council(now, *accept, out);
  }
}

void Allocator::Impl::on_vote(TimePoint now,
                              PeerName from,
                              const Accepted& accepted,
                              AllocatorActions& out) {
  if (!ring_ || accepted.decree != ring_->charter().number) {
    return;
  }
  auto chosen = proposal_.on_accepted(from, accepted);
  if (!chosen) {
    return;
  }
  ++stats_.decree_count;
  const std::vector<PeerName> before = ring_->charter().council;
  merge(now, options_.self, *chosen, out);
  const Bytes payload = encode(*ring_);
  for (const auto& council : {before, ring_->charter().council}) {
    for (const PeerName& member : council) {
      if (member != options_.self) {
        send_to(member, Topic::Ring, payload, out);
      }
    }
  }
}

void Allocator::Impl::on_vote(TimePoint now, PeerName, const Rebuff& rebuff, AllocatorActions&) {
  proposal_.on_rebuff(rebuff);
  consider_due_ = std::min(consider_due_, now + kConsiderInterval);
}

template <class Question>
void Allocator::Impl::ask_council(TimePoint now, const Question& question, AllocatorActions& out) {
  // Our own answer comes last, as it may end the decree that the list is of.
  const std::vector<PeerName> council = ring_->charter().council;
  for (const PeerName& member : council) {
    if (member != options_.self) {
      send_to(member, Topic::Ipam, encode(PeerMessage{.id = 0, .body = question}), out);
    }
  }
  if (ring_->charter().has_seat(options_.self)) {
    if constexpr (std::is_same_v<Question, Prepare>) {
      on_prepare(now, options_.self, question, out);
    } else {
      on_accept(now, options_.self, question, out);
    }
  }
}

// Whether the council should make a decree, as far as this member can tell.
bool Allocator::Impl::is_decree_due(TimePoint now) const {
  const Charter& charter = ring_->charter();
  std::vector<PeerName> living = voter_->living();
  if (std::find(living.begin(), living.end(), options_.self) == living.end()) {
    living.push_back(options_.self);
  }
  std::size_t seated = 0;
  for (const PeerName& peer : living) {
    seated += charter.has_seat(peer) ? 1U : 0U;
  }
  if (seated < decree_quorum(charter.council.size())) {
    return false;  // It would only seal those who can be reached.
  }
  if (voter_->is_sealed()) {
    return now - sealed_since_ > kSealedMax;
  }
  for (const auto& [peer, registration] : voter_->registrations()) {
    if (voter_->is_silent(now, peer) && registration.cold.size() > 0) {
      return true;
    }
  }
  if (is_forfeiture_due(now)) {
    return true;
  }
  for (const PeerName& member : charter.council) {
    if (!voter_->is_silent(now, member)
        && std::find(living.begin(), living.end(), member) == living.end()) {
      living.push_back(member);
    }
  }
  return make_council(living, charter.council) != charter.council;
}

void Allocator::Impl::consider_soon(TimePoint now) {
  consider_due_ = std::min(consider_due_, now + kConsiderInterval);
}

void Allocator::Impl::consider_decree(TimePoint now, AllocatorActions& out) {
  const bool is_calm = !removal_ && !proposal_.is_open()
                       && (!voter_ || voter_->is_calm(now, options_.self, ring_->charter()));
  consider_due_ = now + (is_calm ? kConsiderIdle : kConsiderInterval);
  if (proposal_.is_open() && proposal_.deadline() <= now) {
    proposal_.stop();
  }
  if (removal_ && !proposal_.is_open()) {
    pursue_removal(now, out);
    return;
  }
  if (!voter_ || proposal_.is_open() || !is_decree_due(now)) {
    decree_due_ = kNever;
    unseal_alone(now, out);
    return;
  }
  if (decree_due_ == kNever) {
    const auto& council = ring_->charter().council;
    const auto rank = std::find(council.begin(), council.end(), options_.self) - council.begin();
    decree_due_ = now + rank * kRankDelay + milliseconds(rng_.below(kProposeJitterMs));
    consider_due_ = std::min(consider_due_, decree_due_);
  }
  if (decree_due_ <= now) {
    decree_due_ = kNever;
    if (is_forfeiture_due(now)) {
      forfeit_retry_ = now + options_.forfeit_after;
    }
    propose(now, {.removed = {}, .leaving = {}, .heir = options_.self}, out);
  }
}

void Allocator::Impl::propose(TimePoint now, Proposal::Aim aim, AllocatorActions& out) {
  const Prepare prepare = proposal_.start(now, *ring_, std::move(aim));
  persist({proposed_row(proposal_.round())}, out);
  consider_soon(now);
  ask_council(now, prepare, out);
}

void Allocator::Impl::on_council_deadline(TimePoint now, AllocatorActions& out) {
  if (!ring_ || has_left_) {
    return;
  }
  if (renew_due_ <= now) {
    cool(now, out);
    renew(now, out);
  }
  if (consider_due_ <= now) {
    consider_decree(now, out);
  }
}

TimePoint Allocator::Impl::next_council_deadline() const {
  if (!ring_ || has_left_) {
    return kNever;
  }
  if (!is_started_) {
    return TimePoint();
  }
  // A council of one with nobody to wait for needs no word from itself.
  const bool needs_renewal =
      !tenure_.is_alone() || ring_->charter().council.size() > 1 || tenure_.is_pending();
  const bool considers = removal_ || (voter_ && (!reachable_.empty() || voter_->is_sealed()));
  return std::min(needs_renewal ? renew_due_ : kNever, considers ? consider_due_ : kNever);
}

}  // namespace weft::ipam
