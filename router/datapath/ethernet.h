// Ethernet frames (IEEE 802.3) as the agent reads and writes them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::router {

inline constexpr std::size_t kEthernetHeaderSize = 14;
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

struct EthernetHeader {
  Mac destination;
  Mac source;
  std::uint16_t type = 0;

  friend bool operator==(const EthernetHeader&, const EthernetHeader&) = default;
};

struct EthernetFrame {
  EthernetHeader header;
  ByteView payload;  // Into the frame that was decoded.
};

// Fails if the frame is too short, or comes from a group address, which no station has.
Result<EthernetFrame> decode_ethernet(ByteView frame);
void write_ethernet(const EthernetHeader& header, Writer& out);

// 01:80:c2:00:00:0x: spanning tree, LACP, LLDP, 802.1X. A bridge never forwards these (IEEE 802.1D,
// 7.12.6), and neither does an overlay.
bool is_link_local_control(Mac destination);

}  // namespace weft::router
