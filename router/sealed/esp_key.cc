#include "router/sealed/esp_key.h"

#include <string_view>

#include <sodium.h>

#include "base/bytes.h"

namespace weft::router {

std::array<std::uint8_t, 36> esp_key(const Secret& session_key) {
  constexpr std::string_view kLabel = "weft esp 1";
  std::array<std::uint8_t, 36> key{};
  const ByteView label = as_bytes(kLabel);
  const ByteView under = session_key.bytes();
  crypto_generichash(
      key.data(), key.size(), label.data(), label.size(), under.data(), under.size());
  return key;
}

}  // namespace weft::router
