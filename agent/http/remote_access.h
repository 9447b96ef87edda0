// Who may call the control API from other hosts: whoever brings its token, over TLS. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "sys/http_server.h"

namespace weft::agent {

// Nothing if the request brings the token ("Authorization: Bearer TOKEN") and comes from no web
// page. The comparison takes the same time wherever they differ.
std::optional<sys::HttpResponse> refuse_without_token(const sys::HttpRequest& request,
                                                      std::string_view token);

}  // namespace weft::agent
