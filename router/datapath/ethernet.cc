#include "router/datapath/ethernet.h"

#include <algorithm>
#include <array>

namespace weft::router {

Result<EthernetFrame> decode_ethernet(ByteView frame) {
  Reader reader(frame);
  EthernetFrame result;
  const ByteView destination = WEFT_TRY(reader.take(6));
  result.header.destination = WEFT_TRY(Mac::from_bytes(destination));
  const ByteView source = WEFT_TRY(reader.take(6));
  result.header.source = WEFT_TRY(Mac::from_bytes(source));
  result.header.type = WEFT_TRY(reader.u16());
  if (result.header.source.is_group()) {
    return Error{Errc::Invalid, "source is a group address (expected a station's)"};
  }
  result.payload = reader.rest();
  return result;
}

void write_ethernet(const EthernetHeader& header, Writer& out) {
  out.append(header.destination.octets());
  out.append(header.source.octets());
  out.u16(header.type);
}

bool is_link_local_control(Mac destination) {
  constexpr std::array<std::uint8_t, 5> kPrefix{0x01, 0x80, 0xc2, 0x00, 0x00};
  const Mac::Octets& octets = destination.octets();
  return std::equal(kPrefix.begin(), kPrefix.end(), octets.begin()) && octets.back() < 0x10;
}

}  // namespace weft::router
