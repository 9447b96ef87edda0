#include "ipam/council/proposal.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::ipam {
namespace {

// Two round trips over a slow mesh and two slow disks; a rival or a retry waits no longer.
constexpr Duration kAttemptMax = std::chrono::seconds(3);

// What all promises together say about one peer.
struct Testimony {
  Registration registration;
  bool silent = true;        // For all of them.
  std::size_t forfeits = 0;  // How many of them give up all that it owns.
  bool heard = false;        // By any.
};

std::map<PeerName, Testimony> hear_out(const std::map<PeerName, Promise>& promises,
                                       const Charter& charter) {
  std::map<PeerName, Testimony> heard;
  for (const auto& [peer, cold] : charter.cold) {
    heard[peer].registration.cold = cold;
  }
  for (const auto& [member, promise] : promises) {
    for (const auto& [peer, word] : promise.words) {
      Testimony& testimony = heard[peer];
      testimony.silent = testimony.silent && word.is_silent();
      testimony.forfeits += word.life == Promise::Word::Life::Forfeit ? 1U : 0U;
      testimony.heard = testimony.heard || word.life == Promise::Word::Life::Heard;
      if (word.registration.seq > testimony.registration.seq) {
        testimony.registration = word.registration;
      }
    }
  }
  return heard;
}

// The value that may have been chosen before: the one accepted under the highest ballot; null if
// there is none. Where it takes all of them, none has been while one has accepted nothing.
const Ring* settled_value(const std::map<PeerName, Promise>& promises, bool takes_all) {
  const std::pair<Ballot, Ring>* highest = nullptr;
  for (const auto& [voice, given] : promises) {
    if (takes_all && !given.accepted) {
      return nullptr;
    }
    if (given.accepted && (highest == nullptr || highest->first < given.accepted->first)) {
      highest = &*given.accepted;
    }
  }
  return highest != nullptr ? &highest->second : nullptr;
}

void move(Ring& ring, PeerName from, PeerName heir, const IntervalSet& space) {
  const IntervalSet owned = ring.owned_by(from);
  for (const Span& part : space.spans()) {
    for (const Span& block : owned.spans_in(part)) {
      (void)ring.grant(block, from, heir);  // Stays where it is if the ring is full.
    }
  }
}

}  // namespace

Prepare Proposal::start(TimePoint now, const Ring& ring, Aim aim) {
  const Charter& charter = ring.charter();
  Attempt attempt;
  attempt.decree = charter.number;
  attempt.ballot = Ballot{.round = ++round_, .proposer = self_};
  attempt.deadline = now + kAttemptMax;
  attempt.voices = charter.council;
  attempt.quorum = decree_quorum(charter.council.size());
  if (aim.removed && charter.has_seat(*aim.removed)) {
    attempt.quorum = removal_quorum(charter.council.size());
    std::erase(attempt.voices, *aim.removed);
  }
  attempt.aim = std::move(aim);
  attempt_ = std::move(attempt);
  return Prepare{
      .decree = attempt_->decree, .ballot = attempt_->ballot, .removed = attempt_->aim.removed};
}

std::optional<Accept> Proposal::on_promise(PeerName member, const Promise& promise) {
  if (!attempt_ || attempt_->value || promise.decree != attempt_->decree
      || promise.ballot != attempt_->ballot
      || std::find(attempt_->voices.begin(), attempt_->voices.end(), member)
             == attempt_->voices.end()) {
    return std::nullopt;
  }
  attempt_->promises.insert_or_assign(member, promise);
  if (attempt_->promises.size() < attempt_->quorum) {
    return std::nullopt;
  }
  const Ring* const settled =
      settled_value(attempt_->promises, attempt_->quorum == attempt_->voices.size());
  auto value = settled != nullptr
                   ? Result<Ring>(*settled)
                   : make_decree(attempt_->promises, attempt_->ballot, attempt_->aim);
  if (!value.ok()) {
    stop();
    return std::nullopt;
  }
  attempt_->value = std::move(value).value();
  return Accept{.decree = attempt_->decree, .ballot = attempt_->ballot, .value = *attempt_->value};
}

