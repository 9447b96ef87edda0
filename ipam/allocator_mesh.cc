// The allocator's conversation with other peers about the ring: merging, donations and claims.
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

// How often one random peer is asked whether its ring is ours, in case a message was lost where no
// connection broke. A few bytes; at 200 peers every ring is compared every 0.15 s somewhere.
constexpr Duration kDigestInterval = seconds(30);
constexpr std::uint32_t kDigestJitterMs = 5'000;

// Few are stated exactly: of these, some may be network and broadcast addresses that nobody can
// use, so one more or less decides whether we are worth asking.
constexpr std::uint64_t kFew = 4;

// Whether a peer that chooses donors by `said` would be misled.
bool is_misleading(std::uint64_t said, std::uint64_t actual) {
  return said != actual
         && (std::min(said, actual) <= kFew || said > 2 * actual || actual > 2 * said);
}

}  // namespace

void Allocator::Impl::send_to(PeerName to, Topic topic, Bytes payload, AllocatorActions& out) {
  if (payload.size() > kGossipPayloadMax) {
    ++stats_.oversized_count;
    return;
  }
  out.emplace_back(GossipTo{.topic = topic, .to = to, .payload = std::move(payload)});
}

void Allocator::Impl::send_all(std::optional<PeerName> except,
                               Bytes payload,
                               AllocatorActions& out) {
  if (payload.size() > kGossipPayloadMax) {
    ++stats_.oversized_count;
    return;
  }
  out.emplace_back(
      GossipAll{.topic = Topic::Ring, .except = except, .payload = std::move(payload)});
}

void Allocator::Impl::note_conflict(PeerName from, const Error& error) {
  ++stats_.conflict_count;
  conflict_ = fmt::format("peer {}: {}", from.to_string(), error.what);
}

// Whoever shares out another range has no say in ours. That somebody shares out none is no
// conflict.
bool Allocator::Impl::is_our_range(PeerName from, const std::optional<Cidr>& theirs) {
  if (!theirs || *theirs == options_.range) {
    return true;
  }
  if (*theirs == no_range() || options_.range == no_range()) {
    return false;
  }
  note_conflict(from,
                Error{Errc::Conflict,
                      fmt::format("address range {} differs from ours, {}",
                                  theirs->to_string(),
                                  options_.range.to_string())});
  return false;
}

void Allocator::Impl::owe(TimePoint now, PeerName peer) {
  news_.owe(peer);
  flush_due_ = std::min(flush_due_, now + kNewsDelay);
}

void Allocator::Impl::on_neighbour_up(PeerName peer, AllocatorActions& out) {
  // Without a ring this states that we are an elector, so that others know whom to share with. Who
  // can be reached already has heard of the others, as we have.
  if (ring_) {
    send_to(peer, Topic::Ring, encode(*ring_), out);
  } else if (reachable_.contains(peer)) {
    const ElectorNews ours{consensus_->claims_of({options_.self}), options_.range};
    send_to(peer, Topic::Ring, encode(ours), out);
  } else {
    const ElectorState all{consensus_->claims(), options_.range};
    send_to(peer, Topic::Ring, encode(all), out);
  }
}

void Allocator::Impl::on_peer_reachable(TimePoint now, PeerName peer) {
  missing_.erase(peer);
  if (peer == options_.self) {
    return;
  }
  if (reachable_.size() >= kPeerMax) {
    ++stats_.refused_count;
    return;
  }
  reachable_.insert(peer);
  met_ = now;
  if (!ring_) {
    return;
  }
  if (voter_) {
    voter_->on_reachable(peer);
  }
  consider_soon(now);
  if (!waiting_.empty()) {
    renew_due_ = std::min(renew_due_, now);
  }
  asks_.on_news(now, view());
  if (digest_due_ == kNever) {
    digest_due_ = now + kDigestInterval + milliseconds(rng_.below(kDigestJitterMs));
  }
}

