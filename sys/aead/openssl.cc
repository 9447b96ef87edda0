// AES-256-GCM and ChaCha20-Poly1305 on OpenSSL's EVP interface: everywhere, and fast where the
// processor has instructions for it.
#include <algorithm>
#include <utility>

#include <openssl/evp.h>

#include "base/assert.h"
#include "sys/aead/backends.h"

namespace weft::sys {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;  // Freeing wipes the key.

struct FreeCipher {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER, FreeCipher>;

int int_of(std::size_t size) {
  WEFT_ASSERT(std::in_range<int>(size));
  return static_cast<int>(size);
}

class OpensslKey final : public AeadKey {
 public:
  OpensslKey(CipherId id,
             const EVP_CIPHER* cipher,
             const std::array<std::uint8_t, kAeadKeySize>& key)
      : id_(id),
        sealing_(EVP_CIPHER_CTX_new()),
        opening_(EVP_CIPHER_CTX_new()) {
    WEFT_ASSERT(EVP_EncryptInit_ex2(sealing_.get(), cipher, key.data(), nullptr, nullptr) == 1);
    WEFT_ASSERT(EVP_DecryptInit_ex2(opening_.get(), cipher, key.data(), nullptr, nullptr) == 1);
  }

  void seal(std::uint64_t counter, ByteView ad, ByteView plaintext, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(id_, counter);
    EVP_CIPHER_CTX* context = sealing_.get();
    int size = 0;
    std::uint8_t* tag = out + plaintext.size();
    // With valid sizes none of these can fail; a nonce that was not taken must never go unnoticed.
    WEFT_ASSERT(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
    WEFT_ASSERT(EVP_EncryptUpdate(context, nullptr, &size, ad.data(), int_of(ad.size())) == 1);
    WEFT_ASSERT(EVP_EncryptUpdate(context, out, &size, plaintext.data(), int_of(plaintext.size()))
                == 1);
    WEFT_ASSERT(EVP_EncryptFinal_ex(context, tag, &size) == 1);
    WEFT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagSize, tag) == 1);
  }

  bool open(std::uint64_t counter, ByteView ad, ByteView sealed, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(id_, counter);
    EVP_CIPHER_CTX* context = opening_.get();
    const std::size_t text_size = sealed.size() - kAeadTagSize;
    std::array<std::uint8_t, kAeadTagSize> tag{};
    std::copy_n(sealed.data() + text_size, tag.size(), tag.begin());
    int size = 0;
    return EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1
           && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagSize, tag.data()) == 1
           && EVP_DecryptUpdate(context, nullptr, &size, ad.data(), int_of(ad.size())) == 1
           && EVP_DecryptUpdate(context, out, &size, sealed.data(), int_of(text_size)) == 1
           && EVP_DecryptFinal_ex(context, out + text_size, &size) == 1;
  }

 private:
  CipherId id_;
  Context sealing_;
  Context opening_;
};

class Openssl final : public Aead {
 public:
  Openssl(CipherId id, Cipher cipher) : id_(id), cipher_(std::move(cipher)) {}
  CipherId cipher() const override { return id_; }
  std::string_view name() const override { return "openssl"; }
  std::unique_ptr<AeadKey> make_key(
      const std::array<std::uint8_t, kAeadKeySize>& key) const override {
    return std::make_unique<OpensslKey>(id_, cipher_.get(), key);
  }

 private:
  CipherId id_;
  Cipher cipher_;
};

}  // namespace

std::unique_ptr<Aead> openssl_aead(CipherId id) {
  const char* name = id == CipherId::Aes256Gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
  Cipher cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
  if (!cipher) {
    return nullptr;
  }
  return std::make_unique<Openssl>(id, std::move(cipher));
}

}  // namespace weft::sys
