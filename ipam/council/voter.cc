#include "ipam/council/voter.h"

#include "ipam/council/tenure.h"

namespace weft::ipam {

void Voter::begin(TimePoint now, const Charter& charter, Memory memory) {
  memory_ = std::move(memory);
  for (const auto& [peer, cold] : charter.cold) {
    memory_.registrations.try_emplace(peer, Registration{.seq = 0, .cold = cold});
  }
  heard_.clear();
  began_ = now;
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
  if (now - (heard == heard_.end() ? began_ : heard->second) > kSilenceMax) {
    return Silent;
  }
  return heard == heard_.end() ? Unknown : Heard;
}

std::vector<PeerName> Voter::living(TimePoint now) const {
  std::vector<PeerName> living;
  for (const auto& [peer, when] : heard_) {
    if (now - when <= kSilenceMax) {
      living.push_back(peer);
    }
  }
  return living;
}

}  // namespace weft::ipam
