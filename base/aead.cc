#include "base/aead.h"

namespace weft {

std::string_view to_string(CipherId cipher) {
  switch (cipher) {
    case CipherId::Aes256Gcm:
      return "aes-256-gcm";
    case CipherId::ChaCha20Poly1305:
      return "chacha20-poly1305";
  }
  return "unknown";
}

AeadNonce aead_nonce(CipherId cipher, std::uint64_t counter) {
  AeadNonce nonce{};
  constexpr std::size_t kZeros = 4;
  for (std::size_t i = 0; i < sizeof counter; ++i) {
    const std::size_t shift = cipher == CipherId::Aes256Gcm ? 8 * (sizeof counter - 1 - i) : 8 * i;
    nonce.at(kZeros + i) = static_cast<std::uint8_t>(counter >> shift);
  }
  return nonce;
}

}  // namespace weft
