// What ends: peers that are gone for good, removed by an operator or by themselves; and of two
// rings founded apart the one that gives way. Where one of them is a single host's, that host and
// those who only follow it take over the other; else both stay, and status names the cure.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ipam/allocator_impl.h"

namespace weft::ipam {
namespace {

// Whoever is removed may live on under another name, having lost its store: its containers'
// addresses are claimed by it as soon as it hears that they are another's, within a second. Five
// times that.
constexpr Duration kClaimBackMax = std::chrono::seconds(5);

// How long an operator's removal is tried: the peer may have been heard just before.
constexpr Duration kRemovalMax = std::chrono::seconds(30);
// Whoever was started just before, or lost its connections, needs a moment to find the others.
constexpr Duration kHeirWaitMax = std::chrono::seconds(5);

// A removal is looked at again this often.
constexpr Duration kRemovalRetry = std::chrono::seconds(1);

// Addresses held on a host that gives its ring up are asked for one by one, and each becomes an
// entry of the ring. With more than this the operator is to decide.
constexpr std::size_t kBroughtAlongMax = 64;

// Who owns all of the ring and alone decides about it, if it is one peer.
std::optional<PeerName> sole_owner(const Ring& ring) {
  const PeerName first = ring.entries().begin()->second.owner;
  const bool is_alone =
      std::all_of(ring.entries().begin(),
                  ring.entries().end(),
                  [first](const auto& entry) { return entry.second.owner == first; })
      && ring.charter().council == std::vector<PeerName>{first};
  return is_alone ? std::optional(first) : std::nullopt;
}

// Somebody else owns a part of it.
bool is_shared(const std::optional<Ring>& ring, PeerName self) {
  return ring
         && std::any_of(ring->entries().begin(), ring->entries().end(), [self](const auto& at) {
              return at.second.owner != self;
            });
}

}  // namespace

// Of the ring or of the council: what a removal takes.
bool Allocator::Impl::has_part(PeerName peer) const {
  return ring_->owned_by(peer).size() > 0 || ring_->charter().has_seat(peer);
}

// We leave, and a decree has taken all we had.
bool Allocator::Impl::has_nothing_left() const {
  return removal_ && removal_->peer == options_.self && !has_part(options_.self);
}

void Allocator::Impl::remove_peer(TimePoint now,
                                  RequestId id,
                                  PeerName peer,
                                  AllocatorActions& out) {
  if (reachable_.contains(peer)) {  // If it has no part yet, it is about to get one.
    out.emplace_back(PeerRemoved{
        id,
        Error{Errc::Conflict, fmt::format("peer {} is alive: stop it first", peer.to_string())}});
    return;
  }
  if (!ring_ || peer == options_.self || !has_part(peer)) {
    out.emplace_back(PeerRemoved{id, std::uint64_t{0}});
    return;
  }
  if (removal_ || leaving_) {
    out.emplace_back(PeerRemoved{id, Error{Errc::Unavailable, "another peer is being removed"}});
    return;
  }
  start(now, out);
  removal_ = Removal{.id = id,
                     .peer = peer,
                     .heir = options_.self,
                     .address_count = saturated(ring_->owned_by(peer).size()),
                     .deadline = now + kRemovalMax};
  proposal_.stop();
  pursue_removal(now, out);
}

// The peer that is to have what was ours: the one that has most. Nobody else than who has a part of
// this ring, or has told its council of itself, could go on with it: others have another range, or
// hand out nothing.
std::optional<PeerName> Allocator::Impl::find_heir() const {
  if (!ring_) {
    return std::nullopt;
  }
  const std::vector<PeerName> heard = voter_ ? voter_->living() : std::vector<PeerName>();
  std::optional<PeerName> heir;
  Uint128 most = 0;
  for (const PeerName& peer : reachable_) {
    const bool takes_part =
        has_part(peer) || !voter_ || std::find(heard.begin(), heard.end(), peer) != heard.end();
    const Uint128 owned = ring_->owned_by(peer).size();
    if (takes_part && !departed_.contains(peer) && (!heir || owned > most)) {
      heir = peer;
      most = owned;
    }
  }
  return heir;
}

// Somebody to leave the addresses to may have come, or the wait is over.
void Allocator::Impl::resume_leaving(TimePoint now, AllocatorActions& out) {
  const Leaving asked = *leaving_;
  const std::optional<PeerName> heir = find_heir();
  if (!heir && now < asked.until) {
    return;
  }
  leaving_.reset();
  if (!heir) {
    const bool may_come = is_shared(ring_, options_.self);
    out.emplace_back(PeerRemoved{
        asked.id,
        may_come ? Error{Errc::Unavailable, "no other peer can be reached to take the addresses"}
                 : Error{Errc::NotFound, "no other peer has addresses"}});
    return;
  }
  start(now, out);
  removal_ = Removal{.id = asked.id,
                     .peer = options_.self,
                     .heir = *heir,
                     .address_count = saturated(ring_->owned_by(options_.self).size()),
                     .deadline = now + kRemovalMax};
  proposal_.stop();
  pursue_removal(now, out);
}

void Allocator::Impl::leave(TimePoint now, RequestId id, AllocatorActions& out) {
  if (removal_ || leaving_) {
    out.emplace_back(PeerRemoved{id, Error{Errc::Unavailable, "another removal is under way"}});
    return;
  }
  TimePoint until = now;
  if (is_shared(ring_, options_.self)) {
    until = now + kHeirWaitMax;
  } else if (ring_ && !reachable_.empty()) {
    until = std::max(now, met_ + kHeirWaitMax);  // Who has only just come has not spoken yet.
  }
  leaving_ = Leaving{.id = id, .until = until};
  resume_leaving(now, out);
}

// Who has said goodbye is gone in a moment, its store with it: what it got now would be lost.
void Allocator::Impl::note_departed(const Charter& decreed, AllocatorActions& out) {
  const std::vector<PeerName>& known = ring_->charter().gone;
  for (const PeerName peer : decreed.gone) {
    if (peer == options_.self || std::binary_search(known.begin(), known.end(), peer)) {
      continue;
    }
    if (reachable_.contains(peer)) {
      departed_.insert(peer);
    }
    out.emplace_back(PeerGone{peer});
  }
}

// Whoever leaves holds nothing any more: its addresses are another's now.
void Allocator::Impl::forget_all(AllocatorActions& out) {
  has_left_ = true;
  StoreBatch batch;
  for (const auto& [address, given_again] : std::exchange(strays_, {})) {
    claims_.remove(ip_of(address));
    batch.push_back(released_row(ip_of(address)));
  }
  if (!batch.empty()) {
    persist(std::move(batch), out);
  }
}

void Allocator::Impl::pursue_removal(TimePoint now, AllocatorActions& out) {
  const bool leaves = removal_->peer == options_.self;
  if (!has_part(removal_->peer)) {
    out.emplace_back(PeerRemoved{removal_->id, removal_->address_count});
    removal_.reset();
    if (leaves) {
      forget_all(out);
    }
    return;
  }
  if (removal_->deadline <= now) {
    out.emplace_back(PeerRemoved{
        removal_->id,
        Error{Errc::Unavailable,
              leaves ? "the council did not answer"
                     : fmt::format("no majority of the council has lost sight of peer {}",
                                   removal_->peer.to_string())}});
    removal_.reset();
    return;
  }
  consider_due_ = std::min(consider_due_, now + kRemovalRetry);
  if (leaves) {
    propose(now, {.removed = {}, .leaving = removal_->peer, .heir = removal_->heir}, out);
  } else {
    propose(now, {.removed = removal_->peer, .leaving = {}, .heir = removal_->heir}, out);
  }
}

// Until then only who asks for one of these addresses gets it: what a removed peer had, and what we
// gave away without the decree having heard of it. Whoever lives with such an address asks again.
void Allocator::Impl::reserve_inherited(TimePoint now, const std::vector<Span>& gained) {
  const bool inherits = removal_ && removal_->heir == options_.self;
  const IntervalSet given_in_vain = std::exchange(given_, {});
  IntervalSet reserved = space_.reserved();
  for (const Span& span : gained) {
    for (const Span& part : inherits ? std::vector{span} : given_in_vain.spans_in(span)) {
      reserved.add(part);
    }
  }
  if (reserved != space_.reserved()) {
    space_.reserve(std::move(reserved));
    reserved_until_ = now + kClaimBackMax;
  }
}

// Whom we have missed for as long as the operator said that anybody may be missed, and who owns
// something. By our own clock; a decree needs all who promise it to say so.
std::set<PeerName> Allocator::Impl::forfeited(TimePoint now) const {
  std::set<PeerName> gone;
  if (options_.forfeit_after == Duration()) {
    return gone;
  }
  for (const auto& [token, entry] : ring_->entries()) {
    const auto missing = missing_.find(entry.owner);
    const TimePoint since = missing == missing_.end() ? began_ : missing->second;
    if (entry.owner != options_.self && !reachable_.contains(entry.owner)
        && now - since >= options_.forfeit_after) {
      gone.insert(entry.owner);
    }
  }
  return gone;
}

// Although the mesh does not reach it.
void Allocator::Impl::note_alive(TimePoint now, PeerName peer) {
  if (const auto missing = missing_.find(peer); missing != missing_.end()) {
    missing->second = now;
  }
}

Promise Allocator::Impl::own_promise(TimePoint now) const {
  Promise promise = voter_->promise(now, ring_->charter().number, *ring_);
  for (const PeerName peer : forfeited(now)) {
    if (promise.words.size() < kRegisteredMax && voter_->is_silent(now, peer)) {
      promise.words[peer].life = Promise::Word::Life::Forfeit;
    }
  }
  return promise;
}

// Members missed it within moments of each other, so that all agree a little later. Where they do
// not, as one of them was restarted meanwhile, it is tried again after the same time.
bool Allocator::Impl::is_forfeiture_due(TimePoint now) const {
  return forfeit_retry_ <= now && !forfeited(now - kSilenceMax).empty();
}

// Of a council of two each goes on alone: whoever asked for our promise, or was asked with us, is
// gone, and no value can have been chosen, nor ever be, without us.
void Allocator::Impl::unseal_alone(TimePoint now, AllocatorActions& out) {
  const std::size_t size = ring_->charter().council.size();
  if (!voter_ || proposal_.is_open() || decree_quorum(size) < size
      || now - sealed_since_ <= kSealedMax || !voter_->retract()) {
    return;
  }
  sealed_since_ = kNever;
  persist({vote_row(ring_->charter().number, voter_->memory())}, out);
  renew(now, out);
}

std::optional<PeerName> Allocator::Impl::missing_witness() const {
  const std::vector<PeerName>& council = ring_->charter().council;
  const bool goes_on = ring_->charter().has_seat(options_.self) && !(voter_ && voter_->is_sealed());
  if (council.size() != 2 || goes_on) {
    return std::nullopt;
  }
  for (const PeerName& member : council) {
    if (member != options_.self && !reachable_.contains(member)) {
      return member;
    }
  }
  return std::nullopt;
}

// Safe, because nobody but the sole owner has authority over any address of its ring, and it has
// none any more once it has the other. Both sides decide by what both rings say, so never both give
// way.
bool Allocator::Impl::yields_to(const Ring& theirs) const {
  const std::optional<PeerName> owner = sole_owner(*ring_);
  const bool is_told_otherwise = !options_.seeds.empty() && options_.seeds != theirs.seeds();
  if (theirs.range() != ring_->range() || theirs.seeds() == ring_->seeds() || !owner
      || is_told_otherwise || has_left_ || removal_) {
    return false;
  }
  const auto& held = claims_.by_address();
  const auto brought_along = std::count_if(held.begin(), held.end(), [this](const auto& entry) {
    return options_.range.contains(entry.first);
  });
  if (static_cast<std::size_t>(brought_along) > kBroughtAlongMax) {
    return false;
  }
  return !sole_owner(theirs) || theirs.seed_id() < ring_->seed_id();
}

// What this host's containers hold are strays from here on: their new owners are asked for them,
// and refuse, naming holder and cure, what they have given out themselves.
void Allocator::Impl::give_up_ring(TimePoint now,
                                   PeerName from,
                                   const Ring& theirs,
                                   AllocatorActions& out) {
  StoreBatch batch;
  for (const auto& [token, entry] : ring_->entries()) {
    if (!theirs.entries().contains(token)) {
      batch.push_back(no_ring_row(token));
    }
  }
  if (voter_) {  // Rows of another ring's decree that may have the number of the one to come.
    for (const auto& [peer, registration] : voter_->registrations()) {
      batch.push_back(no_registration_row(peer));
    }
    batch.push_back(no_vote_row());
  }
  std::vector<Span> gained;
  (void)replace_ring(theirs, gained);  // A ring of other seeds is never refused.
  last_granted_.clear();
  given_ = {};
  batch.push_back(meta_row(options_.self, options_.range, ring_->seeds()));
  for (const auto& [token, entry] : ring_->entries()) {
    batch.push_back(ring_row(token, entry));
  }
  append_decree(Knowledge::None, batch);
  persist(std::move(batch), out);
  news_.on_replaced(from);
  flush_due_ = now;
  conflict_.clear();
  enter_decree(now, Knowledge::None, out);
  resume(now, out);
  asks_.on_news(now, view());
}

}  // namespace weft::ipam
