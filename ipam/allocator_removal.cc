// Peers that are gone for good: removed by an operator, or by themselves.
#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "ipam/allocator_impl.h"

namespace weft::ipam {
namespace {

// How long an operator's removal is tried: the peer may have been heard just before.
constexpr Duration kRemovalMax = std::chrono::seconds(30);

// A removal is looked at again this often.
constexpr Duration kRemovalRetry = std::chrono::seconds(1);

}  // namespace

void Allocator::Impl::remove_peer(TimePoint now,
                                  RequestId id,
                                  PeerName peer,
                                  AllocatorActions& out) {
  if (!ring_ || peer == options_.self || ring_->owned_by(peer).size() == 0) {
    out.emplace_back(PeerRemoved{id, std::uint64_t{0}});
    return;
  }
  if (reachable_.contains(peer)) {
    out.emplace_back(PeerRemoved{
        id,
        Error{Errc::Conflict, fmt::format("peer {} is alive: stop it first", peer.to_string())}});
    return;
  }
  if (removal_) {
    out.emplace_back(PeerRemoved{id, Error{Errc::Unavailable, "another peer is being removed"}});
    return;
  }
  start(now, out);
  removal_ = Removal{.id = id,
                     .peer = peer,
                     .heir = options_.self,
                     .address_count = saturated(ring_->owned_by(peer).size()),
                     .deadline = now + kRemovalMax};
  proposal_.stop();
  pursue_removal(now, out);
}

void Allocator::Impl::leave(TimePoint now, RequestId id, AllocatorActions& out) {
  std::map<PeerName, Uint128> heirs;
  if (ring_) {
    for (const PeerName& peer : reachable_) {
      heirs[peer] = ring_->owned_by(peer).size();
    }
  }
  const auto heir = std::max_element(
      heirs.begin(), heirs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (heir == heirs.end() || removal_) {
    out.emplace_back(PeerRemoved{
        id, Error{Errc::Unavailable, "no other peer can be reached to take the addresses"}});
    return;
  }
  start(now, out);
  removal_ = Removal{.id = id,
                     .peer = options_.self,
                     .heir = heir->first,
                     .address_count = saturated(ring_->owned_by(options_.self).size()),
                     .deadline = now + kRemovalMax};
  proposal_.stop();
  pursue_removal(now, out);
}

// Whoever leaves holds nothing any more: its addresses are another's now.
void Allocator::Impl::forget_all(AllocatorActions& out) {
  has_left_ = true;
  StoreBatch batch;
  for (const auto& [address, given_again] : std::exchange(strays_, {})) {
    claims_.remove(ip_of(address));
    batch.push_back(released_row(ip_of(address)));
  }
  if (!batch.empty()) {
    persist(std::move(batch), out);
  }
}

void Allocator::Impl::pursue_removal(TimePoint now, AllocatorActions& out) {
  const bool leaves = removal_->peer == options_.self;
  if (ring_->owned_by(removal_->peer).size() == 0) {
    out.emplace_back(PeerRemoved{removal_->id, removal_->address_count});
    removal_.reset();
    if (leaves) {
      forget_all(out);
    }
    return;
  }
  if (removal_->deadline <= now) {
    out.emplace_back(PeerRemoved{
        removal_->id,
        Error{Errc::Unavailable,
              leaves ? "the council did not answer"
                     : fmt::format("no majority of the council has lost sight of peer {}",
                                   removal_->peer.to_string())}});
    removal_.reset();
    return;
  }
  consider_due_ = std::min(consider_due_, now + kRemovalRetry);
  if (leaves) {
    propose(now,
            {.removed = {}, .leaving = removal_->peer, .heir = removal_->heir, .forfeited = {}},
            out);
  } else {
    propose(now,
            {.removed = removal_->peer, .leaving = {}, .heir = removal_->heir, .forfeited = {}},
            out);
  }
}

std::optional<PeerName> Allocator::Impl::missing_witness() const {
  const std::vector<PeerName>& council = ring_->charter().council;
  if (council.size() != 2 || ring_->charter().has_seat(options_.self)) {
    return std::nullopt;
  }
  for (const PeerName& member : council) {
    if (!reachable_.contains(member)) {
      return member;
    }
  }
  return std::nullopt;
}

}  // namespace weft::ipam
