// The allocator's durable state as rows of its three tables, and back.
//
// ipam_ring: one row that says whose state this is ('m'), one per ring entry ('t' + token).
// ipam_owned: one per held address (the address → prefix, holder). ipam_paxos: one row.
// ipam_council, all of one decree and void under another: our own word ('t'), our vote ('v'), what
// each peer registered with us ('r' + name), and the last ballot we proposed ('b'), which never
// restarts. Rows are fixed binary layouts with a format version; what does not decode is refused.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/store_batch.h"
#include "ipam/allocator.h"
#include "ipam/claims.h"
#include "ipam/consensus.h"
#include "ipam/council/voter.h"
#include "ipam/ring.h"

namespace weft::ipam {

struct StoredState {
  PeerName self;
  bool has_meta = false;
  std::optional<Ring> ring;
  Claims claims;
  Consensus::Memory consensus;
  // Of the decree in force, if there is one.
  Registration word;                  // What we sent last, and all cold sets that may count.
  std::optional<Voter::Memory> vote;  // If we have a seat and remember what we did with it.
  std::uint64_t proposed_round = 0;
};

// Fails if the rows belong to another peer or range, contradict each other or do not decode.
Result<StoredState> load_state(PeerName self, const Cidr& range, const Allocator::Stored& stored);

// Errc::Invalid if rows do not decode or contradict each other, whoever's they are.
Result<Ok> check_stored(const Allocator::Stored& stored);

// Whose state this is, and the seeds of its ring; empty before there is one.
StoreWrite meta_row(PeerName self, const Cidr& range, const std::vector<PeerName>& seeds);
StoreWrite charter_row(const Charter& charter);
StoreWrite ring_row(Uint128 token, const RingEntry& entry);
StoreWrite no_ring_row(Uint128 token);
StoreWrite held_row(const Cidr& address, const std::string& owner);
StoreWrite released_row(const Ip& address);
StoreWrite consensus_row(const Consensus::Memory& memory);
StoreWrite consensus_done_row();
StoreWrite word_row(std::uint64_t decree, const Registration& word);
StoreWrite vote_row(std::uint64_t decree, const Voter::Memory& memory);
StoreWrite registration_row(std::uint64_t decree, PeerName peer, const Registration& registration);
StoreWrite no_vote_row();
StoreWrite no_registration_row(PeerName peer);
StoreWrite proposed_row(std::uint64_t round);

}  // namespace weft::ipam
