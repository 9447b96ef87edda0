#include "app/picture/read_key.h"

#include <array>
#include <cstring>
#include <functional>

namespace weft::app {

ReadKey& ReadKey::add(std::uint64_t number) {
  constexpr std::uint64_t kMix = 0x9e3779b97f4a7c15U;  // 2^64 by the golden ratio: spreads numbers.
  constexpr unsigned kHalf = 32;
  value_ = (value_ ^ number) * kMix;
  value_ ^= value_ >> kHalf;
  return *this;
}

ReadKey& ReadKey::add(const std::string& text) {
  return add(std::hash<std::string>()(text));
}

ReadKey& ReadKey::add(const Ip& address) {
  if (address.is_v4()) {
    return add(address.v4().number());
  }
  std::array<std::uint64_t, 2> halves{};
  std::memcpy(halves.data(), address.v6().octets().data(), sizeof halves);
  return add(halves[0]).add(halves[1]);
}

}  // namespace weft::app
