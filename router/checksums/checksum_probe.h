// A known datagram whose checksum the sender has left to its device, as containers' packets arrive
// here: whoever hears it tells whether the device's sum was right. Travels inside VXLAN from one
// host's bridge to another's. Pure; decoding is total.
//
// Ethernet, IPv4 from 0.0.0.0 (which no stack answers or routes) to the peer's own address, UDP to
// the port for what is to be discarded (RFC 863). docs/WIRE.md has the table.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/result.h"

namespace weft::router {

inline constexpr std::uint16_t kChecksumProbePort = 9;

struct ChecksumProbe {
  PeerName origin;
  std::uint64_t id = 0;

  friend bool operator==(const ChecksumProbe&, const ChecksumProbe&) = default;
};

// The frame with a VnetHeader (router/sealed/super_frame.h) in front that asks for the checksum.
Bytes encode_checksum_probe(const ChecksumProbe& probe, PeerName to, const Ipv4& underlay);

struct HeardChecksum {
  ChecksumProbe probe;
  // Or not computed yet and known to be so: then there was no device that should have.
  bool is_right = false;
};
// Of a frame with its VnetHeader in front. Fails for whatever is no probe.
Result<HeardChecksum> decode_checksum_probe(ByteView heard);

}  // namespace weft::router
