#include "base/bytes.h"

#include <fmt/format.h>

namespace weft {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

Result<std::uint8_t> nibble(char digit) {
  const auto lower = static_cast<char>(digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit);
  const auto position = kHexDigits.find(lower);
  if (position == std::string_view::npos) {
    return Error{Errc::Invalid, fmt::format("'{}' is not a hexadecimal digit", digit)};
  }
  return static_cast<std::uint8_t>(position);
}

template <class T>
T big_endian(ByteView bytes) {
  T value = 0;
  for (const std::uint8_t byte : bytes) {
    value = static_cast<T>(static_cast<T>(value << 8U) | byte);
  }
  return value;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4U]);
    text.push_back(kHexDigits[byte & 0xfU]);
  }
  return text;
}

Result<Bytes> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) {
    return Error{Errc::Invalid, fmt::format("{} hexadecimal digits (expected pairs)", hex.size())};
  }
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const std::uint8_t high = WEFT_TRY(nibble(hex[i]));
    const std::uint8_t low = WEFT_TRY(nibble(hex[i + 1]));
    bytes.push_back(static_cast<std::uint8_t>(high << 4U | low));
  }
  return bytes;
}

std::optional<std::string> decode_percent(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain.push_back(text[i]);
      continue;
    }
    const auto octet = from_hex(text.substr(i + 1, 2));
    if (!octet.ok() || octet.value().empty()) {
      return std::nullopt;
    }
    plain.push_back(static_cast<char>(octet.value().front()));
    i += 2;
  }
  return plain;
}

Result<ByteView> Reader::take(std::size_t count) {
  if (count > bytes_.size()) {
    return Error{Errc::Invalid, fmt::format("expected {} bytes, {} left", count, bytes_.size())};
  }
  const ByteView head = bytes_.first(count);
  bytes_ = bytes_.subspan(count);
  return head;
}

Result<std::uint8_t> Reader::u8() {
  const ByteView head = WEFT_TRY(take(1));
  return head[0];
}

Result<std::uint16_t> Reader::u16() {
  const ByteView head = WEFT_TRY(take(2));
  return big_endian<std::uint16_t>(head);
}

Result<std::uint32_t> Reader::u32() {
  const ByteView head = WEFT_TRY(take(4));
  return big_endian<std::uint32_t>(head);
}

Result<std::uint64_t> Reader::u64() {
  const ByteView head = WEFT_TRY(take(8));
  return big_endian<std::uint64_t>(head);
}

Writer& Writer::u8(std::uint8_t value) {
  bytes_.push_back(value);
  return *this;
}

Writer& Writer::u16(std::uint16_t value) {
  return u8(static_cast<std::uint8_t>(value >> 8U)).u8(static_cast<std::uint8_t>(value));
}

Writer& Writer::u32(std::uint32_t value) {
  return u16(static_cast<std::uint16_t>(value >> 16U)).u16(static_cast<std::uint16_t>(value));
}

Writer& Writer::u64(std::uint64_t value) {
  return u32(static_cast<std::uint32_t>(value >> 32U)).u32(static_cast<std::uint32_t>(value));
}

Writer& Writer::append(ByteView bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

}  // namespace weft
