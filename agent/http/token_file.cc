#include "agent/http/token_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <sys/stat.h>

#include "app/login.h"
#include "base/log.h"

namespace weft::agent {

void warn_if_open(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    log::warning("a file of secrets is open to others than its owner", {"path", path});
  }
}

Result<std::string> read_token(std::string_view option, const std::string& path) {
  std::ifstream file(path);
  std::string token;
  if (!file || !std::getline(file, token)) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("{} {}: {}", option, path, std::strerror(error)), error};
  }
  warn_if_open(path);
  if (token.size() < app::kTokenMin || token.size() > app::kTokenMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} {}: a token of {} characters (expected {} to {})",
                             option,
                             path,
                             token.size(),
                             app::kTokenMin,
                             app::kTokenMax)};
  }
  return token;
}

}  // namespace weft::agent
