// How large packets the path to each peer carries: what the route says, unless probes of that size
// get lost where small ones arrive (packetization layer path MTU discovery, RFC 8899; a blackhole
// is a router that drops without telling, RFC 2923).
//
// A peer's MTU begins as its limit, the route's. While there is traffic, packets of the size in use
// are probed every few seconds; two that get lost although the path answers make it the safe
// minimum at once, and from there a binary search raises it again. After ten minutes, and when the
// limit changes, the limit is tried anew.
//
// Sans-IO; control strand only. Shell: router/io/datapath_mtu.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/rng.h"
#include "base/time.h"

namespace weft::router {

// Send a probe that makes an IP packet of this size, which nobody may fragment. Answer with
// on_answer.
struct SendSized {
  PeerName peer;
  std::uint32_t size = 0;
  std::uint64_t id = 0;

  friend bool operator==(const SendSized&, const SendSized&) = default;
};
// The path carries packets of this size, and of no larger.
struct SetPathMtu {
  PeerName peer;
  std::uint32_t mtu = 0;

  friend bool operator==(const SetPathMtu&, const SetPathMtu&) = default;
};
using MtuAction = std::variant<SendSized, SetPathMtu>;
using MtuActions = std::vector<MtuAction>;

class PathMtus {
 public:
  struct Options {
    Duration check_interval = std::chrono::seconds(3);
    Duration lost_after = std::chrono::milliseconds(600);
    Duration active_for = std::chrono::seconds(2);
    // RFC 8899, 5.1.1: PMTU_RAISE_TIMER.
    Duration raise_after = std::chrono::minutes(10);
    // What every path of IPv6 carries (RFC 8200, 5), and all of IPv4 that are of any use.
    std::uint32_t safe = 1280;
    // A search ends when it is known this well: an IPv6 header would not fit in between.
    std::uint32_t grain = 16;
  };

  PathMtus(Options options, Rng rng) : options_(options), rng_(rng) {}

  // What the route says, whenever it may have changed.
  void set_limit(TimePoint now, PeerName peer, std::uint32_t limit, MtuActions& out);
  void remove_peer(PeerName peer) { peers_.erase(peer); }
  void on_traffic(TimePoint now, PeerName peer);
  // The path answered a small probe that was sent at this time.
  void on_small_answer(TimePoint sent, PeerName peer);
  // False: not a probe of ours.
  bool on_answer(TimePoint now, PeerName peer, std::uint64_t id, MtuActions& out);

  void on_deadline(TimePoint now, MtuActions& out);
  TimePoint next_deadline() const;

  std::uint32_t mtu(PeerName peer) const;  // 0 for peers without a limit.
  std::uint64_t blackholes() const { return blackholes_; }
  void check_invariants() const;

 private:
  struct Peer {
    std::uint32_t limit = 0;
    std::uint32_t mtu = 0;      // In use.
    std::uint32_t too_big = 0;  // The smallest known to get lost; limit + 1 if none.
    TimePoint raise_at = kNever;
    TimePoint active_until{};
    TimePoint check_at{};
    // The probe under way.
    std::uint32_t size = 0;  // 0: none.
    std::uint64_t id = 0;
    TimePoint sent_at{};
    TimePoint small_answered_at{};  // When the last small probe that was answered was sent.
    std::uint32_t losses = 0;
  };

  std::uint32_t next_size(const Peer& peer) const;
  TimePoint deadline(const Peer& peer) const;
  void settle(TimePoint now, PeerName name, Peer& peer, MtuActions& out);
  void on_lost(TimePoint now, PeerName name, Peer& peer, MtuActions& out);
  static void use(PeerName name, Peer& peer, std::uint32_t mtu, MtuActions& out);

  const Options options_;
  Rng rng_;
  TimePoint now_{};
  std::map<PeerName, Peer> peers_;
  std::uint64_t blackholes_ = 0;
};

}  // namespace weft::router
