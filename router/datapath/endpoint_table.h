// Who says where a container's interface is: every claim of every peer, and which one counts. Pure.
//
// An interface plugged in here is here, whatever others say: the kernel has it. Of several peers
// claiming one MAC or one address the lowest name whose underlay address we know wins, so that all
// peers agree once they know the same. Invariant: the indexes by address and by origin list exactly
// the claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"

namespace weft::router {

// Where frames to a MAC go: out of a local port, or to a peer's underlay address.
using Placement = std::variant<std::uint32_t, Ip>;

class EndpointTable {
 public:
  struct Local {
    std::optional<std::uint32_t> ifindex;  // Nothing: the host itself, which the bridge knows.
    std::vector<Ip> addresses;

    friend bool operator==(const Local&, const Local&) = default;
  };

  // False if nothing changed.
  bool set_local(Mac mac, Local local);
  bool remove_local(Mac mac);

  void set_claim(PeerName origin, Mac mac, std::vector<Ip> addresses);
  bool remove_claim(PeerName origin, Mac mac);
  bool has_claim(PeerName origin, Mac mac) const;
  std::size_t claim_count() const { return claim_count_; }
  std::set<Mac> claimed_by(PeerName origin) const;
  // Of one claim, or of one local interface; none if there is no such.
  std::vector<Ip> claimed_addresses(PeerName origin, Mac mac) const;
  std::vector<Ip> local_addresses(Mac mac) const;

  void set_underlay(PeerName peer, std::optional<Ip> underlay);
  std::optional<Ip> underlay(PeerName peer) const;
  bool is_underlay_used(const Ip& underlay) const;

  // Nothing also for the host itself: nobody has to be told where that is.
  std::optional<Placement> placement(Mac mac) const;
  bool is_local_address(const Ip& address) const { return local_addresses_.contains(address); }
  // The MAC that has the address on another host.
  std::optional<Mac> remote_owner(const Ip& address) const;

  std::size_t local_count() const;  // Of containers' interfaces.
  void check_invariants() const;

 private:
  std::map<Mac, Local> locals_;
  std::map<Ip, std::set<Mac>> local_addresses_;
  std::map<Mac, std::map<PeerName, std::vector<Ip>>> claims_;
  std::map<Ip, std::set<std::pair<PeerName, Mac>>> claimed_addresses_;
  std::map<PeerName, std::set<Mac>> claimed_by_;
  std::map<PeerName, Ip> underlays_;
  std::size_t claim_count_ = 0;
};

}  // namespace weft::router
