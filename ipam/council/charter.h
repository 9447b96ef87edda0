// What a decree settles beside the ring itself: its number, who is on the council and which space
// of each peer is cold (docs/adr/0010). Part of every ring; pure value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/peer_name.h"
#include "ipam/consensus.h"
#include "ipam/span.h"

namespace weft::ipam {

// Seven survive three failures; every peer speaks to all of them every few seconds.
inline constexpr std::size_t kCouncilMax = 7;

// Runs of cold space that one peer registers. More of its free space stays hot.
inline constexpr std::size_t kColdSpanMax = 64;

// Peers that a decree names as gone, the latest ones. Whom it does not name is forgotten in time.
inline constexpr std::size_t kGoneMax = 64;

// No cluster sees so many deaths and births; a higher number on the wire would leave no next one.
inline constexpr std::uint64_t kDecreeMax = std::uint64_t{1} << 48U;

struct Charter {
  std::uint64_t number = 0;
  Ballot ballot;                         // Under which it was chosen. Round 0: the first sharing.
  std::vector<PeerName> council;         // Ascending.
  std::map<PeerName, IntervalSet> cold;  // Of whoever has any.
  std::vector<PeerName> gone;            // Ascending: who left or was removed, and is not back.

  bool has_seat(PeerName peer) const;

  friend bool operator==(const Charter&, const Charter&) = default;
};

// The council that these peers, of whom `seated` have been on it, make up: as many as can decide
// something that fewer could not (1, 2, 3, 5, 7), the seated ones first, then by name. Ascending.
std::vector<PeerName> make_council(const std::vector<PeerName>& peers,
                                   const std::vector<PeerName>& seated);

// Members of `count` whose acknowledgement makes a registration count; any of them meets every
// decree quorum.
std::size_t write_quorum(std::size_t count);
// Members whose promises make a decree.
std::size_t decree_quorum(std::size_t count);
// The same where one of the members is to be removed: of the others.
std::size_t removal_quorum(std::size_t count);

// How many free addresses an owner of so many keeps ready to hand out.
std::uint64_t base_window(Uint128 owned_count);

// The largest runs of `free` behind its first `window` addresses.
IntervalSet choose_cold(const IntervalSet& free, std::uint64_t window);

}  // namespace weft::ipam
