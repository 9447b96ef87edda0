// Answers of other servers, kept for as long as they say (RFC 1035; negative ones RFC 2308).
//
// Bounded: the answer that would expire soonest makes room. Pure; lives on the control strand.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "dns/message.h"

namespace weft::dns {

// What makes two questions have the same answer.
struct QuestionKey {
  std::string folded;  // The name.
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  bool edns = false;
  bool dnssec_ok = false;
  bool checking_disabled = false;

  friend auto operator<=>(const QuestionKey&, const QuestionKey&) = default;
  friend bool operator==(const QuestionKey&, const QuestionKey&) = default;
};

QuestionKey key_of(const Query& query);

class AnswerCache {
 public:
  struct Options {
    // The names a host's containers ask for in an hour; at some 200 octets each below a megabyte.
    std::size_t entries_max = 4096;
    std::size_t bytes_max = 4U << 20U;
  };

  explicit AnswerCache(Options options) : options_(options) {}

  // A copy with the TTLs of `now`; its id is 0.
  std::optional<Bytes> find(TimePoint now, const QuestionKey& key) const;
  // Keeps what may be kept: complete answers that say how long they hold.
  void put(TimePoint now, const QuestionKey& key, ByteView answer);
  void clear();

  std::size_t size() const { return entries_.size(); }
  void check_invariants() const;

 private:
  struct Entry {
    Bytes answer;
    std::vector<std::size_t> ttls;  // Where they are.
    TimePoint stored;
    TimePoint expires;
  };
  void erase(std::map<QuestionKey, Entry>::iterator at);

  const Options options_;
  std::map<QuestionKey, Entry> entries_;
  std::set<std::pair<TimePoint, QuestionKey>> by_expiry_;
  std::size_t bytes_ = 0;
};

}  // namespace weft::dns
