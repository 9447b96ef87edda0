// Unpredictable bytes, for keys and names. Production reads libsodium's generator; the simulator
// and the tests hand out a seeded stream, so that a run with cryptography in it replays.
#pragma once

#include <cstdint>
#include <span>

#include "base/rng.h"

namespace weft {

class Entropy {
 public:
  Entropy() = default;
  Entropy(const Entropy&) = delete;
  Entropy& operator=(const Entropy&) = delete;
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

// The kernel's generator through libsodium. Thread safe.
class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// Predictable on purpose: simulations and tests only.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(Rng rng) : rng_(rng) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  Rng rng_;
};

}  // namespace weft
