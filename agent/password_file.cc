#include "agent/password_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>

#include "agent/config.h"
#include "base/log.h"

namespace weft::agent {

Result<PasswordKeys> read_password_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("password file {}: {}", path, std::strerror(error)), error};
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    log::warning("password file is open to others than its owner", {"path", path});
  }
  const std::string content((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
  const Passwords passwords = WEFT_TRY(parse_passwords(content));
  PasswordKeys keys;
  keys.current = WEFT_TRY(router::stretch_password(passwords.current));
  if (passwords.old) {
    keys.old = WEFT_TRY(router::stretch_password(*passwords.old));
  }
  ::malloc_trim(0);  // Argon2id has just used 64 MiB.
  return keys;
}

}  // namespace weft::agent
