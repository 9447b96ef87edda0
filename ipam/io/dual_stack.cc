#include "ipam/io/dual_stack.h"

#include <algorithm>

#include "ipam/ring.h"

namespace weft::ipam {
namespace {

// Both services count their requests on their own: the last bit tells whose a number is.
RequestId to_outer(RequestId inner, bool is_v6) {
  return RequestId(inner.value() << 1U | (is_v6 ? 1U : 0U));
}

}  // namespace

Result<std::unique_ptr<DualStack>> DualStack::start(const boost::asio::any_io_executor& executor,
                                                    const sys::Clock& clock,
                                                    sys::Store& store,
                                                    const Allocator::Options& options,
                                                    const std::optional<AddressRange>& v6,
                                                    const OnGossip& on_gossip) {
  auto first = WEFT_TRY(IpamService::start(executor, clock, store, options, on_gossip));
  std::unique_ptr<IpamService> second;
  if (v6) {
    Allocator::Options options_v6 = options;
    options_v6.range = v6->range;
    options_v6.default_subnet = v6->default_subnet;
    second = WEFT_TRY(
        IpamService::start(executor, clock, store, std::move(options_v6), on_gossip, kLineV6));
  }
  return std::unique_ptr<DualStack>(new DualStack(std::move(first), std::move(second)));
}

DualStack::DualStack(std::unique_ptr<IpamService> v4, std::unique_ptr<IpamService> v6)
    : v4_(std::move(v4)),
      v6_(std::move(v6)) {}

RequestId DualStack::allocate(Allocator::AllocateRequest request, OnAnswer on_answer) {
  const Ip address = request.subnet.address();
  return to_outer(of(address).allocate(std::move(request), std::move(on_answer)), is_v6(address));
}

RequestId DualStack::claim(const Owner& owner, const Cidr& address, OnAnswer on_answer) {
  const Ip& ip = address.address();
  return to_outer(of(ip).claim(owner, address, std::move(on_answer)), is_v6(ip));
}

bool DualStack::cancel(RequestId id) {
  const RequestId inner(id.value() >> 1U);
  return (id.value() & 1U) != 0 ? v6_->cancel(inner) : v4_->cancel(inner);
}

// What was recorded while there was no IPv6 range is where it was.
bool DualStack::release(const Owner& owner, const Ip& address, OnReleased on_released) {
  return of(address).release(owner, address, on_released)
         || (is_v6(address) && v4_->release(owner, address, std::move(on_released)));
}

std::size_t DualStack::release_all(const Owner& owner, const OnReleased& on_released) {
  const auto in = [&owner](const IpamService& service) {
    return !service.allocator().held_by(owner).empty();
  };
  if (!v6_ || !in(*v6_)) {
    return v4_->release_all(owner, on_released);
  }
  if (!in(*v4_)) {
    return v6_->release_all(owner, on_released);
  }
  const auto count_left = std::make_shared<int>(2);
  const auto on_one = [count_left, on_released] {
    if (--*count_left == 0) {
      on_released();
    }
  };
  return v4_->release_all(owner, on_one) + v6_->release_all(owner, on_one);
}

// Cancelled while it waits for the second ring it is not: nobody listens then, and it costs
// nothing.
RequestId DualStack::prime(OnAnswer on_answer) {
  if (!v6_) {
    return to_outer(v4_->prime(std::move(on_answer)), false);
  }
  const RequestId inner =
      v4_->prime([this, on_answer = std::move(on_answer)](const Result<Cidr>& ready) {
        if (ready.ok()) {
          v6_->prime(on_answer);
        } else {
          on_answer(ready);
        }
      });
  return to_outer(inner, false);
}

void DualStack::remove_peer(PeerName peer, OnRemoved on_removed) {
  remove_from_both([peer](IpamService& service,
                          OnRemoved on_one) { service.remove_peer(peer, std::move(on_one)); },
                   std::move(on_removed));
}

void DualStack::leave(OnRemoved on_removed) {
  remove_from_both([](IpamService& service, OnRemoved on_one) { service.leave(std::move(on_one)); },
                   std::move(on_removed));
}

void DualStack::remove_from_both(const Remove& remove, OnRemoved on_removed) {
  if (!v6_) {
    remove(*v4_, std::move(on_removed));
    return;
  }
  remove(*v4_,
         [this, remove, on_removed = std::move(on_removed)](const Result<std::uint64_t>& first) {
           if (!first.ok()) {
             on_removed(first);
             return;
           }
           remove(*v6_, [on_removed, count = first.value()](const Result<std::uint64_t>& second) {
             if (second.ok()) {
               on_removed(count + std::min(second.value(), ~std::uint64_t{0} - count));
             } else {
               on_removed(second);
             }
           });
         });
}

void DualStack::on_neighbour_up(PeerName peer) {
  if (!hands_out()) {
    return;
  }
  v4_->on_neighbour_up(peer);
  if (v6_) {
    v6_->on_neighbour_up(peer);
  }
}

void DualStack::on_peer_reachable(PeerName peer) {
  if (!hands_out()) {
    return;
  }
  v4_->on_peer_reachable(peer);
  if (v6_) {
    v6_->on_peer_reachable(peer);
  }
}

void DualStack::on_peer_unreachable(PeerName peer) {
  if (!hands_out()) {
    return;
  }
  v4_->on_peer_unreachable(peer);
  if (v6_) {
    v6_->on_peer_unreachable(peer);
  }
}

void DualStack::on_gossip(PeerName from, Topic topic, const Bytes& payload) {
  if (!hands_out()) {
    return;
  }
  if (topic == kLineV4.ring || topic == kLineV4.messages) {
    v4_->on_gossip(from, topic, payload);
  } else if (v6_ && (topic == kLineV6.ring || topic == kLineV6.messages)) {
    const bool is_ring = topic == kLineV6.ring;
    v6_->on_gossip(from, is_ring ? kLineV4.ring : kLineV4.messages, payload);
  }
}

std::vector<std::pair<Owner, Cidr>> DualStack::held() const {
  std::vector<std::pair<Owner, Cidr>> held = v4_->allocator().held();
  if (v6_) {
    const auto others = v6_->allocator().held();
    held.insert(held.end(), others.begin(), others.end());
    std::stable_sort(
        held.begin(), held.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  return held;
}

std::vector<Span> DualStack::owned() const {
  std::vector<Span> owned;
  for (const IpamService* const service : {v4_.get(), v6_.get()}) {
    const Ring* const ring = service == nullptr ? nullptr : service->allocator().ring();
    if (ring != nullptr) {
      const auto spans = ring->owned_by(service->allocator().options().self).spans();
      owned.insert(owned.end(), spans.begin(), spans.end());
    }
  }
  return owned;
}

std::vector<Cidr> DualStack::held_by(const Owner& owner) const {
  std::vector<Cidr> held = v4_->allocator().held_by(owner);
  if (v6_) {
    const std::vector<Cidr> others = v6_->allocator().held_by(owner);
    held.insert(held.end(), others.begin(), others.end());
  }
  return held;
}

bool DualStack::has_ring(const Ip& address) const {
  return of(address).allocator().ring() != nullptr;
}

std::optional<AllocatorStatus> DualStack::status_v6() const {
  return v6_ ? std::optional(v6_->allocator().status()) : std::nullopt;
}

}  // namespace weft::ipam
