// The replicated records of all peers, and how two stores are brought level.
//
// As in Scuttlebutt (van Renesse et al., 2008) each origin numbers the changes it makes to its own
// records; a store holds, for each origin, everything up to one sequence, so a map
// origin -> (incarnation, sequence) says all there is to say about what a store lacks. How two
// stores find out where they differ is router/overlay/reconcile.h. Merging is commutative and
// idempotent; a change that arrives too early is left for repair.
//
// What is gone: a withdrawn record stays as a tombstone. An origin now and then restates all its
// living records and raises its `floor`: every living record has a higher sequence than the floor,
// so stores drop what is not above it, tombstones too. A restarted agent does the same: records
// of its earlier incarnation stay until the new one raises its floor for the first time, so that
// nobody's forwarding breaks in between.
//
// Pure; lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "router/overlay/record_pool.h"

namespace weft::router {

// An endpoint's key is 6 bytes; a Links record of kNeighboursMax neighbours stays below 32 KiB.
inline constexpr std::size_t kRecordKeyMax = 64;
inline constexpr std::size_t kRecordValueMax = 32U << 10U;

// How far a store knows an origin.
struct OriginVersion {
  Incarnation incarnation;
  std::uint64_t sequence = 0;

  friend auto operator<=>(const OriginVersion&, const OriginVersion&) = default;
  friend bool operator==(const OriginVersion&, const OriginVersion&) = default;
};

using Digest = std::map<PeerName, OriginVersion>;

// A part of what one origin says: all its records with a sequence in (after, through].
struct OriginDelta {
  struct Record {
    RecordKey key;
    std::uint64_t sequence = 0;
    std::optional<Bytes> value;

    friend bool operator==(const Record&, const Record&) = default;
  };
  PeerName origin;
  Incarnation incarnation;
  std::uint64_t after = 0;
  std::uint64_t through = 0;
  std::optional<std::uint64_t> floor;  // Only if `through` is all the sender holds.
  std::vector<Record> records;         // Sequences strictly ascend.

  friend bool operator==(const OriginDelta&, const OriginDelta&) = default;
};

struct Delta {
  std::vector<OriginDelta> origins;
  bool solicited = false;  // The receiver asked for some of it.

  friend bool operator==(const Delta&, const Delta&) = default;
};

class RecordStore {
 public:
  struct Options {
    PeerName self;
    Incarnation incarnation;
    std::size_t origins_max = 4096;
    // 1,024 containers on a host are four times what schedulers allow; four times that.
    std::size_t records_max = 4096;            // Of one origin, tombstones included.
    std::size_t origin_bytes_max = 4U << 20U;  // Keys and values of one origin.
    // Where equal records of several stores are kept once, or nothing. Must outlive the store.
    RecordPool* pool = nullptr;
    // Beyond as many withdrawn records as living ones, but at least this, we restate.
    std::size_t tombstones_min = 256;
  };

  struct Merged {
    std::vector<RecordChanged> changes;
    std::vector<PeerName> advanced;  // Origins of which we now hold more.
    std::vector<PeerName> gaps;      // Origins whose part did not continue what we hold.
    // Someone runs under our name with a higher incarnation.
    std::optional<Incarnation> clone;
  };

  explicit RecordStore(Options options);

  // States or withdraws a record of our own. False: refused by a limit, nothing changed.
  bool publish(const PublishRecord& record);
  // Everything of ours that is alive has been stated since the start: what earlier runs stated is
  // void. Nothing to say in a first run.
  void complete();
  // States all that is alive anew and raises the floor, which drops the tombstones everywhere.
  void restate();

  Merged merge(const Delta& delta);

  Digest digest() const;
  std::optional<OriginVersion> version(PeerName origin) const;
  // Equal stores have equal hashes: the fingerprint of everybody who is not buried.
  std::uint64_t digest_hash() const { return hash_; }

  // The origins with names in [first, last] that are not buried, for comparing stores piece by
  // piece: what one of two has buried is nothing they have to talk about.
  struct Range {
    std::size_t count = 0;
    std::uint64_t fingerprint = 0;  // The exclusive or of mix(name, version) of each.
  };
  Range range(PeerName first, PeerName last) const;
  Digest digest(PeerName first, PeerName last) const;

  // What a store with this version of the origin lacks, cut near `bytes_max`; nothing if it lacks
  // nothing. Calling again with the version advanced to `through` continues.
  std::optional<OriginDelta> delta_for(PeerName origin,
                                       std::optional<OriginVersion> held,
                                       std::size_t bytes_max) const;

  const Bytes* find(PeerName origin, const RecordKey& key) const;
  // Every origin, ascending, with its value under `key`, if it has one.
  template <class Visit>  // void(PeerName, const Bytes&)
  void for_each(const RecordKey& key, Visit visit) const {
    for (const auto& [name, origin] : origins_) {
      if (const HeldRecord* record = look_up(origin, key); record != nullptr && record->value) {
        visit(name, *record->value);
      }
    }
  }
  std::size_t origin_count() const { return origins_.size(); }
  std::size_t record_count(PeerName origin) const;  // Living ones.
  std::uint64_t refused() const { return refused_; }

  // Drops an origin's records but remembers how far we knew it, so that nobody's repair brings
  // them back; anything newer does. erase() drops that, too. Precondition: not ourselves.
  std::vector<RecordChanged> bury(PeerName origin);
  void erase(PeerName origin);

  void check_invariants() const;

 private:
  struct Origin {
    OriginVersion held;
    std::optional<std::uint64_t> floor;  // Of held.incarnation.
    bool buried = false;
    std::uint32_t bytes = 0;
    std::vector<HeldRecordPtr> records;  // Ascending by key.
  };
  using Records = std::vector<HeldRecordPtr>;

  Origin& self() { return origins_.at(options_.self); }
  bool fits(const Origin& origin, const RecordKey& key, const std::optional<Bytes>& value) const;
  static Records::iterator lower_bound(Origin& origin, const RecordKey& key);
  static const HeldRecord* look_up(const Origin& origin, const RecordKey& key);
  void put(PeerName name, Origin& origin, HeldRecord record);
  static void drop(Origin& origin, Records::iterator at);
  void advance(PeerName name, Origin& origin, OriginVersion to);
  void compact_if_due();
  Origin* accept(const OriginDelta& part, Merged& out);
  void apply(Origin& origin, const OriginDelta& part, Merged& out);
  static void sweep(Origin& origin, PeerName name, Merged& out);

  const Options options_;
  std::map<PeerName, Origin> origins_;
  std::uint64_t hash_ = 0;  // range(everybody).fingerprint, kept up to date.
  std::uint64_t refused_ = 0;
};

}  // namespace weft::router
