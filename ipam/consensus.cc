#include "ipam/consensus.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "ipam/ring.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;

// The first retry waits long enough for one round over a slow mesh, and for so many electors to be
// heard on a busy one; rivals' random delays grow apart until one of them finishes undisturbed.
constexpr Duration kRetryMin = milliseconds(400);
constexpr Duration kRetryPerElector = milliseconds(10);
constexpr Duration kRetryMax = std::chrono::seconds(10);

// Whose turn it is has begun by then, or is not there any more.
constexpr Duration kTurnMax = milliseconds(600);
// An election that gets on for so long without coming to an end has rivals enough already.
constexpr Duration kPatienceMax = std::chrono::seconds(5);

}  // namespace

Consensus::Consensus(Options options, Memory memory, Rng rng) : options_(options), rng_(rng) {
  WEFT_ASSERT(options_.elector_count >= 1);
  for (const PeerName& peer : memory.known) {
    claims_.try_emplace(peer);
  }
  if (options_.observer) {
    claims_.erase(options_.self);
  } else {
    claims_[options_.self] = std::move(memory.own);
  }
}

Duration Consensus::jitter(Duration most) {
  return milliseconds(rng_.below(static_cast<std::uint32_t>(most / milliseconds(1)) + 1));
}

Duration Consensus::retry_min() const {
  return kRetryMin + kRetryPerElector * static_cast<int>(claims_.size());
}

Consensus::Change Consensus::start(TimePoint now, Turn turn) {
  if (due_ != kNever) {
    return {};
  }
  delay_ = retry_min();
  if (turn == Turn::Ours) {
    return propose(now);
  }
  due_ = now + kTurnMax + jitter(kTurnMax);
  patient_until_ = now + kPatienceMax;
  return {.nudge = true};
}

void Consensus::on_progress(TimePoint now) {
  if (due_ != kNever && now < patient_until_) {
    due_ = std::max(due_, now + kTurnMax + jitter(kTurnMax));
  }
}

Consensus::Change Consensus::on_deadline(TimePoint now) {
  if (now < due_) {
    return {};
  }
  return propose(now);
}

Consensus::Change Consensus::propose(TimePoint now) {
  due_ = now + delay_ + jitter(delay_);
  patient_until_ = now;  // From here on it is ours.
  delay_ = std::min(delay_ * 2, kRetryMax);
  if (options_.observer) {
    return {.provoke = true};
  }
  std::uint64_t round = 0;
  for (const auto& [peer, claim] : claims_) {
    round = std::max(round, claim.promised.round);
  }
  if (round >= kRoundMax) {
    return {};
  }
  own().promised = Ballot{.round = round + 1, .proposer = options_.self};
  (void)settle();  // Our claim has changed in any case.
  return {.memory = true, .own = true, .news = {options_.self}};
}

Consensus::Change Consensus::merge(const ElectorClaims& theirs, Extent extent) {
  Change change;
  auto mine = claims_.begin();  // Both ascend.
  for (const auto& [peer, claim] : theirs) {
    const auto rank = [](const ElectorClaim& c) { return std::pair(c.promised, c.accepted); };
    if (peer == options_.self && options_.observer) {
      continue;  // From a time when we had a vote; it stays cast, but not by us.
    }
    if (peer == options_.self) {
      // Only we change our claim, and nobody sees it before the store has it.
      if (rank(claim) < rank(own())) {
        change.they_lack.insert(peer);
      }
      continue;
    }
    while (mine != claims_.end() && mine->first < peer) {
      ++mine;
    }
    if (mine == claims_.end() || mine->first != peer) {
      if (claims_.size() >= kElectorMax) {
        ++refused_count_;
        continue;
      }
      mine = claims_.emplace_hint(mine, peer, claim);
      change.news.insert(peer);
      // Until we vote, to forget it is not to have heard of it yet.
      change.memory = change.memory || (!options_.observer && own().promised.round > 0);
      continue;
    }
    // Both parts only rise, so the later claim of one elector is the greater pair.
    if (rank(mine->second) < rank(claim)) {
      mine->second = claim;
      change.news.insert(peer);
    } else if (rank(claim) < rank(mine->second)) {
      change.they_lack.insert(peer);
    }
  }
  if (extent == Extent::News) {
    change.they_lack.clear();  // News crosses with news: what they lack of it is on its way.
  } else {
    for (const auto& [peer, claim] : claims_) {
      if (!theirs.contains(peer)) {
        change.they_lack.insert(change.they_lack.end(), peer);
      }
    }
  }
  // Most of what arrives is what neighbours have told before.
  if (!change.news.empty() && settle()) {
    change.memory = true;
    change.own = true;
    change.news.insert(options_.self);
  }
  return change;
}

