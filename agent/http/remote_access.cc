#include "agent/http/remote_access.h"

#include <string>

#include "app/login.h"
#include "base/assert.h"

namespace weft::agent {
namespace {

constexpr std::string_view kScheme = "Bearer ";

sys::HttpResponse refusal(unsigned status, std::string_view why) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::string(why)};
}

}  // namespace

std::optional<sys::HttpResponse> refuse_without_token(const sys::HttpRequest& request,
                                                      std::string_view token) {
  WEFT_ASSERT(token.size() >= app::kTokenMin);
  if (!request.origin.empty()) {
    return refusal(403, "web pages may not call this API\n");
  }
  const std::string_view given = request.authorization;
  if (!given.starts_with(kScheme) || !app::is_same_secret(given.substr(kScheme.size()), token)) {
    return refusal(401, "this API asks for its token: Authorization: Bearer TOKEN\n");
  }
  return std::nullopt;
}

}  // namespace weft::agent
