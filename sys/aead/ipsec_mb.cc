// AES-256-GCM on intel-ipsec-mb: the direct calls with an expanded key, which need no job manager
// per packet. With AVX-512 and VAES about four times OpenSSL's speed at the size of a datagram.
#include "sys/aead/backends.h"

#ifdef WEFT_HAS_IPSEC_MB
#include <algorithm>
#include <cstring>

#include <intel-ipsec-mb.h>
#include <sodium.h>

namespace weft::sys {
namespace {

// In the same time wherever they differ. libsodium's takes an octet at a time, a fifth of the whole
// for a datagram of 1,400.
bool is_same_tag(const std::uint8_t* a, const std::uint8_t* b) {
  std::array<std::uint64_t, 2> left{};
  std::array<std::uint64_t, 2> right{};
  static_assert(sizeof left == kAeadTagSize);
  std::memcpy(left.data(), a, sizeof left);
  std::memcpy(right.data(), b, sizeof right);
  return ((left[0] ^ right[0]) | (left[1] ^ right[1])) == 0;
}

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

class IpsecMbKey final : public AeadKey {
 public:
  IpsecMbKey(std::shared_ptr<IMB_MGR> manager, const std::array<std::uint8_t, kAeadKeySize>& key)
      : manager_(std::move(manager)) {
    IMB_AES256_GCM_PRE(manager_.get(), key.data(), &key_);
  }
  ~IpsecMbKey() override { sodium_memzero(&key_, sizeof key_); }

  void seal(std::uint64_t counter, ByteView ad, ByteView plaintext, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(CipherId::Aes256Gcm, counter);
    IMB_AES256_GCM_ENC(manager_.get(),
                       &key_,
                       &context_,
                       out,
                       plaintext.data(),
                       plaintext.size(),
                       nonce.data(),
                       ad.data(),
                       ad.size(),
                       out + plaintext.size(),
                       kAeadTagSize);
  }

  bool open(std::uint64_t counter, ByteView ad, ByteView sealed, std::uint8_t* out) override {
    const AeadNonce nonce = aead_nonce(CipherId::Aes256Gcm, counter);
    const std::size_t size = sealed.size() - kAeadTagSize;
    std::array<std::uint8_t, kAeadTagSize> tag{};
    IMB_AES256_GCM_DEC(manager_.get(),
                       &key_,
                       &context_,
                       out,
                       sealed.data(),
                       size,
                       nonce.data(),
                       ad.data(),
                       ad.size(),
                       tag.data(),
                       tag.size());
    return is_same_tag(tag.data(), sealed.data() + size);
  }

 private:
  std::shared_ptr<IMB_MGR> manager_;
  alignas(64) gcm_key_data key_{};
  gcm_context_data context_{};
};

class IpsecMb final : public Aead {
 public:
  explicit IpsecMb(Manager manager) : manager_(std::move(manager)) {}
  CipherId cipher() const override { return CipherId::Aes256Gcm; }
  std::string_view name() const override { return "intel-ipsec-mb"; }
  std::unique_ptr<AeadKey> make_key(
      const std::array<std::uint8_t, kAeadKeySize>& key) const override {
    return std::make_unique<IpsecMbKey>(manager_, key);
  }

 private:
  std::shared_ptr<IMB_MGR> manager_;
};

}  // namespace

std::unique_ptr<Aead> ipsec_mb_aead() {
  Manager manager(alloc_mb_mgr(0));
  if (!manager || (manager->features & IMB_FEATURE_AESNI) == 0
      || (manager->features & IMB_FEATURE_PCLMULQDQ) == 0) {
    return nullptr;
  }
  IMB_ARCH arch{};
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0) {
    return nullptr;
  }
  return std::make_unique<IpsecMb>(std::move(manager));
}

}  // namespace weft::sys

#else

namespace weft::sys {

std::unique_ptr<Aead> ipsec_mb_aead() {
  return nullptr;
}

}  // namespace weft::sys

#endif
