// Addresses of both families as numbers on one line, so that ranges are arithmetic.
//
// An IPv6 address is its 128 bits, an IPv4 address the bits of its IPv4-mapped form (RFC 4291
// section 2.5.5.2), so no number means two addresses. Pure.
#pragma once

#include <cstdint>
#include <limits>

#include "base/address.h"

namespace weft::ipam {

// A compiler extension that GCC and Clang share; everything integers do works, streaming does not.
__extension__ typedef unsigned __int128 Uint128;  // NOLINT: pedantic mode allows no other form.

inline constexpr Uint128 kUint128Max = ~Uint128{0};

// The number, or the largest there is room for: for hints and for people.
constexpr std::uint64_t saturated(Uint128 number) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return number > kMax ? kMax : static_cast<std::uint64_t>(number);
}

Uint128 number_of(const Ip& address);
// The address that has this number.
Ip ip_of(Uint128 number);
bool is_v4_number(Uint128 number);

}  // namespace weft::ipam