void Allocator::Impl::on_peer_unreachable(TimePoint now, PeerName peer) {
  reachable_.erase(peer);
  departed_.erase(peer);
  if (missing_.size() < kPeerMax) {
    missing_.try_emplace(peer, now);
  }
  if (voter_) {
    voter_->on_unreachable(now, peer);
  }
  consider_soon(now);
  last_granted_.erase(peer);
}

void Allocator::Impl::on_gossip(
    TimePoint now, PeerName from, Topic topic, ByteView payload, AllocatorActions& out) {
  if (from == options_.self) {
    return;
  }
  start(now, out);
  if (topic == Topic::Ring) {
    const auto gossip = decode_ring_gossip(payload);
    if (!gossip.ok()) {
      ++stats_.invalid_count;
      return;
    }
    std::visit(overloaded{
                   [&](const Ring& ring) { on_ring(now, from, ring, out); },
                   [&](const Ring::Part& part) { on_part(now, from, part, out); },
                   [&](const ElectorState& state) {
                     if (is_our_range(from, state.range)) {
                       on_claims(now, from, state.claims, Consensus::Extent::All, out);
                     }
                   },
                   [&](const ElectorNews& news) {
                     if (is_our_range(from, news.range)) {
                       on_claims(now, from, news.claims, Consensus::Extent::News, out);
                     }
                   },
               },
               gossip.value());
    return;
  }
  const auto message = decode_peer_message(payload);
  if (!message.ok()) {
    ++stats_.invalid_count;
    return;
  }
  on_message(now, from, message.value(), out);
}

void Allocator::Impl::on_message(TimePoint now,
                                 PeerName from,
                                 const PeerMessage& message,
                                 AllocatorActions& out) {
  std::visit(overloaded{
                 [&](const SpaceRequest& body) {
                   on_space_request(now, from, message.id, body.want, out);
                 },
                 [&](const ClaimRequest& body) {
                   on_claim_request(now, from, message.id, body.address, out);
                 },
                 [&](const Grant& body) {
                   on_ring(now, from, body.ring, out);
                   asks_.on_granted(now, from, message.id);
                 },
                 [&](const Denial& body) {
                   Asks::Steps steps;
                   asks_.on_denied(now, from, message.id, body, steps);
                   perform(std::move(steps), out);
                 },
                 [&](const RingDigest& body) { on_digest(now, from, body.digest, out); },
                 [&](const Register& body) { on_register(now, from, body, out); },
                 [&](const Registered& body) { on_registered(now, from, body, out); },
                 [&](const Prepare& body) { on_prepare(now, from, body, out); },
                 [&](const Accept& body) { on_accept(now, from, body, out); },
                 [&](const auto& body) { on_vote(now, from, body, out); },
             },
             message.body);
}

// Whether our ring says of this peer's space what its own says.
bool Allocator::Impl::knows(const Ring& theirs, PeerName owner) const {
  return theirs.charter().number == ring_->charter().number
         && theirs.owned_by(owner).minus(ring_->owned_by(owner)).empty();
}

// The ring.

void Allocator::Impl::on_ring(TimePoint now,
                              PeerName from,
                              const Ring& theirs,
                              AllocatorActions& out) {
  if (ring_) {
    merge(now, from, theirs, out);
    return;
  }
  if (!is_our_range(from, theirs.range())) {
    return;
  }
  if (!options_.seeds.empty() && options_.seeds != theirs.seeds()) {
    note_conflict(from,
                  Error{Errc::Conflict,
                        fmt::format("IP allocation was seeded by different peers (received: {}, "
                                    "ours: {}): give --ipalloc-init seed= the same list everywhere",
                                    names(theirs.seeds()),
                                    names(options_.seeds))});
    return;
  }
  // A founder that was not there for the election, or one that has lost its memory and goes by a
  // name that was given to it: the second may not vote, and cannot be told from the first.
  const bool founded = options_.is_known_new || !options_.seeds.empty()
                       || consensus_->memory().own.promised.round > 0;
  const bool remembers = founded && theirs.charter().number == 0;
  adopt(now, theirs, from, remembers ? Knowledge::Seat : Knowledge::None, out);
}

