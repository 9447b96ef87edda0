// Carrier frames: what agents say to each other on the data path itself. Ordinary Ethernet frames
// from one host's bridge address to another's, so that they take exactly the way containers' frames
// take (VXLAN or sealed), whatever the hosts' data paths are made of. Pure; decoding is total.
//
//   Probe   "are you there?", over a path          Answer   "I am", back over the same path
//   Relay   a frame to pass on to these peers, each once
//   ChecksumHeard   whether a checksum probe (router/checksums/checksum_probe.h) arrived right
//
// docs/WIRE.md has the tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/datapath/paths.h"

namespace weft::router {

// IEEE 802, Local Experimental Ethertype 2: never seen outside a site.
inline constexpr std::uint16_t kEtherTypeCarrier = 0x88b6;

// The peer's name as a locally administered station address: that of its bridge.
Mac bridge_mac(PeerName peer);

struct Probe {
  PeerName origin;  // Who asks.
  Path path;
  std::uint64_t id = 0;

  friend bool operator==(const Probe&, const Probe&) = default;
};
struct Answer {
  PeerName origin;  // Who answers.
  Path path;        // Of the question.
  std::uint64_t id = 0;
  bool relays_in_kernel = false;  // VXLAN for others is passed on without asking the agent.

  friend bool operator==(const Answer&, const Answer&) = default;
};
struct Relay {
  // A chain of relays is no longer than this, whatever they believe of each other.
  static constexpr std::uint8_t kHopsMax = 4;
  // As many as a mesh has (router::Mesh::Options::peers_max).
  static constexpr std::size_t kTargetsMax = 4096;

  std::uint8_t hops = kHopsMax;  // Left; 0: only for who reads it.
  std::vector<PeerName> targets;
  Bytes frame;

  friend bool operator==(const Relay&, const Relay&) = default;
};
struct ChecksumHeard {
  PeerName origin;       // Who heard it.
  std::uint64_t id = 0;  // Of the probe.
  bool is_right = false;

  friend bool operator==(const ChecksumHeard&, const ChecksumHeard&) = default;
};
using Carrier = std::variant<Probe, Answer, Relay, ChecksumHeard>;

// A peer's name on the data path: six octets.
void write_name(PeerName name, Writer& out);
Result<PeerName> read_name(Reader& reader);

// The Ethernet frame, padded to `size_min`.
Bytes encode_carrier(PeerName from, PeerName to, const Carrier& carrier, std::size_t size_min = 0);
// Of a whole Ethernet frame of that type.
Result<Carrier> decode_carrier(ByteView frame);
// How much a Relay makes a frame larger.
inline std::size_t relay_overhead(std::size_t targets) {
  return 14 + 4 + 2 + 6 * targets;
}

}  // namespace weft::router