ElectorClaims Consensus::claims_of(const std::set<PeerName>& electors) const {
  ElectorClaims found;
  for (const PeerName& elector : electors) {
    if (const auto at = claims_.find(elector); at != claims_.end()) {
      found.insert(*at);
    }
  }
  return found;
}

bool Consensus::settle() {
  bool changed = false;
  while (!options_.observer && (promise_highest() || accept_own_ballot() || accept_followed())) {
    changed = true;
  }
  check_invariants();
  return changed;
}

bool Consensus::promise_highest() {
  Ballot highest = own().promised;
  for (const auto& [peer, claim] : claims_) {
    highest = std::max(highest, claim.promised);
  }
  if (highest == own().promised) {
    return false;
  }
  own().promised = highest;
  return true;
}

// Phase two of our own proposal: a quorum promised it, so we may accept a value for it, the one of
// the highest ballot any of them accepted before, if any did.
bool Consensus::accept_own_ballot() {
  const Ballot ballot = own().promised;
  if (ballot.proposer != options_.self || ballot.round == 0 || own().accepted == ballot
      || count_promised(ballot) < quorum()) {
    return false;
  }
  Ballot highest;
  std::vector<PeerName> value;
  for (const auto& [peer, claim] : claims_) {
    if (claim.promised == ballot && highest < claim.accepted) {
      highest = claim.accepted;
      value = claim.electors;
    }
  }
  if (highest.round == 0) {
    for (const auto& [peer, claim] : claims_) {
      value.push_back(peer);
    }
  }
  own().accepted = ballot;
  own().electors = std::move(value);
  return true;
}

bool Consensus::accept_followed() {
  const ElectorClaim* best = nullptr;
  for (const auto& [peer, claim] : claims_) {
    if (claim.accepted.round > 0 && claim.accepted >= own().promised
        && claim.accepted > own().accepted
        && (best == nullptr || best->accepted < claim.accepted)) {
      best = &claim;
    }
  }
  if (best == nullptr) {
    return false;
  }
  const ElectorClaim followed = *best;
  own() = {
      .promised = followed.accepted, .accepted = followed.accepted, .electors = followed.electors};
  return true;
}

std::size_t Consensus::count_promised(const Ballot& ballot) const {
  return static_cast<std::size_t>(
      std::count_if(claims_.begin(), claims_.end(), [&ballot](const auto& entry) {
        return entry.second.promised == ballot;
      }));
}

std::optional<std::vector<PeerName>> Consensus::chosen() const {
  if (options_.observer) {
    return std::nullopt;  // Electors know how many they are; an observer waits for their ring.
  }
  for (const auto& [peer, claim] : claims_) {
    if (claim.accepted.round == 0) {
      continue;
    }
    const auto votes = static_cast<std::size_t>(
        std::count_if(claims_.begin(), claims_.end(), [&claim = claim](const auto& entry) {
          return entry.second.accepted == claim.accepted;
        }));
    if (votes >= quorum()) {
      return claim.electors;
    }
  }
  return std::nullopt;
}

Consensus::Memory Consensus::memory() const {
  Memory memory;
  if (!options_.observer) {
    memory.own = claims_.at(options_.self);
  }
  for (const auto& [peer, claim] : claims_) {
    memory.known.insert(peer);
  }
  return memory;
}

bool Consensus::is_under_way() const {
  return std::any_of(claims_.begin(), claims_.end(), [](const auto& entry) {
    return entry.second.promised.round > 0;
  });
}

std::size_t Consensus::quorum() const {
  return std::max(options_.elector_count, claims_.size()) / 2 + 1;
}

void Consensus::check_invariants() const {
  WEFT_ASSERT(claims_.size() <= kElectorMax);
  if (options_.observer) {
    return;
  }
  const ElectorClaim& own = claims_.at(options_.self);
  WEFT_ASSERT(own.accepted <= own.promised);
  WEFT_ASSERT((own.accepted.round == 0) == own.electors.empty());
}

}  // namespace weft::ipam