void Allocator::Impl::adopt(TimePoint now,
                            Ring ring,
                            std::optional<PeerName> except,
                            Knowledge knowledge,
                            AllocatorActions& out) {
  ring_ = std::move(ring);
  consensus_.reset();
  claims_news_.clear();  // The election is over: the ring is the answer to all of it.
  owed_claims_.clear();
  for (const Span& span : ring_->owned_by(options_.self).spans()) {
    space_.add(span);
    mark_held_in(span);
  }
  window_ = base_window(space_.owned_count());
  StoreBatch batch;
  batch.reserve(ring_->entries().size() + 3);
  batch.push_back(meta_row(options_.self, options_.range, ring_->seeds()));
  has_meta_ = true;
  for (const auto& [token, entry] : ring_->entries()) {
    batch.push_back(ring_row(token, entry));
  }
  batch.push_back(consensus_done_row());
  append_decree(knowledge, batch);
  persist(std::move(batch), out);
  send_all(except, encode(*ring_), out);
  if (!reachable_.empty()) {
    digest_due_ = now + kDigestInterval + milliseconds(rng_.below(kDigestJitterMs));
  }
  enter_decree(now, knowledge, out);
  resume(now, out);
}

// Claims that were there before the space was ours.
void Allocator::Impl::mark_held_in(const Span& span) {
  const auto& held = claims_.by_address();
  for (auto it = held.lower_bound(ip_of(span.first));
       it != held.end() && it->first <= ip_of(span.last);
       ++it) {
    space_.take(number_of(it->first));
    strays_.erase(number_of(it->first));
  }
}

bool Allocator::Impl::replace_ring(Ring merged, std::vector<Span>& gained) {
  const bool is_decree = merged.charter().number > ring_->charter().number
                         || merged.seeds() != ring_->seeds();  // We gave our own up.
  const IntervalSet after = merged.owned_by(options_.self);
  const std::vector<Span> lost = space_.owned().minus(after);
  for (const Span& span : lost) {
    if (space_.used_count(span) > 0 && !is_decree) {
      return false;
    }
  }
  gained = after.minus(space_.owned());
  for (const Span& span : lost) {
    const auto& held = claims_.by_address();
    for (auto it = held.lower_bound(ip_of(span.first));
         it != held.end() && it->first <= ip_of(span.last);
         ++it) {
      space_.give_back(number_of(it->first));
      strays_.emplace(number_of(it->first), false);
    }
    space_.remove(span);
    tenure_.drop(span);
  }
  for (const Span& span : gained) {
    space_.add(span);
    mark_held_in(span);
  }
  ring_ = std::move(merged);
  return true;
}

void Allocator::Impl::merge(TimePoint now,
                            PeerName from,
                            const Ring& theirs,
                            AllocatorActions& out) {
  if (theirs == *ring_) {
    return;  // As most of what a flood brings.
  }
  Ring merged = *ring_;
  const auto result = merged.merge(theirs);
  if (!result.ok()) {
    if (yields_to(theirs)) {
      give_up_ring(now, from, theirs, out);
    } else {
      note_conflict(from, result.error());
    }
    return;
  }
  take_over(now, from, std::move(merged), result.value(), out);
}

void Allocator::Impl::on_part(TimePoint now,
                              PeerName from,
                              const Ring::Part& theirs,
                              AllocatorActions& out) {
  if (!ring_) {  // The whole was lost, or is on another way.
    send_to(from, Topic::Ipam, encode(PeerMessage{.id = 0, .body = RingDigest{0}}), out);
    return;
  }
  if (ring_->has(theirs)) {
    return;  // As most of what a flood brings.
  }
  Ring merged = *ring_;
  const auto result = merged.merge(theirs);
  if (!result.ok()) {
    ++stats_.misfit_count;
    news_.doubt(from);
    flush_due_ = std::min(flush_due_, now + kNewsDelay);
    return;
  }
  take_over(now, from, std::move(merged), result.value(), out);
}

