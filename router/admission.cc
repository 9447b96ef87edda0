#include "router/admission.h"

#include <algorithm>
#include <chrono>

#include "base/assert.h"

namespace weft::router {
namespace {

// The half of an IPv6 address that names the network.
Ip network_of(const Ip& source) {
  if (source.is_v4()) {
    return source;
  }
  Ipv6::Octets octets = source.v6().octets();
  std::fill(octets.begin() + octets.size() / 2, octets.end(), std::uint8_t{0});
  return Ipv6(octets);
}

}  // namespace

void Admission::refill(Bucket& bucket, TimePoint now, std::uint32_t rate, std::uint32_t burst) {
  const std::chrono::duration<double> passed = std::max(now, bucket.at) - bucket.at;
  bucket.tokens = std::min<double>(burst, bucket.tokens + passed.count() * rate);
  bucket.at = std::max(now, bucket.at);
}

bool Admission::admit(TimePoint now, const Ip& source) {
  if (!begun_) {
    begun_ = true;
    all_ = {static_cast<double>(options_.burst), now};
  }
  refill(all_, now, options_.rate, options_.burst);
  if (all_.tokens < 1) {
    return false;
  }
  Bucket* const own = source_bucket(now, network_of(source));
  if (own != nullptr && own->tokens < 1) {
    return false;
  }
  all_.tokens -= 1;
  if (own != nullptr) {
    own->tokens -= 1;
  }
  return true;
}

Admission::Bucket* Admission::source_bucket(TimePoint now, const Ip& source) {
  auto at = sources_.find(source);
  if (at == sources_.end()) {
    if (sources_.size() >= options_.sources_max) {
      // A bucket that is full again remembers nothing.
      for (auto& [known, bucket] : sources_) {
        refill(bucket, now, options_.source_rate, options_.source_burst);
      }
      std::erase_if(sources_, [this](const auto& item) {
        return item.second.tokens >= options_.source_burst;
      });
    }
    if (sources_.size() >= options_.sources_max) {
      return nullptr;
    }
    at = sources_.emplace(source, Bucket{static_cast<double>(options_.source_burst), now}).first;
  }
  refill(at->second, now, options_.source_rate, options_.source_burst);
  return &at->second;
}

void Admission::check_invariants() const {
  WEFT_ASSERT(sources_.size() <= options_.sources_max);
  WEFT_ASSERT(all_.tokens <= options_.burst);
}

}  // namespace weft::router
