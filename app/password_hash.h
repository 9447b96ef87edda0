// Passwords of people, as they are kept: Argon2id (RFC 9106) with a salt of their own, in the usual
// text form ("$argon2id$v=19$m=65536,t=2,p=1$…").
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::app {

// Takes a tenth of a second and 64 MiB, on purpose. Errc::Exhausted without the memory.
Result<std::string> hash_password(std::string_view password);
// Takes as long. False also for a hash that is none.
bool is_password(const std::string& hash, std::string_view password);
// Whether it has the form; says nothing of any password.
bool is_password_hash(std::string_view text);

}  // namespace weft::app
