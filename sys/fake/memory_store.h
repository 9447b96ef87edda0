// sys/store.h in memory, for tests and simulations: batches are atomic and durable as SQLite makes
// them, unless told otherwise.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "sys/store.h"

namespace weft::sys {

class MemoryStore final : public Store {
 public:
  Result<Ok> apply(const StoreBatch& batch) override;
  Result<StoreTable> load(const std::string& table) override;

  // The `nth` call of apply() from now (1 is the next) fails and writes nothing.
  void fail_apply(std::size_t nth) { fail_in_ = nth; }
  // A disk that lies: until sync(), what is applied can be read but does not survive crash().
  void hold_syncs();
  void sync();
  // Forgets what was not synced. What is left is what a restarted process finds.
  void crash();

  std::size_t applied_count() const { return applied_count_; }

 private:
  using Tables = std::map<std::string, StoreTable>;

  Tables tables_;
  Tables durable_;  // Kept up to date only while holding_.
  bool holding_ = false;
  std::optional<std::size_t> fail_in_;
  std::size_t applied_count_ = 0;
};

}  // namespace weft::sys
