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
// Relays of a lost peer are asked this much after its straight paths. A host that stood still
// answers in the order it was asked: two that took each other for relays would send its frames in
// circles.
constexpr Duration kStraightFirst = std::chrono::milliseconds(20);

}  // namespace

std::string to_string(const Path& path) {
  switch (path.way) {
    case Way::Clear:
      return "clear";
    case Way::Esp:
      return "esp";
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
  if (path.way == Way::Esp) {
    candidate.health = Health::Bad;
    candidate.retry_at = now_;
  }
  return candidate;
}

void Paths::set_peer(TimePoint now, PeerName name, const Possible& possible, PathActions& out) {
  WEFT_ASSERT(possible.clear || possible.sealed);
  WEFT_ASSERT(possible.sealed || !possible.esp);
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
    const bool is_found = at != peer.candidates.end();
    candidates.push_back(is_found ? *at : make_candidate(path));
    Candidate& candidate = candidates.back();
    candidate.retry = options_.retry_min;
    if (candidate.health == Health::Bad) {
      candidate.retry_at = now;
    } else if (is_doubtful ? candidate.health == Health::Unknown : !is_new && !is_found) {
      doubt(candidate, now);
    }
  };
  if (possible.clear) {
    keep({Way::Clear, {}});
  }
  if (possible.esp) {
    keep({Way::Esp, {}});
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
        unproven(peer),
        is_new ? "the peer became known" : "the path is no longer possible",
        out);
  } else {
    peer.current = static_cast<std::size_t>(same - peer.candidates.begin());
  }
  if (peer.lost) {
    begin_rounds(now, peer);
  }
  choose(now, name, peer, is_doubtful ? "the hosts are not connected" : "possible now", out);
}

// What may be used without having answered.
std::size_t Paths::unproven(const Peer& peer) {
  const auto at = std::find_if(peer.candidates.begin(), peer.candidates.end(), [](const auto& c) {
    return c.path.way != Way::Esp;
  });
  WEFT_ASSERT(at != peer.candidates.end());
  return static_cast<std::size_t>(at - peer.candidates.begin());
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
  bool has_new = false;
  for (Candidate& candidate : peer.candidates) {
    (candidate.path.way == Way::Relay ? old : candidates).push_back(candidate);
  }
  const auto take = [&](PeerName via) {
    const auto at = std::find_if(
        old.begin(), old.end(), [via](const Candidate& c) { return c.path.via == via; });
    candidates.push_back(at == old.end() ? make_candidate({Way::Relay, via}) : *at);
    if (at == old.end()) {
      doubt(candidates.back(), now);
      has_new = true;
    }
  };
  // The one in use stays first while it works: another that is a little nearer is not worth it. It
  // also stays while nothing works.
  if (before.way == Way::Relay
      && (peer.candidates[peer.current].health != Health::Bad
          || (peer.lost && peers_.contains(before.via)))) {
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
    use(now, name, peer, unproven(peer), "the relay is gone", out);
  } else {
    peer.current = static_cast<std::size_t>(same - peer.candidates.begin());
  }
  if (peer.lost && has_new) {
    begin_rounds(now, peer);
  }
  choose(now, name, peer, "the straight path does not answer", out);
}