void Allocator::Impl::take_over(
    TimePoint now, PeerName from, Ring merged, const Ring::Merged& outcome, AllocatorActions& out) {
  for (const Error& conflict : outcome.conflicts) {
    note_conflict(from, conflict);
  }
  if (outcome.they_lack_news && from != options_.self) {
    outcome.newer.empty() ? news_.owe(from) : news_.owe(from, outcome.newer);
    flush_due_ = std::min(flush_due_, now + kNewsDelay);
  }
  if (outcome.changed.empty()) {
    return;
  }
  if (outcome.replaced) {
    note_departed(merged.charter(), out);
  }
  std::vector<Span> gained;
  if (!replace_ring(std::move(merged), gained)) {
    note_conflict(
        from, Error{Errc::Conflict, "its ring gives addresses held on this host to another peer"});
    return;
  }
  outcome.replaced ? news_.on_replaced(from) : news_.on_changed(from, outcome.changed);
  flush_due_ = std::min(flush_due_, now + kNewsDelay);
  StoreBatch batch;
  append_entries({outcome.changed.begin(), outcome.changed.end()}, batch);
  const Knowledge knowledge = from == options_.self ? Knowledge::Whole : Knowledge::Seat;
  if (outcome.replaced) {
    append_decree(knowledge, batch);
    reserve_inherited(now, gained);
  }
  persist(std::move(batch), out);
  if (outcome.replaced) {
    enter_decree(now, knowledge, out);
  } else if (!gained.empty()) {
    on_gained(now, gained, out);
  }
  resume(now, out);
  asks_.on_news(now, view());
}

void Allocator::Impl::on_digest(TimePoint now,
                                PeerName from,
                                std::uint64_t digest,
                                AllocatorActions& out) {
  if (ring_ && ring_->digest() != digest) {
    owe(now, from);
  } else if (!ring_ && digest == 0) {
    if (!options_.observer) {
      is_provoked_ = true;
      seek(now, out);
    }
  } else if (!ring_) {
    send_to(from, Topic::Ipam, encode(PeerMessage{.id = 0, .body = RingDigest{0}}), out);
  }
}

// Donations.

void Allocator::Impl::on_space_request(
    TimePoint now, PeerName from, std::uint64_t id, Space::Want want, AllocatorActions& out) {
  const auto repeated = last_granted_.find(from);
  if (ring_ && repeated != last_granted_.end() && repeated->second == id) {
    send_to(from, Topic::Ipam, encode(PeerMessage{.id = id, .body = Grant{*ring_}}), out);
    return;
  }
  const auto block = ring_ ? space_.donatable(want) : std::nullopt;
  if (!block) {
    deny(now, from, id, {.reason = Denial::Reason::NoSpace, .holder = {}}, out);
    return;
  }
  donate(now, *block, from, id, out);
}

void Allocator::Impl::on_claim_request(
    TimePoint now, PeerName from, std::uint64_t id, Uint128 address, AllocatorActions& out) {
  if (!ring_ || !range_.contains(address)) {
    deny(now, from, id, {.reason = Denial::Reason::NotOwner, .holder = {}}, out);
    return;
  }
  const PeerName owner = ring_->owner(address);
  if (owner == from) {
    // We gave it already; the asker has not heard.
    send_to(from, Topic::Ipam, encode(PeerMessage{.id = id, .body = Grant{*ring_}}), out);
    return;
  }
  if (owner != options_.self) {
    owe(now, from);
    deny(now, from, id, {.reason = Denial::Reason::NotOwner, .holder = {}}, out);
    return;
  }
  if (const auto* holding = claims_.find(ip_of(address))) {
    deny(now, from, id, {.reason = Denial::Reason::InUse, .holder = holding->owner}, out);
    return;
  }
  donate(now, {address, address}, from, id, out);
}

