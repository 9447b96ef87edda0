// The implementations behind aead.h. Internal to sys.
#pragma once

#include <memory>

#include "base/aead.h"

namespace weft::sys {

// Nothing if the processor lacks AES instructions or the library was not there at build time.
std::unique_ptr<Aead> ipsec_mb_aead();
// Nothing if OpenSSL was built without the cipher.
std::unique_ptr<Aead> openssl_aead(CipherId cipher);
std::unique_ptr<Aead> sodium_aead();

}  // namespace weft::sys
