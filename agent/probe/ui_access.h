// Who may see the UI beyond this host: who has the token in --ui-token-file.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/result.h"

namespace weft::agent {

// The first line of the file; nothing for an empty path. Warns in the log about a file that others
// may read. Errc::Invalid if it is too short to be safe (app/login.h).
Result<std::optional<std::string>> read_ui_token(const std::string& path);

// Errc::Denied beyond loopback without a token: who sees the UI sees every command line of the
// cluster.
Result<Ok> check_ui_listen(const Endpoint& listen, bool has_token);

}  // namespace weft::agent
