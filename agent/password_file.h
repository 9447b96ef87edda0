// The file with the cluster's password: read at the start and whenever it is replaced.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "router/keys.h"

namespace weft::agent {

struct PasswordKeys {
  router::Psk current;
  std::optional<router::Psk> old;  // While one password replaces another.
};

// Warns in the log about a file that others may read. Stretching takes a tenth of a second for each
// password in the file.
Result<PasswordKeys> read_password_file(const std::string& path);

}  // namespace weft::agent
