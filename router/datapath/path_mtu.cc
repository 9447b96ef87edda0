#include "router/datapath/path_mtu.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::router {
namespace {

// Of one size, before it is held for too big: one may get lost by chance.
constexpr std::uint32_t kLossesMax = 2;

}  // namespace

void PathMtus::set_limit(TimePoint now, PeerName name, std::uint32_t limit, MtuActions& out) {
  now_ = now;
  Peer& peer = peers_[name];
  if (peer.limit == limit) {
    return;
  }
  peer.limit = limit;
  peer.too_big = limit + 1;
  peer.raise_at = kNever;
  peer.size = 0;
  peer.losses = 0;
  peer.check_at = now;
  use(name, peer, limit, out);
}

void PathMtus::on_traffic(TimePoint now, PeerName name) {
  now_ = now;
  if (const auto found = peers_.find(name); found != peers_.end()) {
    found->second.active_until = now + options_.active_for;
  }
}

void PathMtus::on_small_answer(TimePoint sent, PeerName name) {
  if (const auto found = peers_.find(name); found != peers_.end()) {
    found->second.small_answered_at = std::max(found->second.small_answered_at, sent);
  }
}

bool PathMtus::on_answer(TimePoint now, PeerName name, std::uint64_t id, MtuActions& out) {
  now_ = now;
  const auto found = peers_.find(name);
  if (found == peers_.end() || found->second.size == 0 || found->second.id != id) {
    return false;
  }
  Peer& peer = found->second;
  const std::uint32_t size = std::exchange(peer.size, 0);
  peer.losses = 0;
  if (size > peer.mtu) {
    use(name, peer, size, out);
    peer.check_at = now;  // The search goes on.
  } else {
    peer.check_at = now + options_.check_interval;
  }
  return true;
}

void PathMtus::on_deadline(TimePoint now, MtuActions& out) {
  now_ = now;
  for (auto& [name, peer] : peers_) {
    if (deadline(peer) <= now) {
      settle(now, name, peer, out);
    }
  }
}

TimePoint PathMtus::next_deadline() const {
  TimePoint earliest = kNever;
  for (const auto& [name, peer] : peers_) {
    earliest = std::min(earliest, deadline(peer));
  }
  return earliest;
}

TimePoint PathMtus::deadline(const Peer& peer) const {
  if (now_ >= peer.active_until || peer.limit <= options_.safe) {
    return kNever;  // Nobody is hurt by what is not known.
  }
  return peer.size != 0 ? peer.sent_at + options_.lost_after : peer.check_at;
}

// Between what works and what does not, or what is in use.
std::uint32_t PathMtus::next_size(const Peer& peer) const {
  const std::uint32_t gap = peer.too_big - peer.mtu;
  return gap <= options_.grain ? peer.mtu : peer.mtu + gap / 2;
}

void PathMtus::settle(TimePoint now, PeerName name, Peer& peer, MtuActions& out) {
  if (peer.size != 0) {
    if (peer.small_answered_at < peer.sent_at) {
      peer.losses = 0;  // The path as a whole is silent, which says nothing of sizes.
    } else if (++peer.losses >= kLossesMax) {
      on_lost(now, name, peer, out);
    }
  }
  if (now >= peer.raise_at) {
    peer.raise_at = kNever;
    peer.too_big = peer.limit + 1;
  }
  const bool is_raising = peer.too_big > peer.limit && peer.mtu < peer.limit;
  peer.size = is_raising ? peer.limit : next_size(peer);
  peer.id = rng_.next();
  peer.sent_at = now;
  out.emplace_back(SendSized{name, peer.size, peer.id});
}

void PathMtus::on_lost(TimePoint now, PeerName name, Peer& peer, MtuActions& out) {
  peer.losses = 0;
  peer.too_big = std::max(std::min(peer.too_big, peer.size), options_.safe + 1);
  peer.raise_at = now + options_.raise_after;
  if (peer.size <= peer.mtu) {
    ++blackholes_;
    use(name, peer, std::min(options_.safe, peer.limit), out);
  }
}

void PathMtus::use(PeerName name, Peer& peer, std::uint32_t mtu, MtuActions& out) {
  if (peer.mtu != mtu) {
    peer.mtu = mtu;
    out.emplace_back(SetPathMtu{name, mtu});
  }
}

std::uint32_t PathMtus::mtu(PeerName name) const {
  const auto found = peers_.find(name);
  return found == peers_.end() ? 0 : found->second.mtu;
}

void PathMtus::check_invariants() const {
  for (const auto& [name, peer] : peers_) {
    WEFT_ASSERT(peer.mtu <= peer.limit);
    WEFT_ASSERT(peer.mtu < peer.too_big);
  }
}

}  // namespace weft::router
