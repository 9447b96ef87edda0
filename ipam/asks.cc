#include "ipam/asks.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Open wants, one per subnet or address asked for. More wait their turn.
constexpr std::size_t kAskMax = 256;

// Several relays and a slow disk at the donor fit twice over.
constexpr Duration kAnswerMax = seconds(2);

// Free counts are hints; when this many donors in a row had nothing, the hints
// are stale and news is worth waiting for.
constexpr std::size_t kDonorsPerRound = 8;
constexpr Duration kBackoffMin = seconds(1);
constexpr Duration kBackoffMax = seconds(30);

// How often the owner of one address is asked before the claim is refused.
constexpr std::size_t kAddressAttemptMax = 5;
constexpr Duration kUnreachableRetry = milliseconds(500);
// Time for the true owner's ring to reach us after we asked the wrong peer.
constexpr Duration kWrongOwnerRetry = milliseconds(200);

// News that reaches many waiting peers at once must not send all of them to one
// donor together.
constexpr std::uint32_t kNewsJitterMs = 100;

// What the owner of this piece might give. A network or broadcast address
// counts as free for ever, but nobody can use it.
std::uint64_t free_hint(const Ring::Piece& piece, const Space::Want& want) {
  const auto overlap = piece.span.intersect(want.within);
  if (!overlap) {
    return 0;
  }
  const auto usable = overlap->intersect(want.usable);
  const std::uint64_t unusable = saturated(overlap->size() - (usable ? usable->size() : 0));
  const std::uint64_t free = std::min(piece.entry.free_count, saturated(overlap->size()));
  return free > unusable ? free - unusable : 0;
}

}  // namespace

void Asks::set_wants(TimePoint now, const std::set<Want>& wants) {
  for (auto it = asks_.begin(); it != asks_.end();) {
    it = wants.contains(it->first) ? std::next(it) : asks_.erase(it);
  }
  for (const Want& want : wants) {
    if (asks_.size() >= kAskMax) {
      return;
    }
    asks_.try_emplace(want,
                      Ask{.id = 0,
                          .donor = std::nullopt,
                          .passed_over = {},
                          .sent_count = 0,
                          .due = now,
                          .backoff = kBackoffMin});
  }
}

void Asks::on_deadline(TimePoint now, const View& view, Steps& out) {
  for (auto it = asks_.begin(); it != asks_.end();) {
    Ask& ask = it->second;
    const bool is_open =
        now < ask.due
        || std::visit(
            overloaded{
                [&](const Space::Want& space) {
                  ask_for_space(now, view, space, ask, out);
                  return true;
                },
                [&](Uint128 address) { return ask_for_address(now, view, address, ask, out); },
            },
            it->first);
    it = is_open ? std::next(it) : asks_.erase(it);
  }
}

TimePoint Asks::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& [want, ask] : asks_) {
    next = std::min(next, ask.due);
  }
  return next;
}

void Asks::ask_for_space(
    TimePoint now, const View& view, const Space::Want& want, Ask& ask, Steps& out) {
  if (ask.donor) {
    ask.passed_over.insert(*ask.donor);  // It did not answer in time.
  }
  ask.donor = ask.sent_count < kDonorsPerRound ? choose_donor(view, want, ask) : std::nullopt;
  if (!ask.donor) {
    ask.passed_over.clear();
    ask.sent_count = 0;
    const auto jitter = rng_.below(static_cast<std::uint32_t>(ask.backoff / milliseconds(1)));
    ask.due = now + ask.backoff + milliseconds(jitter);
    ask.backoff = std::min(ask.backoff * 2, kBackoffMax);
    return;
  }
  ++ask.sent_count;
  ask.id = rng_.next();
  ask.due = now + kAnswerMax;
  out.emplace_back(Send{.to = *ask.donor, .message = {.id = ask.id, .body = SpaceRequest{want}}});
}

