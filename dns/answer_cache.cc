#include "dns/answer_cache.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::dns {

namespace {

using std::chrono::seconds;

// However long an answer says it holds: an operator who mends a record does not wait for days.
constexpr std::uint32_t kTtlMax = 3600;
// That there is nothing may change at any time (RFC 2308, section 5, suggests one to three hours at
// most; resolvers' habit is less).
constexpr std::uint32_t kNegativeTtlMax = 300;

// The last field of a SOA record's data.
constexpr std::size_t kMinimumSize = 4;

std::uint32_t long_at(ByteView bytes, std::size_t at) {
  return (static_cast<std::uint32_t>(bytes[at]) << 24U)
         | (static_cast<std::uint32_t>(bytes[at + 1]) << 16U)
         | (static_cast<std::uint32_t>(bytes[at + 2]) << 8U) | bytes[at + 3];
}

void put_long(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) {
    bytes[at + i] = static_cast<std::uint8_t>(value >> (24U - 8U * i));
  }
}

// For how many seconds the answer holds; 0 if it may not be kept.
std::uint32_t lifetime(const Message& message, ByteView octets) {
  const bool is_final = message.rcode() == Rcode::NoError || message.rcode() == Rcode::NameError;
  if (!is_final || (message.flags & kTruncated) != 0) {
    return 0;
  }
  std::uint32_t lowest = kTtlMax;
  bool is_positive = false;
  bool is_bounded = false;
  for (const Record& record : message.records) {
    if (record.type == kOpt) {
      continue;
    }
    lowest = std::min(lowest, record.ttl);
    is_positive = is_positive || record.section == Record::Section::Answer;
    if (record.section == Record::Section::Authority && record.type == kSoa
        && record.data_size >= kMinimumSize) {
      lowest = std::min(lowest, long_at(octets, record.data_at + record.data_size - kMinimumSize));
      is_bounded = true;
    }
  }
  if (is_positive && message.rcode() == Rcode::NoError) {
    return lowest;
  }
  return is_bounded ? std::min(lowest, kNegativeTtlMax) : 0;
}

}  // namespace

QuestionKey key_of(const Query& query) {
  std::string folded(query.name);
  std::transform(folded.begin(), folded.end(), folded.begin(), fold);
  return {.folded = std::move(folded),
          .type = query.type,
          .klass = query.klass,
          .edns = query.edns.has_value(),
          .dnssec_ok = query.edns && query.edns->dnssec_ok,
          .checking_disabled = (query.flags & kCheckingDisabled) != 0};
}

std::optional<Bytes> AnswerCache::find(TimePoint now, const QuestionKey& key) const {
  const auto at = entries_.find(key);
  if (at == entries_.end() || at->second.expires <= now) {
    return std::nullopt;
  }
  const Entry& entry = at->second;
  Bytes answer = entry.answer;
  const auto age =
      static_cast<std::uint32_t>(std::chrono::duration_cast<seconds>(now - entry.stored).count());
  for (const std::size_t ttl_at : entry.ttls) {
    const std::uint32_t ttl = long_at(answer, ttl_at);
    put_long(answer, ttl_at, ttl - std::min(ttl, age));
  }
  return answer;
}

void AnswerCache::put(TimePoint now, const QuestionKey& key, ByteView answer) {
  if (const auto old = entries_.find(key); old != entries_.end()) {
    erase(old);
  }
  const auto message = read_message(answer);
  const std::uint32_t ttl = message.ok() ? lifetime(message.value(), answer) : 0;
  if (ttl == 0 || answer.size() > options_.bytes_max || options_.entries_max == 0) {
    return;
  }
  while (entries_.size() >= options_.entries_max || bytes_ + answer.size() > options_.bytes_max) {
    erase(entries_.find(by_expiry_.begin()->second));
  }
  Entry entry{.answer = to_bytes(answer), .ttls = {}, .stored = now, .expires = now + seconds(ttl)};
  entry.answer[0] = 0;
  entry.answer[1] = 0;
  for (const Record& record : message.value().records) {
    if (record.type != kOpt) {
      entry.ttls.push_back(record.ttl_at);
    }
  }
  bytes_ += answer.size();
  by_expiry_.emplace(entry.expires, key);
  entries_.emplace(key, std::move(entry));
}

void AnswerCache::erase(std::map<QuestionKey, Entry>::iterator at) {
  bytes_ -= at->second.answer.size();
  by_expiry_.erase({at->second.expires, at->first});
  entries_.erase(at);
}

void AnswerCache::clear() {
  entries_.clear();
  by_expiry_.clear();
  bytes_ = 0;
}

void AnswerCache::check_invariants() const {
  WEFT_ASSERT(entries_.size() <= options_.entries_max);
  WEFT_ASSERT(by_expiry_.size() == entries_.size());
  std::size_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    bytes += entry.answer.size();
  }
  WEFT_ASSERT(bytes == bytes_);
  WEFT_ASSERT(bytes_ <= options_.bytes_max);
}

}  // namespace weft::dns
