// ChaCha20-Poly1305 (RFC 8439) on libsodium: constant time on any processor.
#include <sodium.h>

#include "base/assert.h"
#include "sys/aead/backends.h"

namespace weft::sys {
namespace {

static_assert(kAeadKeySize == crypto_aead_chacha20poly1305_ietf_KEYBYTES);
static_assert(kAeadTagSize == crypto_aead_chacha20poly1305_ietf_ABYTES);
static_assert(kAeadNonceSize == crypto_aead_chacha20poly1305_ietf_NPUBBYTES);

class SodiumKey final : public AeadKey {
 public:
  explicit SodiumKey(const std::array<std::uint8_t, kAeadKeySize>& key) : key_(key) {}
  ~SodiumKey() override { sodium_memzero(key_.data(), key_.size()); }

  void seal(std::uint64_t counter, ByteView ad, ByteView plaintext, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(CipherId::ChaCha20Poly1305, counter);
    crypto_aead_chacha20poly1305_ietf_encrypt(out,
                                              nullptr,
                                              plaintext.data(),
                                              plaintext.size(),
                                              ad.data(),
                                              ad.size(),
                                              nullptr,
                                              nonce.data(),
                                              key_.data());
  }

  bool open(std::uint64_t counter, ByteView ad, ByteView sealed, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(CipherId::ChaCha20Poly1305, counter);
    return crypto_aead_chacha20poly1305_ietf_decrypt(out,
                                                     nullptr,
                                                     nullptr,
                                                     sealed.data(),
                                                     sealed.size(),
                                                     ad.data(),
                                                     ad.size(),
                                                     nonce.data(),
                                                     key_.data())
           == 0;
  }

 private:
  std::array<std::uint8_t, kAeadKeySize> key_;
};

class Sodium final : public Aead {
 public:
  CipherId cipher() const override { return CipherId::ChaCha20Poly1305; }
  std::string_view name() const override { return "libsodium"; }
  std::unique_ptr<AeadKey> make_key(
      const std::array<std::uint8_t, kAeadKeySize>& key) const override {
    return std::make_unique<SodiumKey>(key);
  }
};

}  // namespace

std::unique_ptr<Aead> sodium_aead() {
  WEFT_ASSERT(sodium_init() >= 0);
  return std::make_unique<Sodium>();
}

}  // namespace weft::sys
