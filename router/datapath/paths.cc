#include "router/datapath/paths.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::router {
namespace {

// Relays are asked for again this often while they are needed: the mesh may know better by then.
constexpr Duration kRelaysInterval = std::chrono::seconds(2);
// A straight path that has answered this recently is believed more than what a peer seems to think.
constexpr Duration kFresh = std::chrono::seconds(1);
// Doubled at most this often: 3 answers, then 6, … 48, which take ten seconds.
constexpr std::uint32_t kDampingMax = 4;

}  // namespace

std::string to_string(const Path& path) {
  switch (path.way) {
    case Way::Clear:
      return "clear";
    case Way::Sealed:
      return "sealed";
    case Way::Relay:
      return "relay " + path.via.to_string();
  }
  return "";
}

Paths::Paths(Options options, Rng rng, TimePoint now)
    : options_(options),
      rng_(rng),
      limit_(options.probe_rate_max, now),
      started_(now),
      now_(now) {}

Paths::Candidate Paths::make_candidate(const Path& path) {
  Candidate candidate;
  candidate.path = path;
  candidate.tag = rng_.next() << 16U;
  candidate.retry = options_.retry_min;
  return candidate;
}

void Paths::set_peer(TimePoint now, PeerName name, const Possible& possible, PathActions& out) {
  WEFT_ASSERT(possible.clear || possible.sealed);
  now_ = now;
  const bool is_new = !peers_.contains(name);
  const bool is_doubtful = !possible.linked && now - started_ >= options_.doubt_after;
  Peer& peer = peers_[name];
  const Path before = is_new ? Path{} : peer.candidates[peer.current].path;
  std::vector<Candidate> candidates;
  const auto keep = [&](const Path& path) {
    const auto at = std::find_if(peer.candidates.begin(),
                                 peer.candidates.end(),
                                 [&path](const Candidate& c) { return c.path == path; });
    candidates.push_back(at == peer.candidates.end() ? make_candidate(path) : *at);
    Candidate& candidate = candidates.back();
    candidate.retry = options_.retry_min;
    if (candidate.health == Health::Bad) {
      candidate.retry_at = now;
    }
    if (is_doubtful && candidate.health == Health::Unknown) {
      candidate.health = Health::Bad;
      candidate.retry_at = now;
    }
  };
  if (possible.clear) {
    keep({Way::Clear, {}});
  }
  if (possible.sealed) {
    keep({Way::Sealed, {}});
  }
  for (const Candidate& candidate : peer.candidates) {
    if (candidate.path.way == Way::Relay) {
      candidates.push_back(candidate);
    }
  }
  peer.candidates = std::move(candidates);
  if (is_doubtful) {
    peer.active_until = std::max(peer.active_until, now + options_.active_for);
  }
  const auto same = std::find_if(peer.candidates.begin(),
                                 peer.candidates.end(),
                                 [&before](const Candidate& c) { return c.path == before; });
  if (is_new || same == peer.candidates.end()) {
    // Where its frames go must be said at once, whatever is found out later.
    use(now,
        name,
        peer,
        0,
        is_new ? "the peer became known" : "the path is no longer possible",
        out);
  } else {
    peer.current = static_cast<std::size_t>(same - peer.candidates.begin());
  }
  choose(now, name, peer, is_doubtful ? "the hosts are not connected" : "possible now", out);
}

void Paths::remove_peer(PeerName peer) {
  peers_.erase(peer);
  busy_.erase(peer);
}

