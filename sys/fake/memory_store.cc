#include "sys/fake/memory_store.h"

#include <cerrno>

namespace weft::sys {
namespace {

Result<Ok> check_name(const std::string& table) {
  if (table.empty()
      || table.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != table.npos) {
    return Error{Errc::Invalid, "table name '" + table + "' (expected [a-z0-9_]+)"};
  }
  return Ok{};
}

}  // namespace

Result<Ok> MemoryStore::apply(const StoreBatch& batch) {
  if (fail_in_ && --*fail_in_ == 0) {
    fail_in_.reset();
    return Error{Errc::Os, "write in memory store: told to fail", EIO};
  }
  for (const StoreWrite& write : batch) {
    WEFT_TRY(check_name(write.table));
  }
  for (const StoreWrite& write : batch) {
    StoreTable& table = tables_[write.table];
    if (write.value) {
      table.insert_or_assign(write.key, *write.value);
    } else {
      table.erase(write.key);
    }
  }
  ++applied_count_;
  return Ok{};
}

Result<StoreTable> MemoryStore::load(const std::string& table) {
  WEFT_TRY(check_name(table));
  const auto found = tables_.find(table);
  return found == tables_.end() ? StoreTable() : found->second;
}

void MemoryStore::hold_syncs() {
  sync();
  holding_ = true;
}

void MemoryStore::sync() {
  durable_ = tables_;
}

void MemoryStore::crash() {
  if (holding_) {
    tables_ = durable_;
  }
  fail_in_.reset();
}

}  // namespace weft::sys