void Paths::on_traffic(TimePoint now, PeerName name) {
  const auto found = peers_.find(name);
  if (found == peers_.end()) {
    return;
  }
  Peer& peer = found->second;
  if (!busy_.contains(name) || deadline(now_, peer) > now) {
    peer.idle_until = now;
  }
  now_ = now;
  if (now >= peer.active_until && !peer.lost) {
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
  // An answer that waited until its host went on proves the path, but is no measure of it.
  if (!peer.lost || rtt < options_.lost_after) {
    candidate.rtt = candidate.rtt ? (*candidate.rtt * 7 + rtt) / 8 : rtt;
  }
  candidate.answered = number + 1;
  candidate.answered_at = now;
  candidate.answered_sent_at = now - rtt;
  candidate.retry = options_.retry_min;
  ++candidate.answers;
  if (candidate.health != Health::Bad || candidate.answers >= answers_needed(peer, candidate)) {
    const bool is_back = candidate.health == Health::Bad;
    candidate.health = Health::Good;
    if (is_back) {
      const bool is_other =
          peer.lost && at - peer.candidates.begin() != std::ptrdiff_t(peer.current);
      const char* const answers = candidate.failures > 0 ? "it answers again" : "it answers";
      choose(now, name, peer, is_other ? peer.failure : answers, out);
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
  if (!peer.lost) {
    fail(now, current);
    choose(now, name, peer, "the peer comes through a relay", out);
  } else if (peer.round_at - now > options_.retry_min) {
    begin_rounds(now, peer);  // It lives.
  }
  std::vector<PeerName> relays{via};
  for (const Candidate& candidate : peer.candidates) {
    if (candidate.path.way == Way::Relay) {
      relays.push_back(candidate.path.via);
    }
  }
  set_relays(now, name, relays, out);
}

// Time in which we did not look is not time in which nobody answered.
void Paths::forgive_lateness(TimePoint now) {
  TimePoint due = kNever;
  for (const PeerName name : busy_) {
    const Peer& peer = peers_.at(name);
    due = std::min(due, std::max(deadline(now_, peer), peer.idle_until));
  }
  if (due == kNever || now - due < options_.late_min) {
    return;
  }
  for (const PeerName name : busy_) {
    for (Candidate& candidate : peers_.at(name).candidates) {
      for (TimePoint& sent_at : candidate.sent_at) {
        sent_at = std::min(sent_at + (now - due), now);
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
  if (index == peer.current) {
    // A relay is probed at leisure, too: who is on it is not where the cluster wants it to be.
    return now < peer.active_until;
  }
  return candidate.health == Health::Bad && candidate.answers > 0;
}

TimePoint Paths::probe_at(TimePoint now, const Peer& peer, std::size_t index) const {
  const Candidate& candidate = peer.candidates[index];
  if (peer.lost) {
    return candidate.retry_at;
  }
  if (is_probed(now, peer, index)) {
    return candidate.sent == 0
               ? now
               : candidate.sent_at.at((candidate.sent - 1) % kWindow) + options_.probe_interval;
  }
  const bool is_wanted = candidate.health == Health::Bad && index < peer.current;
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
  TimePoint earliest = std::min(peer.relays_at, peer.round_at);
  for (std::size_t i = 0; i < peer.candidates.size(); ++i) {
    const TimePoint at = probe_at(now, peer, i);
    earliest = std::min(earliest, at);
    if (at != kNever && !peer.lost) {
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
  for (std::size_t i = 0; !peer.lost && i < peer.candidates.size(); ++i) {
    Candidate& candidate = peer.candidates[i];
    if (probe_at(now, peer, i) != kNever && now >= verdict_at(candidate)) {
      fail(now, candidate);
      if (i == peer.current) {
        choose(now, name, peer, to_string(candidate.path) + " does not answer", out);
      }
    }
  }
  if (now >= peer.round_at) {
    ask_all(now, peer);
  }
  for (std::size_t i = 0; i < peer.candidates.size(); ++i) {
    if (probe_at(now, peer, i) <= now) {
      probe(now, name, peer, i, out);
    }
  }
}

// All paths are asked at once, now and after 1, 2, 4 … s.
void Paths::begin_rounds(TimePoint now, Peer& peer) const {
  peer.round_at = now;
  peer.round_wait = options_.retry_min;
}

void Paths::ask_all(TimePoint now, Peer& peer) const {
  for (Candidate& candidate : peer.candidates) {
    const bool is_straight = candidate.path.way != Way::Relay;
    doubt(candidate, is_straight ? now : now + kStraightFirst);
  }
  peer.round_at = now + peer.round_wait;
  peer.round_wait = std::min(peer.round_wait * 2, options_.retry_max);
}

// One has answered, and the others are to prove themselves as usual.
void Paths::end_rounds(TimePoint now, Peer& peer) const {
  peer.round_at = kNever;
  for (Candidate& candidate : peer.candidates) {
    if (candidate.health == Health::Bad) {
      doubt(candidate, now + options_.retry_min);
    }
  }
}

void Paths::probe(TimePoint now, PeerName name, Peer& peer, std::size_t index, PathActions& out) {
  Candidate& candidate = peer.candidates[index];
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
  candidate.retry_at = peer.lost ? kNever : now + candidate.retry;  // Rounds have their own times.
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

// It has not failed, but is not to be used before it answers what it is asked from `ask_at` on.
void Paths::doubt(Candidate& candidate, TimePoint ask_at) const {
  candidate.health = Health::Bad;
  candidate.answers = 0;
  candidate.answered = candidate.sent;
  candidate.retry = options_.retry_min;
  candidate.retry_at = ask_at;
}

std::uint32_t Paths::answers_needed(const Peer& peer, const Candidate& candidate) const {
  if (peer.lost) {
    return 1;
  }
  const std::uint32_t doublings =
      candidate.failures == 0 ? 0 : std::min(candidate.failures - 1, kDampingMax);
  return options_.recover_answers << doublings;
}

// The first that has just answered, or the one in use unless it failed.
void Paths::choose(
    TimePoint now, PeerName name, Peer& peer, const std::string& reason, PathActions& out) {
  std::size_t best = 0;
  const auto is_eligible = [&peer](std::size_t index) {
    const Health health = peer.candidates[index].health;
    return health == Health::Good || (health == Health::Unknown && index == peer.current);
  };
  while (best < peer.candidates.size() && !is_eligible(best)) {
    ++best;
  }
  const bool was_lost = std::exchange(peer.lost, best == peer.candidates.size());
  const std::size_t index = peer.lost ? peer.current : best;
  const bool needs_relays = peer.lost || peer.candidates[index].path.way == Way::Relay;
  if (!needs_relays) {
    peer.relays_at = kNever;
  } else if (peer.relays_at == kNever) {
    peer.relays_at = now;
  }
  if (peer.lost && !was_lost) {
    peer.failure = reason;
    begin_rounds(now, peer);
  } else if (was_lost && !peer.lost) {
    end_rounds(now, peer);
  }
  if (index != peer.current) {
    Candidate& left = peer.candidates[peer.current];
    left.health = left.health == Health::Good ? Health::Unknown : left.health;
    use(now, name, peer, index, reason, out);
  } else if (peer.lost != was_lost) {
    peer.history.push_back({now, peer.candidates[index].path, reason});
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
      WEFT_ASSERT(!candidate.rtt || *candidate.rtt >= Duration::zero());
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