void Paths::set_relays(TimePoint now,
                       PeerName name,
                       const std::vector<PeerName>& relays,
                       PathActions& out) {
  const auto found = peers_.find(name);
  if (found == peers_.end()) {
    return;
  }
  now_ = now;
  Peer& peer = found->second;
  const Path before = peer.candidates[peer.current].path;
  std::vector<Candidate> candidates;
  std::vector<Candidate> old;
  for (Candidate& candidate : peer.candidates) {
    (candidate.path.way == Way::Relay ? old : candidates).push_back(candidate);
  }
  const auto take = [&](PeerName via) {
    const auto at = std::find_if(
        old.begin(), old.end(), [via](const Candidate& c) { return c.path.via == via; });
    candidates.push_back(at == old.end() ? make_candidate({Way::Relay, via}) : *at);
  };
  // The one in use stays first while it works: another that is a little nearer is not worth it.
  if (before.way == Way::Relay && peer.candidates[peer.current].health != Health::Bad) {
    take(before.via);
  }
  for (const PeerName via : relays) {
    const bool is_taken =
        std::any_of(candidates.begin(), candidates.end(), [via](const Candidate& candidate) {
          return candidate.path == Path{Way::Relay, via};
        });
    const auto count = static_cast<std::size_t>(
        std::count_if(candidates.begin(), candidates.end(), [](const Candidate& candidate) {
          return candidate.path.way == Way::Relay;
        }));
    if (!is_taken && via != name && count < options_.relays_max) {
      take(via);
    }
  }
  peer.candidates = std::move(candidates);
  const auto same = std::find_if(peer.candidates.begin(),
                                 peer.candidates.end(),
                                 [&before](const Candidate& c) { return c.path == before; });
  if (same == peer.candidates.end()) {
    use(now, name, peer, 0, "the relay is gone", out);
  } else {
    peer.current = static_cast<std::size_t>(same - peer.candidates.begin());
  }
  choose(now, name, peer, "the straight path does not answer", out);
}

void Paths::on_traffic(TimePoint now, PeerName name) {
  const auto found = peers_.find(name);
  if (found == peers_.end()) {
    return;
  }
  now_ = now;
  Peer& peer = found->second;
  if (now >= peer.active_until) {
    // What was asked when there was traffic last says nothing of the path as it is.
    Candidate& current = peer.candidates[peer.current];
    current.answered = current.sent;
  }
  peer.active_until = now + options_.active_for;
  busy_.insert(name);
}

void Paths::on_answer(
    TimePoint now, PeerName name, const Path& path, std::uint64_t id, PathActions& out) {
  const auto found = peers_.find(name);
  if (found == peers_.end()) {
    ++stats_.answers_refused;
    return;
  }
  now_ = now;
  Peer& peer = found->second;
  const auto at = std::find_if(peer.candidates.begin(),
                               peer.candidates.end(),
                               [&path](const Candidate& c) { return c.path == path; });
  const std::uint64_t number = at == peer.candidates.end() ? 0 : id - at->tag;
  const bool was_asked = at != peer.candidates.end() && number < at->sent
                         && number + kWindow >= at->sent && number >= at->answered;
  if (!was_asked) {
    ++stats_.answers_refused;  // Also one that comes twice.
    return;
  }
  ++stats_.answers;
  Candidate& candidate = *at;
  const Duration rtt = now - candidate.sent_at.at(number % kWindow);
  candidate.rtt = candidate.rtt ? (*candidate.rtt * 7 + rtt) / 8 : rtt;
  candidate.answered = number + 1;
  candidate.answered_at = now;
  candidate.answered_sent_at = now - rtt;
  candidate.retry = options_.retry_min;
  ++candidate.answers;
  if (candidate.health != Health::Bad || candidate.answers >= answers_needed(peer, candidate)) {
    const bool is_back = candidate.health == Health::Bad;
    candidate.health = Health::Good;
    if (is_back) {
      choose(now, name, peer, "it answers again", out);
    }
  }
  busy_.insert(name);
}

void Paths::on_relayed_probe(TimePoint now, PeerName name, PeerName via, PathActions& out) {
  const auto found = peers_.find(name);
  if (found == peers_.end() || via == name) {
    return;
  }
  now_ = now;
  Peer& peer = found->second;
  Candidate& current = peer.candidates[peer.current];
  const bool is_fresh = current.answered > 0 && now - current.answered_at < kFresh;
  if (current.path.way == Way::Relay || is_fresh) {
    return;
  }
  fail(now, current);
  std::vector<PeerName> relays{via};
  for (const Candidate& candidate : peer.candidates) {
    if (candidate.path.way == Way::Relay) {
      relays.push_back(candidate.path.via);
    }
  }
  // The relay that carried the probe carries the answer.
  std::erase_if(peer.candidates, [via](const Candidate& candidate) {
    return candidate.path == Path{Way::Relay, via};
  });
  set_relays(now, name, relays, out);
}

// Time in which we did not look is not time in which nobody answered.
void Paths::forgive_lateness(TimePoint now) {
  const TimePoint due = next_deadline();
  if (due == kNever || now - due < options_.late_min) {
    return;
  }
  for (const PeerName name : busy_) {
    for (Candidate& candidate : peers_.at(name).candidates) {
      for (TimePoint& sent_at : candidate.sent_at) {
        sent_at += now - due;
      }
    }
  }
}

