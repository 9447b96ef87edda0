// Byte strings, and a bounds-checked reader and writer for fixed binary layouts (network order).
//
// Structured messages are Protobuf (proto/*.proto); these two are for what is not: frames,
// handshake prologues, Ethernet, ARP, ND, record keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weft {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

inline Bytes to_bytes(ByteView view) {
  return {view.begin(), view.end()};
}

std::string to_hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view hex);

// Percent-encoding (RFC 3986, section 2.1). Nothing for an escape that is none.
std::optional<std::string> decode_percent(std::string_view text);

// Consumes a byte string from the front. Never reads past the end; a short input is an Error that
// says how many bytes were expected.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  Result<std::uint8_t> u8();
  Result<std::uint16_t> u16();
  Result<std::uint32_t> u32();
  Result<std::uint64_t> u64();
  Result<ByteView> take(std::size_t count);

  ByteView rest() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  std::size_t remaining() const { return bytes_.size(); }

 private:
  ByteView bytes_;
};

// Appends to a byte string it owns.
class Writer {
 public:
  Writer& u8(std::uint8_t value);
  Writer& u16(std::uint16_t value);
  Writer& u32(std::uint32_t value);
  Writer& u64(std::uint64_t value);
  Writer& append(ByteView bytes);

  std::size_t size() const { return bytes_.size(); }
  // Hands out what was written; the writer is empty afterwards.
  Bytes take() { return std::exchange(bytes_, {}); }

 private:
  Bytes bytes_;
};

}  // namespace weft
