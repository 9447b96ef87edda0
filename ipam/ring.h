// The ring divides one range, of either family, among peers: each entry owns the addresses from its
// token to the next token.
//
// A CRDT within one decree (docs/adr/0010): any two rings of one range, one first sharing and one
// decree merge to the same ring, in any order and any number of times. Only the owner of an entry
// changes it, raising its version; tokens are never removed. A ring of a later decree replaces one
// of an earlier. An entry means something only beside its neighbours, so a part of a ring says
// where each of its entries ends, and is merged only where these ends are known (docs/adr/0062).
// Pure; belongs to the allocator. Invariants: tokens strictly ascend, the first is the start of the
// range, and so every address of the range has exactly one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "ipam/council/charter.h"
#include "ipam/span.h"

namespace weft::ipam {

// A ring of this size fits a gossip payload twice over (base/gossip.h).
inline constexpr std::size_t kRingEntryMax = 16'384;

// Peers among which a first sharing may divide the range. Larger clusters get their space through
// donation; 1,024 names keep every ring message's preamble below 8 KiB.
inline constexpr std::size_t kElectorMax = 1'024;

// No owner makes this many changes; a higher version on the wire is nonsense that would leave an
// owner no room to raise it.
inline constexpr std::uint64_t kRingVersionMax = std::uint64_t{1} << 48U;

// A network of at least four addresses, of either family, that hosts can have: IPv6 multicast,
// link-local and IPv4-mapped addresses are refused, as are blocks beyond a /8 of them.
Result<Ok> check_range(const Cidr& range);
// The first few, for people.
std::string names(const std::vector<PeerName>& peers);
// Ascending, and 1 to kElectorMax.
Result<Ok> check_seeds(const std::vector<PeerName>& seeds);
Result<Ok> check_version(std::uint64_t version);

struct RingEntry {
  PeerName owner;
  std::uint64_t version = 1;
  // What the owner last said is free here, 2^64 - 1 standing for more. A hint for choosing whom to
  // ask.
  std::uint64_t free_count = 0;

  friend auto operator<=>(const RingEntry&, const RingEntry&) = default;
  friend bool operator==(const RingEntry&, const RingEntry&) = default;
};

class Ring {
 public:
  using Entries = std::map<Uint128, RingEntry>;  // By token.

  struct Piece {
    Span span;
    RingEntry entry;

    friend bool operator==(const Piece&, const Piece&) = default;
  };

  // Some entries, for whoever has most of the ring already.
  struct Part {
    std::uint64_t basis = 0;    // basis() of their ring.
    std::vector<Piece> pieces;  // Ascending.

    friend bool operator==(const Part&, const Part&) = default;
  };

  struct Merged {
    std::vector<Uint128> changed;  // Tokens that we learned or that changed, ascending.
    bool they_lack_news = false;   // They would learn something from us:
    std::vector<Uint128> newer{};  // if theirs is of our decree, these; else all of it.
    bool replaced = false;         // Theirs is of a later decree; some tokens may be gone.
    // Entries of one version that say different things. Ours stay.
    std::vector<Error> conflicts;
  };

  // The first sharing: CIDR-aligned parts by sorted name, the same wherever it is computed.
  // Preconditions: `range` passes check_range(); 1 to kElectorMax seeds.
  static Ring share_out(const Cidr& range, std::vector<PeerName> seeds);
  // From the store or the network. Fails unless every invariant holds.
  static Result<Ring> restore(const Cidr& range, std::vector<PeerName> seeds, Entries entries);
  // The same with the charter of a later decree.
  static Result<Ring> restore(const Cidr& range,
                              std::vector<PeerName> seeds,
                              Entries entries,
                              Charter charter);

  // Fails with Conflict, changing nothing, if the ranges or the first sharings differ.
  Result<Merged> merge(const Ring& theirs);
  // Fails, changing nothing, if it is of another ring or decree, or if something that lies between
  // ours and it is missing here. Each entry then owns no more than it did where the part was made.
  Result<Merged> merge(const Part& theirs);

  // The entries of these tokens; others are passed over.
  Part part(const std::set<Uint128>& tokens) const;
  // Whether nothing in it is news, nor the ends of its entries.
  bool has(const Part& theirs) const;

  // Hands a block to another owner; returns the tokens that changed, or nothing if the ring is
  // full. Precondition: all of the block belongs to `from`.
  std::optional<std::vector<Uint128>> grant(const Span& block, PeerName from, PeerName to);
  // What the owner of the entry at this token says about its free space. Precondition: it exists.
  void set_free_count(Uint128 token, std::uint64_t free_count);

  void set_charter(Charter charter);

  // Precondition: inside the range.
  PeerName owner(Uint128 address) const;
  IntervalSet owned_by(PeerName peer) const;
  std::vector<Piece> pieces() const;

  const Cidr& range() const { return range_; }
  Span span() const { return Span::of(range_); }
  const std::vector<PeerName>& seeds() const { return seeds_; }
  const Charter& charter() const { return charter_; }
  // Identifies the first sharing: the range and the seeds.
  std::uint64_t seed_id() const;
  // Identifies what parts are parts of: the first sharing and the decree.
  std::uint64_t basis() const { return basis_; }
  // Equal for equal rings; different, in all likelihood, for different ones. Never 0.
  std::uint64_t digest() const;
  const Entries& entries() const { return entries_; }
  void check_invariants() const;

  friend bool operator==(const Ring&, const Ring&) = default;

 private:
  Ring(const Cidr& range, std::vector<PeerName> seeds, Entries entries, Charter charter);

  Entries::const_iterator entry_of(Uint128 address) const;
  Uint128 last_of(Entries::const_iterator entry) const;
  // Makes `token` the start of an entry; returns true if it was none.
  bool split_at(Uint128 token);
  Result<Ok> check_compatible(const Ring& theirs) const;
  std::uint64_t compute_basis() const;
  Merged replace_if_older(const Ring& theirs);
  static void merge_entry(Uint128 token, const RingEntry& entry, Entries& merged, Merged& result);

  Cidr range_;
  std::vector<PeerName> seeds_;
  Entries entries_;
  Charter charter_;
  std::uint64_t basis_ = 0;  // Follows from the range, the seeds and the charter.
};

}  // namespace weft::ipam
