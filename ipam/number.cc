#include "ipam/number.h"

namespace weft::ipam {
namespace {

// ::ffff:0:0/96
constexpr Uint128 kMappedFirst = Uint128{0xffff} << 32U;

}  // namespace

Uint128 number_of(const Ip& address) {
  if (address.is_v4()) {
    return kMappedFirst | address.v4().number();
  }
  Uint128 number = 0;
  for (const std::uint8_t octet : address.v6().octets()) {
    number = number << 8U | octet;
  }
  return number;
}

bool is_v4_number(Uint128 number) {
  return number >> 32U == kMappedFirst >> 32U;
}

Ip ip_of(Uint128 number) {
  if (is_v4_number(number)) {
    return Ipv4(static_cast<std::uint32_t>(number));
  }
  Ipv6::Octets octets{};
  for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
    *octet = static_cast<std::uint8_t>(number);
    number >>= 8U;
  }
  return Ipv6(octets);
}

}  // namespace weft::ipam