std::optional<Ring> Proposal::on_accepted(PeerName member, const Accepted& accepted) {
  if (!attempt_ || !attempt_->value || accepted.decree != attempt_->decree
      || accepted.ballot != attempt_->ballot
      || std::find(attempt_->voices.begin(), attempt_->voices.end(), member)
             == attempt_->voices.end()) {
    return std::nullopt;
  }
  attempt_->accepted.insert(member);
  if (attempt_->accepted.size() < attempt_->quorum) {
    return std::nullopt;
  }
  Ring chosen = std::move(*attempt_->value);
  stop();
  return chosen;
}

void Proposal::on_rebuff(const Rebuff& rebuff) {
  on_ballot(rebuff.promised);
  if (attempt_ && rebuff.decree == attempt_->decree && rebuff.ballot == attempt_->ballot) {
    stop();
  }
}

void Proposal::on_ballot(const Ballot& ballot) {
  round_ = std::max(round_, std::min(ballot.round, kRoundMax - 1));
}

Result<Ring> make_decree(const std::map<PeerName, Promise>& promises,
                         const Ballot& ballot,
                         const Proposal::Aim& aim) {
  WEFT_ASSERT(!promises.empty());
  Ring ring = promises.begin()->second.ring;
  for (const auto& [member, promise] : promises) {
    (void)WEFT_TRY(ring.merge(promise.ring));
  }
  const Charter before = ring.charter();
  std::map<PeerName, Testimony> heard = hear_out(promises, before);
  Charter charter{
      .number = before.number + 1, .ballot = ballot, .council = {}, .cold = {}, .gone = {}};
  for (const auto& gone : {aim.removed, aim.leaving}) {
    if (gone) {
      (void)heard[*gone];  // Even if nobody has a word of it.
    }
  }
  IntervalSet inherited;
  std::vector<PeerName> living;
  for (auto& [peer, testimony] : heard) {
    const bool gone =
        peer == aim.removed || peer == aim.leaving || testimony.forfeits == promises.size();
    if (gone) {
      charter.gone.push_back(peer);
    }
    const IntervalSet owned = ring.owned_by(peer);
    IntervalSet cold;
    for (const Span& span : testimony.registration.cold.spans()) {
      for (const Span& part : owned.spans_in(span)) {
        cold.add(part);
      }
    }
    if (!gone && (testimony.heard || (!testimony.silent && before.has_seat(peer)))) {
      living.push_back(peer);
    }
    if (peer == aim.heir || (!gone && !testimony.silent)) {
      charter.cold[peer] = std::move(cold);
      continue;
    }
    const IntervalSet& moved = gone ? owned : cold;
    move(ring, peer, aim.heir, moved);
    for (const Span& span : moved.spans()) {
      inherited.add(span);
    }
  }
  // Cold, so that it is not lost with an heir that dies before it has said a word.
  for (const Span& span : inherited.spans()) {
    for (const Span& part : ring.owned_by(aim.heir).spans_in(span)) {
      charter.cold[aim.heir].add(part);
    }
  }
  std::erase_if(charter.cold, [](const auto& entry) { return entry.second.size() == 0; });
  if (living.empty()) {
    return Error{Errc::Unavailable, "nobody is left for the council"};
  }
  charter.council = make_council(living, before.council);
  const auto is_back = [&](PeerName peer) {
    return std::find(living.begin(), living.end(), peer) != living.end()
           || ring.owned_by(peer).size() > 0;
  };
  for (const PeerName& peer : before.gone) {
    if (!is_back(peer)) {
      charter.gone.push_back(peer);
    }
  }
  charter.gone.resize(std::min(charter.gone.size(), kGoneMax));  // The latest are in front.
  std::sort(charter.gone.begin(), charter.gone.end());
  charter.gone.erase(std::unique(charter.gone.begin(), charter.gone.end()), charter.gone.end());
  ring.set_charter(std::move(charter));
  return ring;
}

}  // namespace weft::ipam
