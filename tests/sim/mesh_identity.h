// What survives a restart of a simulated peer, as in the agent's store.
#pragma once

#include <cstdint>

#include "base/peer_name.h"
#include "router/keys.h"

namespace weft::sim {

struct MeshIdentity {
  PeerName name;
  router::KeyPair key;
  std::uint64_t incarnation = 0;  // Of the last run.
};

}  // namespace weft::sim
