// The allocators of a host: that of its IPv4 range and, where it was given one, that of its IPv6
// range. Each has a ring, a council, tables and topics of its own, so that neither waits for the
// other. What concerns one address or one subnet goes to the allocator of its family; without an
// IPv6 range the other allocator records IPv6 addresses, as it does all that lie outside its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipam/claims.h"
#include "ipam/io/ipam_service.h"
#include "ipam/span.h"

namespace weft::ipam {

struct AddressRange {
  Cidr range;
  Cidr default_subnet;
};

class DualStack {
 public:
  using OnGossip = IpamService::OnGossip;
  using OnAnswer = IpamService::OnAnswer;
  using OnRemoved = IpamService::OnRemoved;
  using OnReleased = IpamService::OnReleased;

  // `options` are those of IPv4; the allocator of IPv6 differs in its range alone.
  static Result<std::unique_ptr<DualStack>> start(const boost::asio::any_io_executor& executor,
                                                  const sys::Clock& clock,
                                                  sys::Store& store,
                                                  const Allocator::Options& options,
                                                  const std::optional<AddressRange>& v6,
                                                  const OnGossip& on_gossip);
  DualStack(const DualStack&) = delete;
  DualStack& operator=(const DualStack&) = delete;

  // As IpamService's.
  RequestId allocate(Allocator::AllocateRequest request, OnAnswer on_answer);
  RequestId claim(const Owner& owner, const Cidr& address, OnAnswer on_answer);
  bool cancel(RequestId id);
  bool release(const Owner& owner, const Ip& address, OnReleased on_released);
  std::size_t release_all(const Owner& owner, const OnReleased& on_released);
  // False: what is claimed is recorded, and that is all. Such a host has no part in others' rings.
  bool hands_out() const { return v4_->allocator().options().range != no_range(); }
  // Answered once both rings exist.
  RequestId prime(OnAnswer on_answer);
  // Of both families, one after the other.
  void remove_peer(PeerName peer, OnRemoved on_removed);
  void leave(OnRemoved on_removed);

  void on_neighbour_up(PeerName peer);
  void on_peer_reachable(PeerName peer);
  void on_peer_unreachable(PeerName peer);
  void on_gossip(PeerName from, Topic topic, const Bytes& payload);

  // Of both families, IPv4 first.
  std::vector<std::pair<Owner, Cidr>> held() const;
  std::vector<Cidr> held_by(const Owner& owner) const;
  const Cidr& default_subnet() const { return v4_->allocator().options().default_subnet; }
  // Whose owner the ring says we are, of both families, IPv4 first, ascending.
  std::vector<Span> owned() const;
  // Whether the ring that this address belongs to exists.
  bool has_ring(const Ip& address) const;
  AllocatorStatus status() const { return v4_->allocator().status(); }
  std::optional<AllocatorStatus> status_v6() const;

 private:
  // Removes something from one allocator; the end is told.
  using Remove = std::function<void(IpamService& service, OnRemoved on_removed)>;

  DualStack(std::unique_ptr<IpamService> v4, std::unique_ptr<IpamService> v6);
  bool is_v6(const Ip& address) const { return v6_ && !address.is_v4(); }
  IpamService& of(const Ip& address) const { return is_v6(address) ? *v6_ : *v4_; }
  void remove_from_both(const Remove& remove, OnRemoved on_removed);

  std::unique_ptr<IpamService> v4_;
  std::unique_ptr<IpamService> v6_;  // Null without an IPv6 range.
};

}  // namespace weft::ipam
