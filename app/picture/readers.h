// Who read what: things by number, each with any count of readers. Adding and removing cost the
// same however many read a thing. Pure; part of EdgeBook.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace weft::app {

template <class Reader>
class Readers {
 public:
  using Slot = std::uint32_t;  // Of an entry, as long as it is there.

  Slot add(std::uint64_t key, Reader* reader) {
    if (count_ >= heads_.size()) {
      grow();
    }
    Slot slot = free_;
    if (slot == kNone) {
      slot = static_cast<Slot>(entries_.size());
      entries_.push_back({});
    } else {
      free_ = entries_[slot].next;
    }
    entries_[slot] = {.key = key, .reader = reader};
    link(slot);
    ++count_;
    return slot;
  }

  void remove(Slot slot) {
    Entry& entry = entries_[slot];
    WEFT_ASSERT(entry.reader != nullptr);
    if (entry.next != kNone) {
      entries_[entry.next].previous = entry.previous;
    }
    (entry.previous == kNone ? head(entry.key) : entries_[entry.previous].next) = entry.next;
    entry.reader = nullptr;
    entry.next = free_;
    free_ = slot;
    --count_;
  }

  std::uint64_t key(Slot slot) const { return entries_[slot].key; }

  // Calls `act` for those of a thing, in no particular order. It must neither add nor remove.
  template <class Act>
  void for_each(std::uint64_t key, Act act) {
    if (heads_.empty()) {
      return;
    }
    for (Slot at = head(key); at != kNone; at = entries_[at].next) {
      if (entries_[at].key == key) {
        act(*entries_[at].reader);
      }
    }
  }

 private:
  static constexpr Slot kNone = ~Slot{0};

  struct Entry {
    std::uint64_t key = 0;
    Reader* reader = nullptr;  // Null: free.
    Slot next = kNone;
    Slot previous = kNone;
  };

  // The numbers are mixed (ReadKey), so their low bits are as good as any.
  Slot& head(std::uint64_t key) { return heads_[key & (heads_.size() - 1)]; }

  void link(Slot slot) {
    Entry& entry = entries_[slot];
    Slot& first = head(entry.key);
    entry.previous = kNone;
    entry.next = first;
    if (first != kNone) {
      entries_[first].previous = slot;
    }
    first = slot;
  }

  void grow() {
    constexpr std::size_t kMin = 1024;
    heads_.assign(heads_.empty() ? kMin : heads_.size() * 2, kNone);
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (entries_[slot].reader != nullptr) {
        link(slot);
      }
    }
  }

  std::vector<Slot> heads_;  // As many as a power of two.
  std::vector<Entry> entries_;
  Slot free_ = kNone;
  std::size_t count_ = 0;
};

}  // namespace weft::app
