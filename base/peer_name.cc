#include "base/peer_name.h"

namespace weft {

PeerName::PeerName(std::uint64_t number) : number_(number) {
  WEFT_ASSERT(number < std::uint64_t{1} << 48U);
}

Result<PeerName> PeerName::parse(std::string_view text) {
  const Mac mac = WEFT_TRY(Mac::parse(text));
  std::uint64_t number = 0;
  for (const std::uint8_t octet : mac.octets()) {
    number = number << 8U | octet;
  }
  return PeerName(number);
}

Mac PeerName::as_mac() const {
  Mac::Octets octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(number_ >> (40U - 8U * i));
  }
  return Mac(octets);
}

}  // namespace weft
