// The messages of the mesh as plain values, and their way to and from bytes (proto/mesh.proto).
//
// Decoding checks everything a value promises: names fit 48 bits, enumerations are known, lengths
// and counts are under their limits, sequences ascend. What decodes needs no further checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/gossip.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/keys.h"
#include "router/records.h"

namespace weft::router {

// Text a peer chooses: a host name is at most 253 bytes (RFC 1035), a reason is a sentence or two.
inline constexpr std::size_t kNicknameMax = 253;
inline constexpr std::size_t kVersionTextMax = 64;
inline constexpr std::size_t kReasonMax = 512;
// Addresses a peer states of itself, and neighbours it lists: links_max of any sane configuration.
inline constexpr std::size_t kAddressesMax = 16;
inline constexpr std::size_t kNeighboursMax = 1024;
// Way beyond the diameter of any connected graph the discovery builds; ends a transient loop.
inline constexpr std::uint8_t kHopsMax = 32;

struct Hello {
  PeerName name;
  Incarnation incarnation;
  std::uint64_t session = 0;
  std::string nickname;
  std::string version;
  std::uint16_t port = 0;
  std::uint64_t dial_serial = 0;
  std::optional<Ip> observed{};  // Where the sender sees the receiver.

  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Verdict {
  enum class Code : std::uint8_t { Accept, Duplicate, Self, Clone, Fenced, Full, Malformed };
  Code code = Code::Accept;
  std::string reason;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

struct Heartbeat {
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

struct DigestMessage {
  Digest digest;
  bool partial = false;

  friend bool operator==(const DigestMessage&, const DigestMessage&) = default;
};

struct Summary {
  std::uint64_t hash = 0;

  friend bool operator==(const Summary&, const Summary&) = default;
};

struct Payload {
  Topic topic = Topic::Ring;
  Bytes payload;

  friend bool operator==(const Payload&, const Payload&) = default;
};

struct Challenge {
  Incarnation incarnation;
  std::uint64_t nonce = 0;

  friend bool operator==(const Challenge&, const Challenge&) = default;
};

struct ChallengeAnswer {
  Incarnation incarnation;
  std::uint64_t nonce = 0;

  friend bool operator==(const ChallengeAnswer&, const ChallengeAnswer&) = default;
};

struct Routed {
  PeerName from;
  PeerName to;
  std::uint8_t hops_left = kHopsMax;
  std::variant<Payload, Challenge, ChallengeAnswer> body;

  friend bool operator==(const Routed&, const Routed&) = default;
};

// Of a later version; skipped.
struct UnknownMessage {
  friend bool operator==(const UnknownMessage&, const UnknownMessage&) = default;
};

using Message = std::
    variant<Verdict, Heartbeat, DigestMessage, Summary, Delta, Payload, Routed, UnknownMessage>;

// The value of a Peer record.
struct PeerInfo {
  struct Neighbour {
    PeerName name;
    Ip address;  // As seen on the connection.

    friend bool operator==(const Neighbour&, const Neighbour&) = default;
  };
  std::string nickname;
  std::string version;
  std::uint16_t port = 0;
  std::vector<Ip> addresses;
  std::vector<Neighbour> neighbours;
  PublicKey key{};

  friend bool operator==(const PeerInfo&, const PeerInfo&) = default;
};

Bytes encode(const Hello& hello);
Result<Hello> decode_hello(ByteView bytes);

// Precondition: not UnknownMessage.
Bytes encode(const Message& message);
Result<Message> decode_message(ByteView bytes);

Bytes encode(const PeerInfo& info);
Result<PeerInfo> decode_peer_info(ByteView bytes);

}  // namespace weft::router
