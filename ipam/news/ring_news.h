// What is to be said about the ring, and to whom, gathered so that a burst of changes is one
// message (docs/adr/0062).
//
// Neighbours hear what has changed; a peer that showed us something older hears what it lacks; and
// one that said something which does not fit our ring is asked whether its own is ours. Belongs to
// the allocator, which decides when. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/gossip.h"
#include "base/peer_name.h"
#include "ipam/ring.h"

namespace weft::ipam {

// Peers that somebody remembers as reachable, or owes something: twice the largest cluster weft is
// meant for.
inline constexpr std::size_t kPeerMax = 4'096;

class RingNews {
 public:
  struct Message {
    std::optional<PeerName> to;      // Nothing: every neighbour,
    std::optional<PeerName> except;  // but this one.
    Topic topic = Topic::Ring;
    Bytes payload;

    friend bool operator==(const Message&, const Message&) = default;
  };

  // These entries have changed, as `from` told us; nobody if we changed them.
  void on_changed(std::optional<PeerName> from, const std::vector<Uint128>& tokens);
  // All of it has.
  void on_replaced(std::optional<PeerName> from);

  void owe(PeerName peer);
  void owe(PeerName peer, const std::vector<Uint128>& tokens);
  void doubt(PeerName peer);

  // All that was gathered, and forgets it.
  std::vector<Message> take(const Ring& ring);

 private:
  void note_source(std::optional<PeerName> from);
  bool has_news() const { return is_replaced_ || !changed_.empty(); }

  std::set<Uint128> changed_;
  bool is_replaced_ = false;
  std::optional<PeerName> from_;  // Who told us all of it.
  // What each lacks; nothing: all.
  std::map<PeerName, std::optional<std::set<Uint128>>> owed_;
  std::set<PeerName> doubted_;
};

}  // namespace weft::ipam
