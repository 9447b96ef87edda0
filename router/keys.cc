#include "router/keys.h"

#include <string>

#include <sodium.h>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft::router {

namespace {

// Names the purpose and the version of the stretching. Changing it changes every cluster's key.
constexpr std::string_view kPasswordSalt = "weft password 01";
static_assert(kPasswordSalt.size() == crypto_pwhash_argon2id_SALTBYTES);

// Far beyond any passphrase; a larger file is no password file.
constexpr std::size_t kPasswordMax = 4096;

}  // namespace

Secret::~Secret() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

bool operator==(const Secret& a, const Secret& b) {
  return sodium_memcmp(a.bytes_.data(), b.bytes_.data(), a.bytes_.size()) == 0;
}

KeyPair KeyPair::generate(Entropy& entropy) {
  PrivateKey secret;
  entropy.fill(secret.bytes());
  return from_secret(secret);
}

KeyPair KeyPair::from_secret(const PrivateKey& secret) {
  // Every session begins with a key pair, so this is where libsodium picks its fastest code.
  WEFT_ASSERT(sodium_init() >= 0);
  KeyPair pair;
  pair.secret = secret;
  // Fails only for a public key of low order, which the base point is not.
  WEFT_ASSERT(crypto_scalarmult_base(pair.pub.data(), secret.bytes().data()) == 0);
  return pair;
}

Result<Psk> stretch_password(std::string_view password) {
  if (password.empty()) {
    return Error{Errc::Invalid, "the password is empty"};
  }
  if (password.size() > kPasswordMax) {
    return Error{Errc::Invalid,
                 "the password is longer than " + std::to_string(kPasswordMax) + " bytes"};
  }
  WEFT_ASSERT(sodium_init() >= 0);
  Psk psk;
  const int failed = crypto_pwhash(psk.bytes().data(),
                                   psk.bytes().size(),
                                   password.data(),
                                   password.size(),
                                   as_bytes(kPasswordSalt).data(),
                                   crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                   crypto_pwhash_MEMLIMIT_INTERACTIVE,
                                   crypto_pwhash_ALG_ARGON2ID13);
  if (failed != 0) {
    return Error{Errc::Exhausted, "not enough memory to stretch the password (64 MiB needed)"};
  }
  return psk;
}

}  // namespace weft::router
