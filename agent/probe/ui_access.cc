#include "agent/probe/ui_access.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "agent/http/host_certificate.h"
#include "agent/http/token_file.h"
#include "app/login.h"

namespace weft::agent {

Result<std::optional<std::string>> read_ui_token(const std::string& path) {
  if (path.empty()) {
    return std::optional<std::string>();
  }
  auto token = WEFT_TRY(read_token("--ui-token-file", path));
  return std::optional(std::move(token));
}

Result<std::vector<app::Account>> read_ui_users(const std::string& path) {
  if (path.empty()) {
    return std::vector<app::Account>();
  }
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    const int error = errno;
    return Error{
        Errc::Os, fmt::format("--ui-users-file {}: {}", path, std::strerror(error)), error};
  }
  warn_if_open(path);
  auto accounts = app::parse_accounts(text.str());
  if (!accounts.ok()) {
    return Error(accounts.error()).with_context(fmt::format("--ui-users-file {}", path));
  }
  if (accounts.value().empty()) {
    return Error{Errc::Invalid, fmt::format("--ui-users-file {}: nobody is in it", path)};
  }
  return accounts;
}

Result<Ok> check_ui_listen(const Endpoint& listen, bool has_login) {
  if (has_login || listen.address.is_loopback()) {
    return Ok{};
  }
  return Error{Errc::Denied,
               fmt::format("--ui-listen {}: beyond loopback the UI is served only to who logs in; "
                           "give it a token (--ui-token-file PATH) or people (--ui-users-file "
                           "PATH), or forward a port to it (ssh -L 4040:127.0.0.1:4040 host)",
                           listen.to_string())};
}

Result<std::optional<sys::Certificate>> read_ui_certificate(const Config& config) {
  const bool is_wanted =
      config.ui_tls == UiTls::On
      || (config.ui_tls == UiTls::Auto && !config.ui_listen->address.is_loopback());
  if (!is_wanted) {
    return std::optional<sys::Certificate>();
  }
  auto certificate = host_certificate(config, config.ui_files, config.ui_listen->address);
  if (!certificate.ok()) {
    return Error(certificate.error()).with_context("certificate of the web UI");
  }
  return std::optional(std::move(certificate).value());
}

Result<app::Access> read_ui_access(const Config& config) {
  app::Access access;
  access.token = WEFT_TRY(read_ui_token(config.ui_token_file));
  access.accounts = WEFT_TRY(read_ui_users(config.ui_users_file));
  access.stranger =
      config.controls == Controls::Loopback ? control::Role::Admin : control::Role::Viewer;
  WEFT_TRY(check_ui_listen(*config.ui_listen, access.asks_for_login()));
  return access;
}

}  // namespace weft::agent
