// Which place each peer has in the fast path's tables of traffic and keys: lowest free, kept as
// long as the peer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/address.h"

namespace weft::sys {

class PeerSlots {
 public:
  // Clears what is in a place: told before a peer gets it and after it has lost it.
  using Clear = std::function<void(std::uint32_t slot)>;

  explicit PeerSlots(Clear clear) : clear_(std::move(clear)) {}

  // A place that an earlier run gave; what is in it stays.
  void adopt(const Ip& peer, std::uint32_t slot) {
    slots_.insert_or_assign(peer, slot);
    taken_.insert(slot);
  }

  std::optional<std::uint32_t> find(const Ip& peer) const {
    const auto known = slots_.find(peer);
    return known == slots_.end() ? std::nullopt : std::optional(known->second);
  }

  std::uint32_t take(const Ip& peer) {
    if (const auto known = find(peer)) {
      return *known;
    }
    std::uint32_t free = 0;
    while (taken_.contains(free)) {
      ++free;
    }
    clear_(free);
    adopt(peer, free);
    return free;
  }

  void release(const Ip& peer) {
    if (const auto known = slots_.find(peer); known != slots_.end()) {
      clear_(known->second);
      taken_.erase(known->second);
      slots_.erase(known);
    }
  }

 private:
  Clear clear_;
  std::map<Ip, std::uint32_t> slots_;
  std::set<std::uint32_t> taken_;
};

}  // namespace weft::sys
