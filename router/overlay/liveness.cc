#include "router/overlay/liveness.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace weft::router {
namespace {

// log(n + 1) in thousandths: integers, so that every compiler comes to the same result.
constexpr std::array<std::int64_t, 9> kLog{0, 693, 1099, 1386, 1609, 1792, 1946, 2079, 2197};

}  // namespace

Duration Suspicions::timeout(std::size_t accusers, std::size_t watchers) const {
  const std::size_t enough = std::clamp<std::size_t>(watchers, 1, options_.accusers_max);
  WEFT_ASSERT(enough < kLog.size());
  const Duration span = options_.timeout_max - options_.timeout_min;
  return options_.timeout_max - span * kLog[std::min(accusers, enough)] / kLog[enough];
}

void Suspicions::suspect(TimePoint now, PeerName peer, std::size_t watchers) {
  suspects_.try_emplace(peer, Suspect{.since = now, .watchers = watchers, .accusers = 0});
}

void Suspicions::set_accusers(PeerName peer, std::size_t accusers) {
  if (const auto at = suspects_.find(peer); at != suspects_.end()) {
    at->second.accusers = accusers;
  }
}

std::vector<PeerName> Suspicions::peers() const {
  std::vector<PeerName> found;
  for (const auto& [peer, suspect] : suspects_) {
    found.push_back(peer);
  }
  return found;
}

bool Suspicions::needs_probe(PeerName peer) const {
  const auto at = suspects_.find(peer);
  return at != suspects_.end()
         && at->second.accusers
                < std::clamp<std::size_t>(at->second.watchers, 1, options_.accusers_max);
}

TimePoint Suspicions::due(const Suspect& suspect, const LocalHealth& health) const {
  return suspect.since + health.stretch(timeout(suspect.accusers, suspect.watchers));
}

std::vector<PeerName> Suspicions::take_due(TimePoint now, const LocalHealth& health) {
  std::vector<PeerName> found;
  for (auto at = suspects_.begin(); at != suspects_.end();) {
    if (due(at->second, health) <= now) {
      found.push_back(at->first);
      at = suspects_.erase(at);
    } else {
      ++at;
    }
  }
  return found;
}

TimePoint Suspicions::next_deadline(const LocalHealth& health) const {
  TimePoint next = kNever;
  for (const auto& [peer, suspect] : suspects_) {
    next = std::min(next, due(suspect, health));
  }
  return next;
}

}  // namespace weft::router
