#include "router/sealed/kernel_keys.h"

#include <string_view>

#include <sodium.h>

#include "base/bytes.h"

namespace weft::router {
namespace {

template <std::size_t Size>
std::array<std::uint8_t, Size> derive(std::string_view text, const Secret& session_key) {
  std::array<std::uint8_t, Size> key{};
  const ByteView label = as_bytes(text);
  const ByteView under = session_key.bytes();
  crypto_generichash(
      key.data(), key.size(), label.data(), label.size(), under.data(), under.size());
  return key;
}

}  // namespace

std::array<std::uint8_t, 36> esp_key(const Secret& session_key) {
  return derive<36>("weft esp 1", session_key);
}

std::array<std::uint8_t, 32> lane_key(const Secret& session_key) {
  return derive<32>("weft lane 1", session_key);
}

}  // namespace weft::router
