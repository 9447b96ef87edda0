// Key material as value types. Secret halves are wiped when they go out of scope.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/entropy.h"
#include "base/result.h"

namespace weft::router {

// X25519 (RFC 7748) public key.
using PublicKey = std::array<std::uint8_t, 32>;

// 32 secret bytes that are overwritten on destruction.
class Secret {
 public:
  Secret() = default;
  explicit Secret(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();

  const std::array<std::uint8_t, 32>& bytes() const { return bytes_; }
  std::array<std::uint8_t, 32>& bytes() { return bytes_; }

  // Takes the same time whatever differs.
  friend bool operator==(const Secret& a, const Secret& b);

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

using PrivateKey = Secret;
using Psk = Secret;

struct KeyPair {
  PrivateKey secret;
  PublicKey pub{};

  static KeyPair generate(Entropy& entropy);
  static KeyPair from_secret(const PrivateKey& secret);
};

// Stretches the cluster password with Argon2id (RFC 9106; libsodium's interactive limits) under a
// fixed salt: every peer must arrive at the same key from the password alone. Takes about 0.1 s and
// 64 MiB, once per password. An empty password is an Error.
Result<Psk> stretch_password(std::string_view password);

}  // namespace weft::router