void Paths::on_deadline(TimePoint now, PathActions& out) {
  forgive_lateness(now);
  now_ = now;
  const std::vector<PeerName> names(busy_.begin(), busy_.end());
  for (const PeerName name : names) {
    Peer& peer = peers_.at(name);
    if (deadline(now, peer) <= now) {
      settle(now, name, peer, out);
    }
    if (deadline(now, peer) == kNever) {
      busy_.erase(name);
    }
  }
}

TimePoint Paths::next_deadline() const {
  TimePoint earliest = kNever;
  for (const PeerName name : busy_) {
    earliest = std::min(earliest, deadline(now_, peers_.at(name)));
  }
  return earliest;
}

// Whether it is asked in quick succession.
bool Paths::is_probed(TimePoint now, const Peer& peer, std::size_t index) const {
  const Candidate& candidate = peer.candidates[index];
  if (index == peer.current && !peer.lost) {
    // A relay is probed at leisure, too: who is on it is not where the cluster wants it to be.
    return now < peer.active_until;
  }
  return candidate.health == Health::Bad && candidate.answers > 0;
}

TimePoint Paths::probe_at(TimePoint now, const Peer& peer, std::size_t index) const {
  const Candidate& candidate = peer.candidates[index];
  if (is_probed(now, peer, index)) {
    return candidate.sent == 0
               ? now
               : candidate.sent_at.at((candidate.sent - 1) % kWindow) + options_.probe_interval;
  }
  const bool is_wanted = candidate.health == Health::Bad && (peer.lost || index < peer.current);
  return is_wanted ? candidate.retry_at : kNever;
}

TimePoint Paths::verdict_at(const Candidate& candidate) const {
  if (!candidate.is_waiting()) {
    return kNever;
  }
  const Duration patience =
      candidate.rtt ? std::max(options_.lost_after, *candidate.rtt * 3) : options_.lost_after;
  return candidate.waits_since() + patience;
}

TimePoint Paths::deadline(TimePoint now, const Peer& peer) const {
  TimePoint earliest = peer.relays_at;
  for (std::size_t i = 0; i < peer.candidates.size(); ++i) {
    const TimePoint at = probe_at(now, peer, i);
    earliest = std::min(earliest, at);
    if (at != kNever) {
      earliest = std::min(earliest, verdict_at(peer.candidates[i]));
    }
  }
  return earliest;
}

void Paths::settle(TimePoint now, PeerName name, Peer& peer, PathActions& out) {
  if (now >= peer.relays_at) {
    peer.relays_at = now + kRelaysInterval;
    out.emplace_back(FindRelays{name});
  }
  for (std::size_t i = 0; i < peer.candidates.size(); ++i) {
    Candidate& candidate = peer.candidates[i];
    if (probe_at(now, peer, i) != kNever && now >= verdict_at(candidate)) {
      const bool was_current = i == peer.current && !peer.lost;
      fail(now, candidate);
      if (was_current) {
        choose(now, name, peer, to_string(candidate.path) + " does not answer", out);
      }
    }
  }
  for (std::size_t i = 0; i < peer.candidates.size(); ++i) {
    if (probe_at(now, peer, i) <= now) {
      probe(now, name, peer.candidates[i], out);
    }
  }
}

void Paths::probe(TimePoint now, PeerName name, Candidate& candidate, PathActions& out) {
  if (!limit_.take(now)) {
    ++stats_.probes_limited;
    candidate.retry_at = now + options_.probe_interval;
    if (candidate.sent > 0) {
      candidate.sent_at.at((candidate.sent - 1) % kWindow) = now;  // The next one waits its turn.
    }
    return;
  }
  if (candidate.sent - candidate.answered >= kWindow) {
    candidate.answered = candidate.sent - kWindow + 1;
  }
  candidate.sent_at.at(candidate.sent % kWindow) = now;
  out.emplace_back(SendProbe{name, candidate.path, candidate.tag + candidate.sent});
  ++candidate.sent;
  ++stats_.probes_sent;
  candidate.retry_at = now + candidate.retry;
  candidate.retry = std::min(candidate.retry * 2, options_.retry_max);
}

