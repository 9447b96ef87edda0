#include "router/overlay/broadcast.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::router {

void Broadcast::add(PeerName neighbour, Role role) {
  Neighbour& fresh = neighbours_[neighbour] = {};
  fresh.role = role;
}

void Broadcast::remove(PeerName neighbour) {
  const auto at = neighbours_.find(neighbour);
  if (at == neighbours_.end()) {
    return;
  }
  const bool was_branch = at->second.role == Role::Eager;
  neighbours_.erase(at);
  if (!was_branch) {
    return;
  }
  for (auto& [peer, other] : neighbours_) {
    if (other.role == Role::Lazy) {
      other.role = Role::Eager;
      other.graft_due = true;
      other.prune_due = false;
    }
  }
}

void Broadcast::set_role(PeerName neighbour, Role role) {
  const auto at = neighbours_.find(neighbour);
  if (at != neighbours_.end()) {
    at->second.role = role;
    at->second.prune_due = false;
    at->second.graft_due = false;
  }
}

void Broadcast::schedule(TimePoint now, Neighbour& neighbour) const {
  if (!neighbour.owed.empty()) {
    neighbour.push_due = std::min(neighbour.push_due, std::max(now, neighbour.push_after));
  }
}

void Broadcast::on_news(TimePoint now,
                        PeerName origin,
                        OriginVersion before,
                        std::optional<PeerName> from) {
  missing_.erase(origin);
  for (auto& [peer, neighbour] : neighbours_) {
    if (peer == from || peer == origin) {
      neighbour.announce.erase(origin);
      continue;
    }
    if (neighbour.role == Role::Eager) {
      // What it is owed already starts from an earlier version.
      neighbour.owed.try_emplace(origin, before);
      schedule(now, neighbour);
      continue;
    }
    if (neighbour.announce.size() >= options_.announce_max) {
      ++stats_.announcements_skipped;
      continue;
    }
    neighbour.announce.insert(origin);
    neighbour.announce_due = std::min(neighbour.announce_due, now + options_.announce_delay);
  }
}

void Broadcast::on_duplicate(PeerName from) {
  const auto at = neighbours_.find(from);
  if (at != neighbours_.end() && at->second.role == Role::Eager) {
    at->second.role = Role::Lazy;
    at->second.prune_due = true;
    at->second.graft_due = false;
  }
}

void Broadcast::on_pruned(PeerName from) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    at->second.role = Role::Lazy;
    at->second.prune_due = false;
  }
}

void Broadcast::on_grafted(PeerName from) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    at->second.role = Role::Eager;
    at->second.graft_due = false;
    at->second.prune_due = false;
  }
}

void Broadcast::on_announced(TimePoint now, PeerName from, PeerName origin) {
  if (!neighbours_.contains(from) || missing_.contains(origin)) {
    return;
  }
  if (missing_.size() >= options_.missing_max) {
    ++stats_.missing_skipped;
    return;
  }
  missing_[origin] = {from, now + options_.graft_delay};
}

void Broadcast::owe(TimePoint now, PeerName neighbour, PeerName origin, OriginVersion held) {
  const auto at = neighbours_.find(neighbour);
  if (at == neighbours_.end()) {
    return;
  }
  at->second.owed[origin] = held;
  at->second.solicited = true;
  schedule(now, at->second);
}

void Broadcast::on_sent(TimePoint now,
                        PeerName neighbour,
                        std::uint64_t bytes,
                        std::size_t origins) {
  const auto at = neighbours_.find(neighbour);
  WEFT_ASSERT(at != neighbours_.end());
  at->second.sent += bytes;
  at->second.push_after =
      now + (origins >= options_.push_busy_min ? options_.push_pace_busy : options_.push_pace);
  schedule(now, at->second);  // What did not fit.
}

void Broadcast::on_confirmed(TimePoint now, PeerName neighbour, std::uint64_t bytes) {
  const auto at = neighbours_.find(neighbour);
  if (at != neighbours_.end()) {
    at->second.confirmed = std::max(at->second.confirmed, std::min(bytes, at->second.sent));
    schedule(now, at->second);
  }
}

void Broadcast::on_deadline(TimePoint now, std::vector<Step>& out) {
  run_missing(now, out);
  for (auto& [peer, neighbour] : neighbours_) {
    if (neighbour.prune_due) {
      neighbour.prune_due = false;
      out.emplace_back(Prune{peer});
    }
    if (neighbour.graft_due) {
      neighbour.graft_due = false;
      out.emplace_back(Graft{peer, {}});
    }
    if (neighbour.push_due <= now) {
      neighbour.push_due = kNever;
      if (neighbour.sent - neighbour.confirmed > options_.window_bytes) {
        ++stats_.windows_full;  // Its confirmation schedules the next push.
      } else if (!neighbour.owed.empty()) {
        out.emplace_back(Push{peer, std::move(neighbour.owed), neighbour.solicited});
        neighbour.owed.clear();
        neighbour.solicited = false;
      }
    }
    if (neighbour.announce_due <= now) {
      neighbour.announce_due = kNever;
      if (neighbour.announce.size() < options_.announce_max && !neighbour.announce.empty()) {
        out.emplace_back(Announce{peer, {neighbour.announce.begin(), neighbour.announce.end()}});
      }
      neighbour.announce.clear();
    }
  }
}

void Broadcast::run_missing(TimePoint now, std::vector<Step>& out) {
  std::map<PeerName, std::vector<PeerName>> asked;
  for (auto at = missing_.begin(); at != missing_.end();) {
    if (at->second.due > now) {
      ++at;
      continue;
    }
    if (neighbours_.contains(at->second.at)) {
      asked[at->second.at].push_back(at->first);
    }
    at = missing_.erase(at);
  }
  for (auto& [peer, origins] : asked) {
    neighbours_.at(peer).role = Role::Eager;
    neighbours_.at(peer).graft_due = false;
    out.emplace_back(Graft{peer, std::move(origins)});
  }
}

TimePoint Broadcast::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& [peer, neighbour] : neighbours_) {
    if (neighbour.prune_due || neighbour.graft_due) {
      return TimePoint{};
    }
    next = std::min({next, neighbour.push_due, neighbour.announce_due});
  }
  for (const auto& [origin, missing] : missing_) {
    next = std::min(next, missing.due);
  }
  return next;
}

bool Broadcast::is_eager(PeerName neighbour) const {
  const auto at = neighbours_.find(neighbour);
  return at != neighbours_.end() && at->second.role == Role::Eager;
}

std::size_t Broadcast::owed_count(PeerName neighbour) const {
  const auto at = neighbours_.find(neighbour);
  return at == neighbours_.end() ? 0 : at->second.owed.size();
}

void Broadcast::check_invariants() const {
  WEFT_ASSERT(missing_.size() <= options_.missing_max);
  for (const auto& [peer, neighbour] : neighbours_) {
    WEFT_ASSERT(neighbour.announce.size() <= options_.announce_max);
    WEFT_ASSERT(neighbour.confirmed <= neighbour.sent);
  }
}

}  // namespace weft::router
