// Durable tables of bytes: base/store_batch.h, performed.
//
// apply() is one transaction and returns once it is on disk; apply_later() says so when it is. A
// second process opening the same store is refused.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

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
  // For what does not outlive a boot: the same, but a machine that loses its power may lose it. The
  // end of the process does not. The next apply() puts it on disk, too, and always in front.
  virtual Result<Ok> apply_until_boot(const StoreBatch& batch) { return apply(batch); }
  // The same without waiting for the disk: `on_applied` runs on the executor, never within the
  // call. Batches handed over here are applied in their order, each in a transaction of its own;
  // apply() does not wait for them. A batch that has not been started when the store is closed is
  // dropped. The executor's context must outlive the store.
  using OnApplied = std::function<void(const Result<Ok>& applied)>;
  virtual void apply_later(std::shared_ptr<const StoreBatch> batch,
                           boost::asio::any_io_executor executor,
                           OnApplied on_applied);
  // Everything in one table; empty if nothing was ever written to it.
  virtual Result<StoreTable> load(const std::string& table) = 0;
};

// SQLite in WAL mode with synchronous=FULL. Creates the file (0600). apply_later() has a thread.
Result<std::unique_ptr<Store>> open_store(const std::string& path);

}  // namespace weft::sys
