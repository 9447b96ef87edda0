#include "ipam/council/voter.h"

#include "ipam/council/tenure.h"

namespace weft::ipam {

void Voter::begin(TimePoint now,
                  const Charter& charter,
                  Memory memory,
                  const std::set<PeerName>& reachable) {
  memory_ = std::move(memory);
  for (const auto& [peer, cold] : charter.cold) {
    memory_.registrations.try_emplace(peer, Registration{.seq = 0, .cold = cold});
  }
  heard_.clear();
  lost_.clear();
  reachable_ = reachable;
  began_ = now;
}

void Voter::on_unreachable(TimePoint now, PeerName peer) {
  const auto heard = heard_.find(peer);
  if (reachable_.erase(peer) > 0) {
    (heard == heard_.end() ? lost_[peer] : heard->second) = now;  // Until here the mesh heard it.
  }
}

std::optional<Voter::Heard> Voter::on_register(TimePoint now,
                                               PeerName from,
                                               std::uint64_t seq,
                                               const std::optional<IntervalSet>& cold) {
  auto known = memory_.registrations.find(from);
  if (known == memory_.registrations.end()) {
    if (memory_.registrations.size() >= kRegisteredMax) {
      return std::nullopt;
    }
    known = memory_.registrations.emplace(from, Registration{}).first;
  }
  heard_[from] = now;  // Even if we may not acknowledge: it lives.
  if (is_sealed()) {
    return std::nullopt;
  }
  if (!cold || seq <= known->second.seq) {
    return Heard{.seq = known->second.seq, .changed = false};
  }
  known->second = Registration{.seq = seq, .cold = *cold};
  return Heard{.seq = seq, .changed = true};
}

bool Voter::on_prepare(TimePoint now, const Prepare& prepare) {
  const bool is_heard = prepare.removed && !is_silent(now, *prepare.removed);
  if (is_heard || prepare.ballot <= memory_.promised) {
    return false;
  }
  memory_.promised = prepare.ballot;
  return true;
}

bool Voter::on_accept(const Accept& accept) {
  if (accept.ballot < memory_.promised) {
    return false;
  }
  memory_.promised = accept.ballot;
  memory_.accepted = std::pair(accept.ballot, accept.value);
  return true;
}

bool Voter::retract() {
  if (!is_sealed() || memory_.accepted || memory_.promised.round >= kRoundMax) {
    return false;
  }
  memory_.promised = Ballot{.round = memory_.promised.round + 1, .proposer = {}};
  return true;
}

Promise Voter::promise(TimePoint now, std::uint64_t decree, const Ring& ring) const {
  Promise promise{.decree = decree,
                  .ballot = memory_.promised,
                  .words = {},
                  .ring = ring,
                  .accepted = memory_.accepted};
  for (const auto& [peer, registration] : memory_.registrations) {
    promise.words.emplace(peer,
                          Promise::Word{.registration = registration, .life = life_of(now, peer)});
  }
  return promise;
}

Promise::Word::Life Voter::life_of(TimePoint now, PeerName peer) const {
  using enum Promise::Word::Life;
  const auto heard = heard_.find(peer);
  if (reachable_.contains(peer)) {
    return heard == heard_.end() ? Unknown : Heard;
  }
  const auto lost = lost_.find(peer);
  const TimePoint since = heard != heard_.end() ? heard->second
                          : lost != lost_.end() ? lost->second
                                                : began_;
  return now - since > kSilenceMax ? Silent : Unknown;
}

std::vector<PeerName> Voter::living() const {
  std::vector<PeerName> living;
  for (const auto& [peer, when] : heard_) {
    if (reachable_.contains(peer)) {
      living.push_back(peer);
    }
  }
  return living;
}

bool Voter::is_calm(TimePoint now, PeerName self, const Charter& charter) const {
  if (is_sealed()) {
    return false;
  }
  const auto is_settled = [&](PeerName peer) {
    return peer == self || reachable_.contains(peer) || is_silent(now, peer);
  };
  for (const PeerName& member : charter.council) {
    if (!is_settled(member)) {
      return false;
    }
  }
  for (const auto& [peer, registration] : memory_.registrations) {
    if (!is_settled(peer) || (is_silent(now, peer) && registration.cold.size() > 0)) {
      return false;
    }
  }
  return true;
}

}  // namespace weft::ipam
