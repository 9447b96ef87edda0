// Files with a token on their first line.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::agent {

// Warns in the log about a file of secrets that others than its owner may read.
void warn_if_open(const std::string& path);

// Of `option`, which errors name. Errc::Invalid if the token is too short to be safe or too long
// (app/login.h). Warns as above.
Result<std::string> read_token(std::string_view option, const std::string& path);

}  // namespace weft::agent
