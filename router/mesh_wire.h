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
#include "router/frame_kind.h"
#include "router/keys.h"
#include "router/overlay/link_meter.h"
#include "router/overlay/reconcile.h"
#include "router/overlay/records.h"

namespace weft::router {

// Text a peer chooses: a host name is at most 253 bytes (RFC 1035), a reason is a sentence or two.
inline constexpr std::size_t kNicknameMax = 253;
inline constexpr std::size_t kVersionTextMax = 64;
inline constexpr std::size_t kReasonMax = 512;
// Addresses a peer states of itself.
inline constexpr std::size_t kAddressesMax = 16;
// Others a full peer names: as many as a newcomer may need to try.
inline constexpr std::size_t kReferralsMax = 8;
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
  bool alone = false;            // The sender has no other connection.
  bool fixed = false;            // The sender connects where its operator says and nowhere else.
  bool fresh = false;            // The sender's store remembers nobody.
  bool inflates = false;         // The sender reads deflated frames (router/overlay/deflate.h).

  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Verdict {
  enum class Code : std::uint8_t { Accept, Duplicate, Self, Clone, Fenced, Full, Malformed };
  Code code = Code::Accept;
  std::string reason;
  std::vector<Endpoint> referrals{};  // With Full: who may have room.
  Incarnation outrun{};               // With Fenced: a later run than this is let in. 0: none is.

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

struct Heartbeat {
  Beat beat;
  std::uint32_t hash = 0;      // Of the sender's store.
  std::uint64_t received = 0;  // Bytes of Delta frames received on this connection.
  bool suspected = false;      // The receiver is accused of silence.
  bool anew = false;           // The sender's next deflated frame begins a new stream.

  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// Asks for what is newer than these; `graft`: and for all news from now on.
struct Want {
  Digest entries;
  bool graft = false;

  friend bool operator==(const Want&, const Want&) = default;
};

struct Announce {
  Digest entries;

  friend bool operator==(const Announce&, const Announce&) = default;
};

struct Prune {
  friend bool operator==(const Prune&, const Prune&) = default;
};

struct Goodbye {
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
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

using Message = std::variant<Verdict,
                             Heartbeat,
                             Want,
                             Ranges,
                             Delta,
                             Payload,
                             Routed,
                             Announce,
                             Prune,
                             Goodbye,
                             UnknownMessage>;

// The value of a Peer record.
struct PeerInfo {
  std::string nickname;
  std::string version;
  std::uint16_t port = 0;
  std::vector<Ip> addresses;
  PublicKey key{};

  friend bool operator==(const PeerInfo&, const PeerInfo&) = default;
};

Bytes encode(const Hello& hello);
Result<Hello> decode_hello(ByteView bytes);

// Precondition of both: not UnknownMessage.
FrameKind kind_of(const Message& message);
Bytes encode(const Message& message);
Result<Message> decode_message(ByteView bytes);

Bytes encode(const PeerInfo& info);
Result<PeerInfo> decode_peer_info(ByteView bytes);

}  // namespace weft::router
