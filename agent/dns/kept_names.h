// Names kept over restarts of the agent: which there are, and their rows in the store. One table
// has those given by hand (`weft dns-add`, PUT /name); another what Docker calls its containers,
// which is believed while the engine does not answer. Pure.
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
inline constexpr const char* kContainerNamesTable = "dns_container_names";

class KeptNames {
 public:
  using Kept = std::pair<std::string, dns::NameEntry>;  // Of an owner.

  explicit KeptNames(const char* table = kNamesTable) : table_(table) {}

  // Errc::Invalid for a row that is none; then nothing has changed.
  Result<Ok> load(const StoreTable& rows);

  void add(const std::string& owner, const dns::NameEntry& entry);
  // These are all of the owner's.
  void replace(const std::string& owner, const std::vector<dns::NameEntry>& entries);
  void remove(const dns::Names::Filter& filter);
  const std::set<Kept>& all() const { return all_; }
  // What has changed since it was last taken.
  StoreBatch take_changes() { return std::exchange(changes_, {}); }

 private:
  const char* table_;
  std::set<Kept> all_;
  StoreBatch changes_;
};

}  // namespace weft::agent
