// What a core wants durable, as a plain value.
//
// A store is a set of named tables, each an ordered map from byte key to byte value. A batch is
// applied whole or not at all, and is durable once applied: a core that appends
// {Persist{batch}, Reply{...}} to its actions may rely on the reply never leaving before the batch
// is on disk. sys/store.h performs it (SQLite); sys/fake/memory_store.h loses what was not applied.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace weft {

struct StoreWrite {
  std::string table;  // [a-z0-9_]+
  Bytes key;
  std::optional<Bytes> value;  // Nothing erases the key.

  friend bool operator==(const StoreWrite&, const StoreWrite&) = default;
};

using StoreBatch = std::vector<StoreWrite>;
using StoreTable = std::map<Bytes, Bytes>;

}  // namespace weft
