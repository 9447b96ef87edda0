// Durable tables of bytes: base/store_batch.h, performed.
//
// apply() is one transaction and returns once it is on disk. A second process opening the same
// store is refused.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/store_batch.h"

namespace weft::sys {

class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  virtual Result<Ok> apply(const StoreBatch& batch) = 0;
  // Everything in one table; empty if nothing was ever written to it.
  virtual Result<StoreTable> load(const std::string& table) = 0;
};

// SQLite in WAL mode with synchronous=FULL. Creates the file (0600).
Result<std::unique_ptr<Store>> open_store(const std::string& path);

}  // namespace weft::sys
