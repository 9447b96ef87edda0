#include "base/entropy.h"

#include <sodium.h>

namespace weft {

void SystemEntropy::fill(std::span<std::uint8_t> out) {
  WEFT_ASSERT(sodium_init() >= 0);
  randombytes_buf(out.data(), out.size());
}

void SeededEntropy::fill(std::span<std::uint8_t> out) {
  for (std::uint8_t& byte : out) {
    byte = static_cast<std::uint8_t>(rng_.next());
  }
}

}  // namespace weft
