// The certificate that this host shows where it speaks TLS.
#pragma once

#include <string>

#include "agent/config.h"
#include "base/address.h"
#include "sys/tls/certificate.h"

namespace weft::agent {

// The one an operator gives (both paths), else the host's own, made in the state folder at its
// first use: then for the host's nickname and for `listen`.
Result<sys::Certificate> host_certificate(const Config& config,
                                          const CertificateFiles& files,
                                          const Ip& listen);

}  // namespace weft::agent
