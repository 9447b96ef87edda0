// A set whose elements may have several reasons to be in it (an address that two pods claim for a
// moment), and what of it changed since somebody last asked. Internal to policy.
#pragma once

#include <cstddef>
#include <map>

#include "base/assert.h"
#include "base/ruleset/policy_rules.h"

namespace weft::policy {

template <class Element>
class CountedSet {
 public:
  void add(const Element& element) {
    if (counts_[element]++ == 0) {
      touch(element, false);
    }
  }
  void remove(const Element& element) {
    const auto found = counts_.find(element);
    WEFT_ASSERT(found != counts_.end());
    if (--found->second == 0) {
      counts_.erase(found);
      touch(element, true);
    }
  }

  // What was added and removed since the last call, or since the set was made.
  PolicyElements<Element> take_changes() {
    PolicyElements<Element> changes;
    for (const auto& [element, was_there] : touched_) {
      const bool is_there = counts_.contains(element);
      if (is_there && !was_there) {
        changes.added.push_back(element);
      } else if (!is_there && was_there) {
        changes.removed.push_back(element);
      }
    }
    touched_.clear();
    return changes;
  }
  PolicyElements<Element> all() const {
    PolicyElements<Element> everything;
    everything.added.reserve(counts_.size());
    for (const auto& [element, count] : counts_) {
      everything.added.push_back(element);
    }
    return everything;
  }
  std::size_t size() const { return counts_.size(); }

 private:
  void touch(const Element& element, bool was_there) { touched_.emplace(element, was_there); }

  std::map<Element, std::size_t> counts_;
  std::map<Element, bool> touched_;  // With whether it was there at the last take_changes().
};

}  // namespace weft::policy
