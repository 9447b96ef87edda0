// The public face of the allocator: checks what it is made with, and hands on to its inside.
#include <utility>

#include <fmt/format.h>

#include "ipam/allocator_impl.h"

namespace weft::ipam {

Result<std::unique_ptr<Allocator>> Allocator::create(Options options,
                                                     const Stored& stored,
                                                     Rng rng) {
  const Cidr& range = options.range;
  (void)WEFT_TRY(check_range(range));
  const Cidr& subnet = options.default_subnet;
  (void)WEFT_TRY(check_subnet("default subnet", subnet));
  if (!subnet.overlaps(range)) {
    return Error{Errc::Invalid,
                 fmt::format("default subnet {} (expected a network of the address range {})",
                             subnet.to_string(),
                             range.to_string())};
  }
  if (options.elector_count == 0 || options.elector_count > kElectorMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} electors (expected 1 to {})", options.elector_count, kElectorMax)};
  }
  if (!options.seeds.empty()) {
    (void)WEFT_TRY(check_seeds(options.seeds));
  }
  auto state = load_state(options.self, range, stored);
  if (!state.ok()) {
    return std::move(state).error().with_context("load stored addresses");
  }
  return std::unique_ptr<Allocator>(
      new Allocator(std::make_unique<Impl>(std::move(options), std::move(state).value(), rng)));
}

Allocator::Allocator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Allocator::~Allocator() = default;

void Allocator::allocate(TimePoint now, const AllocateRequest& request, AllocatorActions& out) {
  impl_->allocate(now, request, out);
}

void Allocator::claim(
    TimePoint now, RequestId id, const Owner& owner, Cidr address, AllocatorActions& out) {
  impl_->claim(now, id, owner, address, out);
}

bool Allocator::release(TimePoint now, const Owner& owner, Ip address, AllocatorActions& out) {
  return impl_->release(now, owner, address, out);
}

std::size_t Allocator::release_all(TimePoint now, const Owner& owner, AllocatorActions& out) {
  return impl_->release_all(now, owner, out);
}

void Allocator::cancel(TimePoint now, RequestId id, AllocatorActions&) {
  impl_->cancel(now, id);
}

void Allocator::prime(TimePoint now, RequestId id, AllocatorActions& out) {
  impl_->prime(now, id, out);
}

void Allocator::remove_peer(TimePoint now, RequestId id, PeerName peer, AllocatorActions& out) {
  impl_->remove_peer(now, id, peer, out);
}

void Allocator::leave(TimePoint now, RequestId id, AllocatorActions& out) {
  impl_->leave(now, id, out);
}

bool Allocator::may_hand_out(TimePoint now) const {
  return impl_->may_hand_out(now);
}

void Allocator::on_neighbour_up(TimePoint, PeerName peer, AllocatorActions& out) {
  impl_->on_neighbour_up(peer, out);
}

void Allocator::on_peer_reachable(TimePoint now, PeerName peer, AllocatorActions&) {
  impl_->on_peer_reachable(now, peer);
}

void Allocator::on_peer_unreachable(TimePoint now, PeerName peer, AllocatorActions&) {
  impl_->on_peer_unreachable(now, peer);
}

void Allocator::on_gossip(
    TimePoint now, PeerName from, Topic topic, ByteView payload, AllocatorActions& out) {
  impl_->on_gossip(now, from, topic, payload, out);
}

void Allocator::on_deadline(TimePoint now, AllocatorActions& out) {
  impl_->on_deadline(now, out);
}

TimePoint Allocator::next_deadline() const {
  return impl_->next_deadline();
}

AllocatorStatus Allocator::status() const {
  return impl_->status();
}

AllocatorStats Allocator::stats() const {
  return impl_->stats();
}

IntervalSet Allocator::authority() const {
  return impl_->authority();
}

void Allocator::Impl::describe_waiting(AllocatorStatus& status) const {
  for (const Waiting& waiting : waiting_) {
    const auto* const claim = std::get_if<WaitingClaim>(&waiting);
    const auto* const allocate = std::get_if<WaitingAllocate>(&waiting);
    status.pending_claim_count += claim != nullptr ? 1U : 0U;
    if (status.pending.size() >= kPendingShown) {
      continue;
    }
    if (claim != nullptr) {
      status.pending.push_back({claim->owner, claim->address, true});
    } else if (allocate != nullptr) {
      status.pending.push_back({allocate->request.owner, allocate->request.subnet, false});
    }
  }
}

const Ring* Allocator::ring() const {
  return impl_->ring();
}

std::vector<std::pair<Owner, Cidr>> Allocator::held() const {
  return impl_->claims().all();
}

std::vector<Cidr> Allocator::held_by(const Owner& owner) const {
  std::vector<Cidr> held;
  for (const Ip& address : impl_->claims().addresses_of(owner)) {
    held.emplace_back(address, impl_->claims().find(address)->prefix);
  }
  return held;
}

const Allocator::Options& Allocator::options() const {
  return impl_->options();
}

bool AllocatorStatus::has_range() const {
  return range != no_range();
}

void Allocator::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace weft::ipam
