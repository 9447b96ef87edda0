#include "dns/address_names.h"

#include <algorithm>
#include <chrono>

#include "base/assert.h"

namespace weft::dns {

namespace {

// Connections of an hour are common, those of a day are few.
constexpr std::chrono::hours kMemory(1);

// However long an answer says it holds: one that never ends would keep its place for ever.
constexpr std::uint32_t kTtlMax = 86'400;

// An address has a name or two; of an answer with hundreds nobody needs all.
constexpr std::size_t kAddressesOfAnswer = 64;

std::string text_of(const Name& name) {
  std::string text = name.to_string();
  text.pop_back();
  std::transform(text.begin(), text.end(), text.begin(), fold);
  return text;
}

}  // namespace

void AddressNames::on_answer(TimePoint now, const Message& message, ByteView octets) {
  if (message.rcode() != Rcode::NoError || message.questions.size() != 1
      || message.questions.front().name.is_root()) {
    return;
  }
  const std::string name = text_of(message.questions.front().name);
  std::size_t count = 0;
  for (const Record& record : message.records) {
    const bool is_address = record.section == Record::Section::Answer && record.klass == kInternet
                            && (record.type == kA || record.type == kAaaa);
    if (!is_address || count == kAddressesOfAnswer) {
      continue;
    }
    const auto address = Ip::from_bytes(octets.subspan(record.data_at, record.data_size));
    if (address.ok() && address.value().is_v4() == (record.type == kA)) {
      ++count;
      const std::chrono::seconds ttl(std::min(record.ttl, kTtlMax));
      note(address.value(), name, now + ttl + kMemory);
    }
  }
}

void AddressNames::note(const Ip& address, const std::string& name, TimePoint until) {
  if (options_.addresses_max == 0) {
    return;
  }
  if (const auto old = known_.find(address); old != known_.end()) {
    by_end_.erase({old->second.until, address});
    known_.erase(old);
  } else if (known_.size() == options_.addresses_max) {
    known_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
  known_.emplace(address, Known{.name = name, .until = until});
  by_end_.emplace(until, address);
}

std::string AddressNames::find(TimePoint now, const Ip& address) const {
  const auto found = known_.find(address);
  return found == known_.end() || found->second.until <= now ? std::string() : found->second.name;
}

void AddressNames::check_invariants() const {
  WEFT_ASSERT(known_.size() <= options_.addresses_max);
  WEFT_ASSERT(by_end_.size() == known_.size());
  for (const auto& [until, address] : by_end_) {
    WEFT_ASSERT(known_.at(address).until == until);
  }
}

}  // namespace weft::dns
