#include "router/overlay/broadcast.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::router {

void Broadcast::add(PeerName neighbour, Role role) {
  Neighbour& fresh = neighbours_[neighbour] = {};
  fresh.role = role;
  fresh.feeds = role == Role::Eager;
}

bool Broadcast::remove(TimePoint now, PeerName neighbour) {
  const auto at = neighbours_.find(neighbour);
  if (at == neighbours_.end()) {
    return false;
  }
  const bool was_branch = at->second.role == Role::Eager || at->second.feeds;
  neighbours_.erase(at);
  // Else nobody would hear of us. While newcomers come in, branches are computed anew all the time.
  const bool is_cut_off =
      now >= calm_after_
      && std::none_of(neighbours_.begin(), neighbours_.end(), [](const auto& entry) {
           return entry.second.role == Role::Eager;
         });
  if (was_branch) {
    for (auto& [peer, other] : neighbours_) {
      if (is_cut_off) {
        make_eager(now, other);
      }
      if (!other.feeds) {
        other.feeds = true;
        other.graft_due = true;
        other.prune_due = false;
      }
    }
  }
  return was_branch;
}

// What it was not told while it was lazy it is told now.
void Broadcast::make_eager(TimePoint now, Neighbour& neighbour) const {
  neighbour.role = Role::Eager;
  neighbour.owed.merge(neighbour.announce);
  neighbour.announce.clear();
  neighbour.announce_due = false;
  schedule(now, neighbour);
}

void Broadcast::set_role(TimePoint now, PeerName neighbour, Role role) {
  const auto at = neighbours_.find(neighbour);
  if (at == neighbours_.end()) {
    return;
  }
  at->second.feeds = role == Role::Eager;
  at->second.prune_due = false;
  at->second.graft_due = false;
  if (role == Role::Eager) {
    make_eager(now, at->second);
  } else {
    at->second.role = Role::Lazy;
  }
}

void Broadcast::schedule(TimePoint now, Neighbour& neighbour) const {
  if (!neighbour.owed.empty()) {
    const bool is_upheaval = now < calm_after_ && newcomers_ >= options_.newcomers_min;
    const TimePoint earliest = is_upheaval ? now + options_.push_hold : now;
    neighbour.push_due = std::min(neighbour.push_due, std::max(earliest, neighbour.push_after));
  }
}

void Broadcast::on_news(TimePoint now,
                        PeerName origin,
                        OriginVersion before,
                        std::optional<PeerName> from) {
  missing_.erase(origin);
  if (before.sequence == 0 && from) {
    newcomers_ = now < calm_after_ ? newcomers_ + 1 : 1;
    calm_after_ = now + options_.newcomers_since;
  }
  for (auto& [peer, neighbour] : neighbours_) {
    if (peer == from || peer == origin) {
      neighbour.announce.erase(origin);
      continue;
    }
    if (neighbour.role == Role::Eager) {
      // What it is owed already starts from an earlier version.
      neighbour.merged += neighbour.owed.try_emplace(origin, before).second ? 0U : 1U;
      schedule(now, neighbour);
      continue;
    }
    if (neighbour.announce.size() >= options_.announce_max
        && !neighbour.announce.contains(origin)) {
      ++stats_.announcements_skipped;
      continue;
    }
    if (neighbour.announce.empty()) {
      neighbour.announce_since = now;
    }
    neighbour.announce.try_emplace(origin, before);
  }
}

void Broadcast::on_held(PeerName from, PeerName origin) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    at->second.owed.erase(origin);
    at->second.announce.erase(origin);
  }
}

void Broadcast::on_useful(PeerName from) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    at->second.duplicates = 0;
    at->second.feeds = true;
  }
}

void Broadcast::on_duplicate(PeerName from) {
  const auto at = neighbours_.find(from);
  if (at == neighbours_.end() || ++at->second.duplicates < options_.duplicates_max) {
    return;
  }
  at->second.duplicates = 0;
  at->second.feeds = false;
  at->second.prune_due = true;
  at->second.graft_due = false;
}

void Broadcast::on_pruned(PeerName from) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    at->second.role = Role::Lazy;
  }
}

void Broadcast::on_grafted(TimePoint now, PeerName from) {
  if (const auto at = neighbours_.find(from); at != neighbours_.end()) {
    make_eager(now, at->second);
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

void Broadcast::on_agrees(PeerName neighbour) {
  if (const auto at = neighbours_.find(neighbour); at != neighbours_.end()) {
    at->second.announce.clear();
    at->second.announce_due = false;
  }
}

void Broadcast::on_differs(TimePoint now, PeerName neighbour) {
  const auto at = neighbours_.find(neighbour);
  if (at != neighbours_.end() && !at->second.announce.empty()) {
    at->second.announce_due = now - at->second.announce_since >= options_.announce_delay;
  }
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
        ++neighbour.held_back;
        ++stats_.windows_full;  // Its confirmation schedules the next push.
      } else if (!neighbour.owed.empty()) {
        out.emplace_back(Push{peer, std::move(neighbour.owed), neighbour.solicited});
        neighbour.owed.clear();
        neighbour.solicited = false;
      }
    }
    if (neighbour.announce_due) {
      neighbour.announce_due = false;
      if (neighbour.announce.size() < options_.announce_max && !neighbour.announce.empty()) {
        Announce& announce = std::get<Announce>(out.emplace_back(Announce{peer, {}}));
        for (const auto& [origin, before] : neighbour.announce) {
          announce.origins.push_back(origin);
        }
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
    neighbours_.at(peer).feeds = true;
    neighbours_.at(peer).graft_due = false;
    neighbours_.at(peer).prune_due = false;
    out.emplace_back(Graft{peer, std::move(origins)});
  }
}

TimePoint Broadcast::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& [peer, neighbour] : neighbours_) {
    if (neighbour.prune_due || neighbour.graft_due || neighbour.announce_due) {
      return TimePoint{};
    }
    next = std::min(next, neighbour.push_due);
  }
  for (const auto& [origin, missing] : missing_) {
    next = std::min(next, missing.due);
  }
  return next;
}

bool Broadcast::is_branch(PeerName neighbour) const {
  const auto at = neighbours_.find(neighbour);
  return at != neighbours_.end() && (at->second.role == Role::Eager || at->second.feeds);
}

std::size_t Broadcast::owed_count(PeerName neighbour) const {
  const auto at = neighbours_.find(neighbour);
  return at == neighbours_.end() ? 0 : at->second.owed.size();
}

Broadcast::Queue Broadcast::queue(PeerName neighbour) const {
  const auto at = neighbours_.find(neighbour);
  if (at == neighbours_.end()) {
    return {};
  }
  return {.origins = at->second.owed.size(),
          .unconfirmed_bytes = at->second.sent - at->second.confirmed,
          .merged = at->second.merged,
          .held_back = at->second.held_back};
}

void Broadcast::check_invariants() const {
  WEFT_ASSERT(missing_.size() <= options_.missing_max);
  for (const auto& [peer, neighbour] : neighbours_) {
    WEFT_ASSERT(neighbour.announce.size() <= options_.announce_max);
    WEFT_ASSERT(neighbour.confirmed <= neighbour.sent);
  }
}

}  // namespace weft::router
