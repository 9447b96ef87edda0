// When silence means that a peer is gone: SWIM (Das, Gupta, Motivala 2002) with the three ideas of
// Lifeguard (Dadgar, Phillips, Currey 2018), on top of links that are watched from both ends.
//
// Who probes: the neighbours of a peer, by the heartbeats of their links. A neighbour that hears
// nothing accuses the peer in its own Links record; the peer, if it lives, begins a new life in its
// own record, which voids the accusation (refutation). The suspect is told in the heartbeats too
// (buddy system). As long as anybody still has a link with it, it stays: that is the indirect
// probe. Only a peer that no path leads to is a suspect, and a suspect is suspended after a time
// that shrinks with the number of independent accusers (dynamic suspicion) and grows with our own
// troubles (local health).
//
// Pure; lives on the control strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/peer_name.h"
#include "base/time.h"

namespace weft::router {

// How well we ourselves are doing: 0 is well. Whatever says that we are slow (our timers run late,
// others accuse us) makes us doubt others less quickly.
class LocalHealth {
 public:
  // As memberlist (awareness_max_multiplier = 8).
  static constexpr unsigned kScoreMax = 8;

  void worsen() { score_ = score_ < kScoreMax ? score_ + 1 : kScoreMax; }
  void improve() { score_ = score_ > 0 ? score_ - 1 : 0; }
  unsigned score() const { return score_; }
  Duration stretch(Duration timeout) const { return timeout * (1 + score_); }

 private:
  unsigned score_ = 0;
};

// How much silence of one neighbour is put up with before it is stated. Who was heard again after
// that was there all along, and is starved, as its host's others may be: each time the wait
// doubles, and every calm while takes one doubling back. Without it, a starved machine's agents
// state each other's silence once every few seconds, to all, which starves them further.
class Patience {
 public:
  static constexpr unsigned kDoublingsMax = 3;
  static constexpr Duration kCalm = std::chrono::seconds(30);

  void on_false_alarm(TimePoint now) {
    doublings_ = std::min(doublings(now) + 1, kDoublingsMax);
    since_ = now;
  }
  Duration stretch(TimePoint now, Duration timeout) const {
    return timeout * (1U << doublings(now));
  }

 private:
  unsigned doublings(TimePoint now) const {
    const auto calm = static_cast<std::uint64_t>((now - since_) / kCalm);
    return doublings_ - static_cast<unsigned>(std::min<std::uint64_t>(calm, doublings_));
  }
  unsigned doublings_ = 0;
  TimePoint since_;
};

class Suspicions {
 public:
  struct Options {
    // Enough accusers: what is left to wait for is nothing but records on their way.
    Duration timeout_min = std::chrono::milliseconds(100);
    // Nobody accuses: its neighbours may be the ones that fell silent, and it is looking for
    // others. It notices after the silence that ends a link and needs a few round trips.
    Duration timeout_max = std::chrono::seconds(6);
    // K of the paper: more would add delay and next to no certainty.
    std::size_t accusers_max = 3;
  };

  explicit Suspicions(Options options) : options_(options) {}

  // No path leads to `peer`. `watchers`: how many neighbours it last had, who could accuse it.
  void suspect(TimePoint now, PeerName peer, std::size_t watchers);
  void set_accusers(PeerName peer, std::size_t accusers);
  void clear(PeerName peer) { suspects_.erase(peer); }

  bool contains(PeerName peer) const { return suspects_.contains(peer); }
  std::size_t count() const { return suspects_.size(); }
  std::vector<PeerName> peers() const;
  // True if too few accuse it for a quick decision: worth a probe of our own.
  bool needs_probe(PeerName peer) const;

  // Takes out whose time is over.
  std::vector<PeerName> take_due(TimePoint now, const LocalHealth& health);
  TimePoint next_deadline(const LocalHealth& health) const;

  // max − (max − min) · log(C + 1) / log(K + 1), section IV.B of the paper.
  Duration timeout(std::size_t accusers, std::size_t watchers) const;

 private:
  struct Suspect {
    TimePoint since;
    std::size_t watchers = 0;
    std::size_t accusers = 0;
  };
  TimePoint due(const Suspect& suspect, const LocalHealth& health) const;

  const Options options_;
  std::map<PeerName, Suspect> suspects_;  // Peers of the record store, which has a limit.
};

}  // namespace weft::router
