// The agent's store, made anew where the old one is of no use.
//
// A store that is damaged, or no store of weft's, is renamed beside the new one and never deleted.
// What can still be read goes into the new one, but for the addresses: those are learned again from
// the containers that run and from the other peers (agent/ipam/wiring_guests.cc).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sys/store.h"

namespace weft::agent {

struct OpenedStore {
  std::unique_ptr<sys::Store> store;
  bool is_rebuilt = false;
};

// Errc::Unavailable if an agent has it open, Errc::Conflict if a newer weft wrote it: such a store
// is left alone.
Result<OpenedStore> open_or_rebuild(const std::string& path);

}  // namespace weft::agent
