// Names given by hand (`weft dns-add`, PUT /name), kept over restarts of the agent: which there
// are, and their rows in the store. Pure.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/store_batch.h"
#include "dns/name_record.h"
#include "dns/names.h"

namespace weft::agent {

inline constexpr const char* kNamesTable = "dns_names";

class KeptNames {
 public:
  using Kept = std::pair<std::string, dns::NameEntry>;  // Of an owner.

  static Result<KeptNames> load(const StoreTable& table);

  void add(const std::string& owner, const dns::NameEntry& entry);
  void remove(const dns::Names::Filter& filter);
  const std::set<Kept>& all() const { return all_; }
  // What has changed since it was last taken.
  StoreBatch take_changes() { return std::exchange(changes_, {}); }

 private:
  std::set<Kept> all_;
  StoreBatch changes_;
};

}  // namespace weft::agent
