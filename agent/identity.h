// Who this host is, over all its restarts: name, key and incarnation, kept in the store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/entropy.h"
#include "base/netdev.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/keys.h"
#include "sys/store.h"

namespace weft::agent {

struct Identity {
  PeerName name;
  Incarnation incarnation;
  router::KeyPair key;
  bool is_new = false;          // The store knew none.
  bool is_drawn = false;        // Nobody did: the name was made up just now, and has no past.
  bool has_lost_store = false;  // The bridge, or others, remember more of this name than the store.
};

// 46 random bits as a locally administered unicast MAC address (IEEE 802c).
Mac random_mac(Entropy& entropy);

// Loads what the store knows, or makes it; either way the incarnation is one higher than ever
// before and on disk before this returns, so that nothing is ever sent under an old one.
// `wanted` must agree with a name that is already there: addresses are owned under it. Without
// both, the name is what the host `remembers`, or a new one.
Result<Identity> claim_identity(sys::Store& store,
                                Entropy& entropy,
                                std::optional<PeerName> wanted,
                                std::optional<PeerName> remembers = std::nullopt,
                                StoreBatch also = {});

// The name the store knows, if it knows one.
Result<std::optional<PeerName>> stored_name(sys::Store& store);

// The name claim_identity() takes, or nothing where it draws one; Errc::Conflict where it refuses.
Result<std::optional<PeerName>> choose_name(std::optional<PeerName> stored,
                                            std::optional<PeerName> wanted,
                                            std::optional<PeerName> remembers);

// The name of the peer whose agent made this bridge, which outlives the store: its station address
// (router::bridge_mac), unless it is no bridge of an agent's. Of a name that is no local station
// address it has lost a bit; only names that people give are so.
std::optional<PeerName> name_of_bridge(const LinkInfo& bridge);

// Others know a run of this name that the store has lost: the next start is a later one.
Result<Ok> outrun(sys::Store& store, Incarnation earlier);

// Peers an operator named, in the order of their text.
Result<std::vector<std::string>> load_targets(sys::Store& store);
Result<Ok> replace_targets(sys::Store& store, const std::vector<std::string>& targets);
// What that would write.
Result<StoreBatch> replaced_targets(sys::Store& store, const std::vector<std::string>& targets);
Result<Ok> add_targets(sys::Store& store, const std::vector<std::string>& targets);
Result<Ok> remove_targets(sys::Store& store, const std::vector<std::string>& targets);

// Whether the last run was cut off, by a crash or a power failure.
Result<bool> was_cut_off(sys::Store& store);
Result<Ok> mark_running(sys::Store& store);
Result<Ok> mark_ended(sys::Store& store);

// The bridge of the last run, so that `weft reset` finds it without being told.
StoreWrite bridge_row(const std::string& bridge);
Result<std::optional<std::string>> remembered_bridge(sys::Store& store);

}  // namespace weft::agent
