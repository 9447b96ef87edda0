// A client's side of TLS, as files that an operator names.
#pragma once

#include <string>

namespace weft::sys {

// Whom to believe, and what to show. Files are PEM.
struct TlsTrust {
  std::string authorities;  // Who has to have signed the server's certificate.
  std::string name;         // A name or an address that it has to be of.
  std::string chain{};      // What we show it, if it asks; empty: nothing.
  std::string key{};        // Of that.

  friend bool operator==(const TlsTrust&, const TlsTrust&) = default;
};

}  // namespace weft::sys
