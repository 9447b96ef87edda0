// Who may come to the UI, and with which rights: from --ui-token-file, --ui-users-file, --controls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/config.h"
#include "app/login.h"
#include "base/address.h"
#include "base/result.h"
#include "sys/tls/certificate.h"

namespace weft::agent {

// The first line of the file; nothing for an empty path. Warns in the log about a file that others
// may read. Errc::Invalid if it is too short to be safe (app/login.h).
Result<std::optional<std::string>> read_ui_token(const std::string& path);

// The accounts in the file (app::parse_accounts); none for an empty path. Warns as above.
Result<std::vector<app::Account>> read_ui_users(const std::string& path);

// Errc::Denied beyond loopback without a login: who sees the UI sees every command line of the
// cluster.
Result<Ok> check_ui_listen(const Endpoint& listen, bool has_login);

// Nothing where the UI speaks no TLS. Errors name the options. Makes a certificate in the state
// folder at its first use where none is given.
Result<std::optional<sys::Certificate>> read_ui_certificate(const Config& config);

// All of it together. Precondition: the UI is to listen somewhere.
Result<app::Access> read_ui_access(const Config& config);

}  // namespace weft::agent