void Allocator::Impl::deny(
    TimePoint now, PeerName to, std::uint64_t id, Denial denial, AllocatorActions& out) {
  ++stats_.denied_count;
  if (denial.reason == Denial::Reason::NoSpace && ring_) {
    report_due_ = std::min(report_due_, now + kReportSoon);  // We may have misled the asker.
  }
  send_to(to, Topic::Ipam, encode(PeerMessage{.id = id, .body = std::move(denial)}), out);
}

void Allocator::Impl::donate(
    TimePoint now, const Span& block, PeerName to, std::uint64_t id, AllocatorActions& out) {
  const auto granted = ring_->grant(block, options_.self, to);
  if (!granted) {
    ++stats_.refused_count;
    ++stats_.denied_count;
    const Denial denial{.reason = Denial::Reason::NoSpace, .holder = {}};
    send_to(to, Topic::Ipam, encode(PeerMessage{.id = id, .body = denial}), out);
    return;
  }
  space_.remove(block);
  tenure_.drop(block);
  given_.add(block);
  std::set<Uint128> changed(granted->begin(), granted->end());
  restate_free_counts(changed);
  ++stats_.granted_count;
  if (last_granted_.size() < kPeerMax) {
    last_granted_[to] = id;
  }
  publish(now, changed, out);
  send_to(to, Topic::Ipam, encode(PeerMessage{.id = id, .body = Grant{*ring_}}), out);
}

void Allocator::Impl::restate_free_counts(std::set<Uint128>& changed) {
  for (const Ring::Piece& piece : ring_->pieces()) {
    if (piece.entry.owner != options_.self) {
      continue;
    }
    const std::uint64_t actual = saturated(space_.free_count(piece.span));
    // A piece cut short by a grant must not claim more than it has addresses.
    const bool impossible = piece.entry.free_count > piece.span.size();
    if (impossible || is_misleading(piece.entry.free_count, actual)) {
      ring_->set_free_count(piece.span.first, actual);
      changed.insert(piece.span.first);
    }
  }
}

void Allocator::Impl::report_free_counts(TimePoint now, AllocatorActions& out) {
  std::set<Uint128> changed;
  restate_free_counts(changed);
  if (!changed.empty()) {
    publish(now, changed, out);
  }
}

void Allocator::Impl::publish(TimePoint now,
                              const std::set<Uint128>& tokens,
                              AllocatorActions& out) {
  StoreBatch batch;
  append_entries(tokens, batch);
  persist(std::move(batch), out);
  news_.on_changed(std::nullopt, {tokens.begin(), tokens.end()});
  flush_due_ = std::min(flush_due_, now + kNewsDelay);
}

void Allocator::Impl::perform(Asks::Steps steps, AllocatorActions& out) {
  for (const Asks::Step& step : steps) {
    std::visit(overloaded{
                   [&](const Asks::Send& send) {
                     ++stats_.asked_count;
                     send_to(send.to, Topic::Ipam, encode(send.message), out);
                   },
                   [&](const Asks::GiveUp& give_up) {
                     refuse_claims(give_up.address, give_up.reason, out);
                   },
               },
               step);
  }
}

// Time.

void Allocator::Impl::flush_news(AllocatorActions& out) {
  flush_due_ = kNever;
  if (!ring_) {
    flush_claims(out);
    return;
  }
  for (RingNews::Message& message : news_.take(*ring_)) {
    if (message.to) {
      send_to(*message.to, message.topic, std::move(message.payload), out);
    } else {
      send_all(message.except, std::move(message.payload), out);
    }
  }
}

void Allocator::Impl::send_digest(TimePoint now, AllocatorActions& out) {
  if (reachable_.empty()) {
    digest_due_ = kNever;
    return;
  }
  digest_due_ = now + kDigestInterval + milliseconds(rng_.below(kDigestJitterMs));
  const auto index = rng_.below(static_cast<std::uint32_t>(reachable_.size()));
  const PeerName peer = *std::next(reachable_.begin(), index);
  send_to(
      peer, Topic::Ipam, encode(PeerMessage{.id = 0, .body = RingDigest{ring_->digest()}}), out);
}

}  // namespace weft::ipam