void Paths::fail(TimePoint now, Candidate& candidate) const {
  if (candidate.health != Health::Bad) {
    if (now - candidate.failed_at > options_.forgive_after) {
      candidate.failures = 0;
    }
    ++candidate.failures;
    candidate.failed_at = now;
    candidate.health = Health::Bad;
    candidate.retry = options_.retry_min;
    candidate.retry_at = now + candidate.retry;
  }
  candidate.answers = 0;
  candidate.answered = candidate.sent;
}

std::uint32_t Paths::answers_needed(const Peer& peer, const Candidate& candidate) const {
  if (peer.lost) {
    return 1;
  }
  const std::uint32_t doublings =
      candidate.failures == 0 ? 0 : std::min(candidate.failures - 1, kDampingMax);
  return options_.recover_answers << doublings;
}

// The first that is not known to be broken.
void Paths::choose(
    TimePoint now, PeerName name, Peer& peer, const std::string& reason, PathActions& out) {
  const auto best =
      std::find_if(peer.candidates.begin(), peer.candidates.end(), [](const Candidate& candidate) {
        return candidate.health != Health::Bad;
      });
  const bool was_lost = std::exchange(peer.lost, best == peer.candidates.end());
  const auto index =
      peer.lost ? peer.current : static_cast<std::size_t>(best - peer.candidates.begin());
  const bool needs_relays = peer.lost || peer.candidates[index].path.way == Way::Relay;
  if (!needs_relays) {
    peer.relays_at = kNever;
  } else if (peer.relays_at == kNever) {
    peer.relays_at = now;
  }
  if (index != peer.current) {
    use(now, name, peer, index, reason, out);
  } else if (peer.lost != was_lost) {
    peer.history.push_back(
        {now, peer.candidates[index].path, peer.lost ? "nothing answers" : reason});
  }
  while (peer.history.size() > options_.history_max) {
    peer.history.pop_front();
  }
  busy_.insert(name);
}

void Paths::use(TimePoint now,
                PeerName name,
                Peer& peer,
                std::size_t index,
                const std::string& reason,
                PathActions& out) {
  peer.current = index;
  const bool is_first = peer.history.empty();
  peer.switches += is_first ? 0U : 1U;
  stats_.switches += is_first ? 0U : 1U;
  Candidate& candidate = peer.candidates[index];
  candidate.answered = candidate.sent;  // It is judged by what is asked from here on.
  peer.history.push_back({now, candidate.path, reason});
  out.emplace_back(UsePath{name, candidate.path, reason, is_first});
}

std::optional<Path> Paths::path(PeerName name) const {
  const auto found = peers_.find(name);
  return found == peers_.end()
             ? std::nullopt
             : std::optional(found->second.candidates[found->second.current].path);
}

TimePoint Paths::answered_probe(PeerName name) const {
  const auto found = peers_.find(name);
  return found == peers_.end() ? TimePoint{}
                               : found->second.candidates[found->second.current].answered_sent_at;
}

std::vector<PathStatus> Paths::status() const {
  std::vector<PathStatus> all;
  all.reserve(peers_.size());
  for (const auto& [name, peer] : peers_) {
    const Candidate& current = peer.candidates[peer.current];
    all.push_back({.peer = name,
                   .path = current.path,
                   .lost = peer.lost,
                   .rtt = current.rtt,
                   .switches = peer.switches,
                   .history = {peer.history.begin(), peer.history.end()}});
  }
  return all;
}

void Paths::check_invariants() const {
  for (const auto& [name, peer] : peers_) {
    WEFT_ASSERT(!peer.candidates.empty());
    WEFT_ASSERT(peer.current < peer.candidates.size());
    WEFT_ASSERT(peer.candidates.front().path.way != Way::Relay);
    WEFT_ASSERT(peer.history.size() <= options_.history_max);
    for (const Candidate& candidate : peer.candidates) {
      WEFT_ASSERT(candidate.answered <= candidate.sent);
      WEFT_ASSERT(candidate.path.via != name);
    }
    if (!peer.lost) {
      WEFT_ASSERT(peer.candidates[peer.current].health != Health::Bad);
    }
  }
  for (const PeerName name : busy_) {
    WEFT_ASSERT(peers_.contains(name));
  }
}

}  // namespace weft::router