bool Asks::ask_for_address(TimePoint now, const View& view, Uint128 address, Ask& ask, Steps& out) {
  const PeerName owner = view.ring.owner(address);
  if (owner == self_) {
    return false;  // Nobody need be asked.
  }
  if (ask.sent_count >= kAddressAttemptMax) {
    const char* why = view.reachable.contains(owner) ? "does not answer" : "is unreachable";
    out.emplace_back(GiveUp{.address = address,
                            .reason = Error{Errc::Unavailable,
                                            fmt::format("address {} belongs to peer {}, which {}",
                                                        ip_of(address).to_string(),
                                                        owner.to_string(),
                                                        why)}});
    return false;
  }
  ++ask.sent_count;
  if (!view.reachable.contains(owner)) {
    ask.donor = std::nullopt;
    ask.due = now + kUnreachableRetry;
    return true;
  }
  ask.donor = owner;
  ask.id = rng_.next();
  ask.due = now + kAnswerMax;
  out.emplace_back(Send{.to = owner, .message = {.id = ask.id, .body = ClaimRequest{address}}});
  return true;
}

// At random, weighted by what each is said to have free, so that many who run
// dry together spread. If nobody is said to have anything, one owner is asked
// all the same: what is said may be old.
std::optional<PeerName> Asks::choose_donor(const View& view,
                                           const Space::Want& want,
                                           const Ask& ask) {
  std::map<PeerName, std::uint64_t> weights;
  std::uint64_t total = 0;
  for (const Ring::Piece& piece : view.ring.pieces()) {
    const PeerName owner = piece.entry.owner;
    if (owner == self_ || !piece.span.intersect(want.within) || !view.reachable.contains(owner)
        || ask.passed_over.contains(owner)) {
      continue;
    }
    const std::uint64_t weight = free_hint(piece, want);
    weights[owner] += weight;
    total += weight;
  }
  if (weights.empty() || (total == 0 && ask.sent_count > 0)) {
    return std::nullopt;
  }
  if (total == 0) {
    const auto index = rng_.below(static_cast<std::uint32_t>(weights.size()));
    return std::next(weights.begin(), index)->first;
  }
  std::uint64_t ticket = rng_.next() % total;
  for (const auto& [owner, weight] : weights) {
    if (ticket < weight) {
      return owner;
    }
    ticket -= weight;
  }
  WEFT_ASSERT(false && "the ticket is below the sum of all weights");
  return std::nullopt;
}

std::map<Asks::Want, Asks::Ask>::iterator Asks::find(PeerName from, std::uint64_t id) {
  return std::find_if(asks_.begin(), asks_.end(), [&](const auto& entry) {
    return entry.second.donor == from && entry.second.id == id;
  });
}

void Asks::on_granted(TimePoint now, PeerName from, std::uint64_t id) {
  const auto it = find(from, id);
  if (it == asks_.end()) {
    return;
  }
  // Still wanted only if the gift was used up at once by others that waited:
  // ask again.
  Ask& ask = it->second;
  ask.donor = std::nullopt;
  ask.passed_over.clear();
  ask.due = now;
  ask.backoff = kBackoffMin;
}

void Asks::on_denied(
    TimePoint now, PeerName from, std::uint64_t id, const Denial& denial, Steps& out) {
  const auto it = find(from, id);
  if (it == asks_.end()) {
    return;
  }
  Ask& ask = it->second;
  ask.donor = std::nullopt;
  ask.passed_over.insert(from);
  const auto* address = std::get_if<Uint128>(&it->first);
  if (address == nullptr) {
    ask.due = now;
    return;
  }
  if (denial.reason != Denial::Reason::InUse) {
    ask.due = now + kWrongOwnerRetry;
    return;
  }
  out.emplace_back(GiveUp{.address = *address,
                          .reason = Error{Errc::Conflict,
                                          fmt::format("address {} is held by {} on peer {}",
                                                      ip_of(*address).to_string(),
                                                      denial.holder,
                                                      from.to_string())}});
  asks_.erase(it);
}

void Asks::on_news(TimePoint now, const View& view) {
  for (auto& [want, ask] : asks_) {
    const auto* space = std::get_if<Space::Want>(&want);
    if (space == nullptr || ask.donor || ask.due <= now) {
      continue;
    }
    for (const Ring::Piece& piece : view.ring.pieces()) {
      if (piece.entry.owner != self_ && view.reachable.contains(piece.entry.owner)
          && free_hint(piece, *space) > 0) {
        ask.due = std::min(ask.due, now + milliseconds(rng_.below(kNewsJitterMs) + 1));
        break;
      }
    }
  }
}

}  // namespace weft::ipam
