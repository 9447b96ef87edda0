// Records as they are held: immutable, and shared by whoever holds the same one.
//
// Within one agent nearly every record is unlike every other. Where many stores live in one process
// (the simulator: a thousand peers that all hold the records of a thousand), a pool keeps each
// record once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/records.h"

namespace weft::router {

struct HeldRecord {
  RecordKey key;
  Incarnation incarnation;
  std::uint64_t sequence = 0;
  std::optional<Bytes> value;  // Nothing: a tombstone.

  friend bool operator==(const HeldRecord&, const HeldRecord&) = default;
};

using HeldRecordPtr = std::shared_ptr<const HeldRecord>;

// Not thread safe. Must outlive nothing: records stay valid without it.
class RecordPool {
 public:
  // The record equal to `record` that is already held, or this one.
  HeldRecordPtr share(PeerName origin, HeldRecord record);

 private:
  void sweep();

  // By a hash of origin and version.
  std::multimap<std::uint64_t, std::weak_ptr<const HeldRecord>> records_;
  std::size_t sweep_at_ = 1024;
};

}  // namespace weft::router
