// Which of a peer's addresses containers' traffic goes to. Kept in the store.
//
// The mesh says where it sees a peer, and where else it may be. Following that is right but for one
// case: on hosts with both families, which of them a control connection uses is chance, and may be
// another after each reconnection. IPv4 and IPv6 leave containers different MTUs, so a change in
// mid-stream would lose packets for nothing. A peer therefore keeps its family as long as it still
// has the address it had.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "base/store_batch.h"
#include "sys/store.h"

namespace weft::agent {

class Placement {
 public:
  static Result<Placement> load(sys::Store& store);

  // `addresses` are those of the peer, best first, at least one. What is new is added to `changes`.
  Ip choose(PeerName peer, const std::vector<Ip>& addresses, StoreBatch& changes);
  // Where peers were last, at most `count` of them.
  std::vector<Ip> some(std::size_t count) const;
  // The peer is gone for good.
  void forget(PeerName peer, StoreBatch& changes);

 private:
  std::map<PeerName, Ip> places_;
};

}  // namespace weft::agent
