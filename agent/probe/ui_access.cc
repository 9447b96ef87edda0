#include "agent/probe/ui_access.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <sys/stat.h>

#include "app/login.h"
#include "base/log.h"

namespace weft::agent {

Result<std::optional<std::string>> read_ui_token(const std::string& path) {
  if (path.empty()) {
    return std::optional<std::string>();
  }
  std::ifstream file(path);
  std::string token;
  if (!file || !std::getline(file, token)) {
    const int error = errno;
    return Error{
        Errc::Os, fmt::format("--ui-token-file {}: {}", path, std::strerror(error)), error};
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    log::warning("the UI's token file is open to others than its owner", {"path", path});
  }
  if (token.size() < app::kTokenMin || token.size() > app::kTokenMax) {
    return Error{Errc::Invalid,
                 fmt::format("--ui-token-file {}: a token of {} characters (expected {} to {})",
                             path,
                             token.size(),
                             app::kTokenMin,
                             app::kTokenMax)};
  }
  return std::optional(std::move(token));
}

Result<Ok> check_ui_listen(const Endpoint& listen, bool has_token) {
  const Cidr loopback =
      listen.address.is_v4() ? Cidr::parse("127.0.0.0/8").value() : Cidr::parse("::1/128").value();
  if (has_token || loopback.contains(listen.address)) {
    return Ok{};
  }
  return Error{Errc::Denied,
               fmt::format("--ui-listen {}: beyond loopback the UI is served only to who has a "
                           "token; give it one (--ui-token-file PATH), or forward a port to it "
                           "(ssh -L 4040:127.0.0.1:4040 host)",
                           listen.to_string())};
}

}  // namespace weft::agent
