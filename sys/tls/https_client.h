// One blocking request to a server that speaks HTTP over TLS (1.2 or 1.3); for the CLI.
#pragma once

#include <string>

#include "base/result.h"
#include "sys/http_server.h"

namespace weft::sys {

struct HttpsServer {
  std::string host;  // A name or an address; what the certificate has to be of.
  std::string port;
  // Whom to believe: this certificate alone, by its SHA-256 ("AB:CD:…", whatever it says of
  // itself), else who signs it, by a file of theirs (PEM) or, without one, by what the system
  // trusts.
  std::string fingerprint{};
  std::string authorities{};
  std::string token{};  // Sent as "Authorization: Bearer …"; empty: none.
};

// Errc::Unavailable if nobody answers in time, Errc::Denied with the certificate's fingerprint if
// it is not to be believed.
Result<HttpResponse> https_call(const HttpsServer& server,
                                const std::string& method,
                                const std::string& target,
                                const std::string& body,
                                int timeout_seconds);

}  // namespace weft::sys
