// What the published test vectors fix: keys in hexadecimal, and the ephemeral key.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "router/keys.h"

namespace weft::router::noise {

// Hands out one given key, as a test vector's ephemeral.
class FixedEntropy final : public Entropy {
 public:
  explicit FixedEntropy(std::string_view hex) : bytes_(from_hex(hex).value()) {}
  void fill(std::span<std::uint8_t> out) override {
    WEFT_ASSERT(out.size() == bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), out.begin());
  }

 private:
  Bytes bytes_;
};

inline Secret secret_of(std::string_view hex) {
  const Bytes bytes = from_hex(hex).value();
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.bytes().begin());
  return secret;
}

}  // namespace weft::router::noise
