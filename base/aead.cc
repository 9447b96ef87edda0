#include "base/aead.h"

namespace weft {

std::string_view to_string(CipherId cipher) {
  switch (cipher) {
    case CipherId::Aes256Gcm:
      return "aes-256-gcm";
    case CipherId::ChaCha20Poly1305:
      return "chacha20-poly1305";
  }
  return "unknown";
}

}  // namespace weft
