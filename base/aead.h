// Authenticated encryption of datagrams under one key: what the encrypted data path asks of a
// cipher.
//
// Nonces are counters, laid out as the Noise specification has them for either cipher (section 12:
// four zero octets, then the counter; big-endian for AES-GCM, little-endian for ChaCha20-Poly1305).
// A key is used by one thread at a time. Backends are in sys/aead/aead.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace weft {

// Part of the wire format: never renumber.
enum class CipherId : std::uint8_t { Aes256Gcm = 1, ChaCha20Poly1305 = 2 };

std::string_view to_string(CipherId cipher);

inline constexpr std::size_t kAeadKeySize = 32;
inline constexpr std::size_t kAeadTagSize = 16;
inline constexpr std::size_t kAeadNonceSize = 12;

// Wipes itself on destruction.
class AeadKey {
 public:
  AeadKey() = default;
  AeadKey(const AeadKey&) = delete;
  AeadKey& operator=(const AeadKey&) = delete;
  virtual ~AeadKey() = default;

  // Writes plaintext.size() + kAeadTagSize octets to `out`, which does not overlap the plaintext.
  // Precondition: no two calls have the same counter.
  virtual void seal(std::uint64_t counter, ByteView ad, ByteView plaintext, std::uint8_t* out) = 0;
  // Writes sealed.size() - kAeadTagSize octets to `out`, which does not overlap `sealed`. False if
  // the text does not authenticate; what `out` holds then is meaningless.
  // Precondition: sealed.size() >= kAeadTagSize.
  virtual bool open(std::uint64_t counter, ByteView ad, ByteView sealed, std::uint8_t* out) = 0;
};

class Aead {
 public:
  Aead() = default;
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;
  virtual ~Aead() = default;

  virtual CipherId cipher() const = 0;
  virtual std::string_view name() const = 0;  // Of the implementation.
  virtual std::unique_ptr<AeadKey> make_key(
      const std::array<std::uint8_t, kAeadKeySize>& key) const = 0;
};

using AeadNonce = std::array<std::uint8_t, kAeadNonceSize>;

// Inline, as it is made for every packet.
inline AeadNonce aead_nonce(CipherId cipher, std::uint64_t counter) {
  constexpr std::size_t kZeros = 4;
  AeadNonce nonce{};
  const bool is_big_endian = cipher == CipherId::Aes256Gcm;
  for (std::size_t i = 0; i < sizeof counter; ++i) {
    const std::size_t at = is_big_endian ? sizeof counter - 1 - i : i;
    nonce[kZeros + at] = static_cast<std::uint8_t>(counter >> (8 * i));
  }
  return nonce;
}

}  // namespace weft
