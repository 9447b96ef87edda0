// The certificate a host shows with TLS: one an operator gives, or one of the host's own, made at
// the first start and kept, for people to compare its fingerprint.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

struct x509_st;  // OpenSSL's X509.

namespace weft::sys {

struct Certificate {
  std::string chain;        // PEM: the host's first, then those that sign it.
  std::string key;          // PEM, unencrypted.
  std::string fingerprint;  // SHA-256 of the host's, as browsers show it: "AB:CD:…".

  friend bool operator==(const Certificate&, const Certificate&) = default;
};

// Errc::Invalid if they are none, or do not belong together.
Result<Certificate> load_certificate(const std::string& chain_path, const std::string& key_path);

// The one in `folder` (tls-cert.pem, tls-key.pem), made if there is none: P-256, for these names
// and addresses, ten years.
Result<Certificate> ensure_certificate(const std::string& folder,
                                       const std::vector<std::string>& names);

// SHA-256, as browsers show it.
Result<std::string> fingerprint_of(x509_st& certificate);

}  // namespace weft::sys
