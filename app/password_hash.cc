#include "app/password_hash.h"

#include <array>

#include <sodium.h>

namespace weft::app {

Result<std::string> hash_password(std::string_view password) {
  std::array<char, crypto_pwhash_STRBYTES> text{};
  if (sodium_init() < 0
      || crypto_pwhash_str(text.data(),
                           password.data(),
                           password.size(),
                           crypto_pwhash_OPSLIMIT_INTERACTIVE,
                           crypto_pwhash_MEMLIMIT_INTERACTIVE)
             != 0) {
    return Error{Errc::Exhausted, "hash a password: not enough memory (64 MiB)"};
  }
  return std::string(text.data());
}

bool is_password_hash(std::string_view text) {
  return text.starts_with("$argon2id$") && text.size() < crypto_pwhash_STRBYTES;
}

bool is_password(const std::string& hash, std::string_view password) {
  return is_password_hash(hash) && sodium_init() >= 0
         && crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

}  // namespace weft::app
