// The allocator on a real host: its timer and its store.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"
#include "ipam/allocator.h"
#include "sys/clock.h"
#include "sys/store.h"

namespace weft::ipam {

// Where an allocator's state lies and under what its messages travel, so that those of two ranges
// keep apart.
struct Line {
  std::string_view table_prefix;
  Topic ring;      // Ring state, between neighbours.
  Topic messages;  // Requests and answers between two peers.
};
inline constexpr Line kLineV4{"ipam_", Topic::Ring, Topic::Ipam};
inline constexpr Line kLineV6{"ipam6_", Topic::Ring6, Topic::Ipam6};

class IpamService {
 public:
  // PeerGone, GossipAll and GossipTo. Persist is done here, and Answers go to their callers.
  using OnGossip = std::function<void(AllocatorAction action)>;
  using OnAnswer = std::function<void(const Result<Cidr>& result)>;
  using OnRemoved = std::function<void(const Result<std::uint64_t>& address_count)>;
  using OnReleased = std::function<void()>;

  static Result<std::unique_ptr<IpamService>> start(boost::asio::any_io_executor executor,
                                                    const sys::Clock& clock,
                                                    sys::Store& store,
                                                    Allocator::Options options,
                                                    OnGossip on_gossip,
                                                    const Line& line = kLineV4);
  ~IpamService();

  // Each returns an id for cancel(). `on_answer` runs on the executor, never within the call.
  RequestId allocate(Allocator::AllocateRequest request,
                     OnAnswer on_answer);  // request.id is chosen here.
  RequestId claim(const Owner& owner, const Cidr& address, OnAnswer on_answer);
  RequestId prime(OnAnswer on_answer);
  void remove_peer(PeerName peer, OnRemoved on_removed);
  void leave(OnRemoved on_removed);
  // True if nothing was decided yet: `on_answer` will not run. Otherwise it will, or has.
  bool cancel(RequestId id);
  // Whether the owner held it. If so, `on_released` runs once a restart will not find it any more.
  bool release(const Owner& owner, const Ip& address, OnReleased on_released);
  std::size_t release_all(const Owner& owner, OnReleased on_released);

  void on_neighbour_up(PeerName peer);
  void on_peer_reachable(PeerName peer);
  void on_peer_unreachable(PeerName peer);
  void on_gossip(PeerName from, Topic topic, const Bytes& payload);
  const Allocator& allocator() const;

 private:
  class Impl;
  explicit IpamService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::ipam
