// Big-endian fields and Internet checksums (RFC 1071) in raw frames, for code that runs per packet.
// The caller has checked the bounds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::router {

inline std::uint16_t read16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>((at[0] << 8) | at[1]);
}

inline std::uint32_t read32(const std::uint8_t* at) {
  return (static_cast<std::uint32_t>(read16(at)) << 16) | read16(at + 2);
}

inline void write16(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

inline void write32(std::uint8_t* at, std::uint32_t value) {
  write16(at, value >> 16);
  write16(at + 2, value & 0xffffU);
}

// The sum of `size` octets, an even number, as 16-bit words; not folded.
inline std::uint32_t sum_words(const std::uint8_t* at, std::size_t size) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    sum += read16(at + i);
  }
  return sum;
}

inline std::uint16_t fold(std::uint32_t sum) {
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

inline std::uint16_t checksum_of(std::uint32_t sum) {
  return static_cast<std::uint16_t>(~fold(sum));
}

}  // namespace weft::router
