#include "agent/http/agent_call.h"

#include <cerrno>

#include <fmt/format.h>

#include "agent/config.h"
#include "agent/http/token_file.h"
#include "router/connector.h"
#include "sys/tls/https_client.h"

namespace weft::agent {
namespace {

constexpr std::uint16_t kHttpPort = 6784;

constexpr unsigned kUnauthorized = 401;

Result<sys::HttpsServer> server_of(const Settings& settings) {
  std::string place = settings.text("http-addr").substr(kRemoteScheme.size());
  if (place.ends_with('/')) {
    place.pop_back();
  }
  const auto target = WEFT_TRY(router::Target::parse(place, kHttpPort));
  sys::HttpsServer server{.host = target.host,
                          .port = std::to_string(target.port),
                          .fingerprint = settings.text("http-fingerprint"),
                          .authorities = settings.text("http-ca")};
  if (!settings.text("http-token-file").empty()) {
    server.token = WEFT_TRY(read_token("--http-token-file", settings.text("http-token-file")));
  }
  return server;
}

Result<sys::HttpResponse> call_remote(const Settings& settings,
                                      const std::string& method,
                                      const std::string& target,
                                      const std::string& body,
                                      int timeout_seconds) {
  const auto server = WEFT_TRY(server_of(settings));
  auto response = sys::https_call(
      server, method, std::string(kControlPrefix) + target.substr(1), body, timeout_seconds);
  if (!response.ok() && response.error().code == Errc::Denied) {
    Error error = std::move(response).error();
    error.what +=
        " (if that is what its log names, give it as --http-fingerprint; or give who "
        "signs it as --http-ca)";
    return error;
  }
  if (response.ok() && response.value().status == kUnauthorized) {
    return Error{Errc::Denied,
                 fmt::format("{} refuses {} (--http-token-file: the token of that agent)",
                             settings.text("http-addr"),
                             server.token.empty() ? "who has no token" : "the token")};
  }
  return response;
}

}  // namespace

bool is_remote(const Settings& settings) {
  // Not every command may leave the host: those have no such option, and its fallback.
  return settings.has("http-addr") && settings.text("http-addr").starts_with(kRemoteScheme);
}

Result<sys::HttpResponse> call_agent(const Settings& settings,
                                     const std::string& method,
                                     const std::string& target,
                                     const std::string& body,
                                     int timeout_seconds) {
  if (is_remote(settings)) {
    return call_remote(settings, method, target, body, timeout_seconds);
  }
  auto response = sys::http_call(
      control_socket_in(settings.text("run-dir")), method, target, body, timeout_seconds);
  if (!response.ok() && (response.error().os == EACCES || response.error().os == EPERM)) {
    Error error = std::move(response).error();
    error.code = Errc::Denied;
    error.what += " (root or a member of group weft may do this)";
    return error;
  }
  return response;
}

}  // namespace weft::agent
