// What several say of one thing, as long as all say the same; who said it may take it back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace weft::app {

template <class Value>
class Agreed {
 public:
  // Both give whether what is agreed upon may have changed.
  bool add(const Value& value) {
    const auto at = find(value);
    if (at != said_.end() && at->first == value) {
      ++at->second;
      return false;
    }
    said_.emplace(at, value, 1);
    return said_.size() <= 2;
  }

  // Precondition: it was added, and not taken back.
  bool remove(const Value& value) {
    const auto at = find(value);
    WEFT_ASSERT(at != said_.end() && at->first == value);
    if (--at->second > 0) {
      return false;
    }
    said_.erase(at);
    return said_.size() <= 1;
  }

  bool empty() const { return said_.empty(); }
  // Nothing if nobody said anything, or several different things.
  const Value* value() const { return said_.size() == 1 ? &said_.front().first : nullptr; }

 private:
  using Said = std::pair<Value, std::uint32_t>;  // How often.

  auto find(const Value& value) {
    return std::lower_bound(said_.begin(), said_.end(), value, [](const Said& a, const Value& b) {
      return a.first < b;
    });
  }

  std::vector<Said> said_;  // Ascending.
};

// Maps of them, which forget what nobody says any more.
template <class Map, class Key, class Value>
bool claim(Map& map, const Key& key, const Value& value) {
  return map[key].add(value);
}
template <class Map, class Key, class Value>
bool disclaim(Map& map, const Key& key, const Value& value) {
  const auto at = map.find(key);
  WEFT_ASSERT(at != map.end());
  const bool has_changed = at->second.remove(value);
  if (at->second.empty()) {
    map.erase(at);
  }
  return has_changed;
}

// How many say a thing. Both give whether the first came, or the last went.
template <class Map, class Key>
bool count_in(Map& map, const Key& key) {
  return ++map[key] == 1;
}
template <class Map, class Key>
bool count_out(Map& map, const Key& key) {
  const auto at = map.find(key);
  WEFT_ASSERT(at != map.end());
  if (--at->second > 0) {
    return false;
  }
  map.erase(at);
  return true;
}

}  // namespace weft::app
