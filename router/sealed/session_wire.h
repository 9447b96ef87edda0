// The datagrams of the encrypted data path: their layout, and the two codes that keep floods of
// forged handshakes cheap. docs/WIRE.md has the tables.
//
// Shape and reasons are WireGuard's (Donenfeld, NDSS 2017): the first code is keyed by what only
// members know, so that strangers cost one hash; the second proves that the sender receives at the
// address it claims, and is asked for under load only. Unlike there, the first key depends on the
// cluster's password, too. Pure; decoders are total.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/aead.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/result.h"
#include "router/keys.h"

namespace weft::router {

enum class DatagramType : std::uint8_t { Initiation = 1, Response = 2, Cookie = 3, Data = 4 };

inline constexpr std::uint8_t kSessionVersion = 1;
// The prologue of every handshake: Noise's way of binding both to one protocol.
inline constexpr std::string_view kSessionPrologue = "weft data 1";

// Data: type, lane (0 bulk, 1 express, 2 kernel), two zero octets, the receiver's index, the
// counter. Authenticated, not sealed. The lane says which of the receiver's queues it waits in, or
// that it waits in none: its kernel opens it, under keys and counters of its own
// (router/bpf/kernel_lane.h).
inline constexpr std::size_t kDataHeaderSize = 16;
// What one sealed packet has more than its frame: header, offload header, tag.
inline constexpr std::size_t kSealOverhead = kDataHeaderSize + 4 + kAeadTagSize;

enum class Lane : std::uint8_t { Bulk = 0, Express = 1, Kernel = 2 };

struct DataHeader {
  std::uint32_t receiver = 0;
  std::uint64_t counter = 0;
  Lane lane = Lane::Bulk;

  friend bool operator==(const DataHeader&, const DataHeader&) = default;
};
// Precondition: room for kDataHeaderSize octets.
void write_data_header(const DataHeader& header, std::uint8_t* out);
// Nothing if it is no data datagram, or too short for an empty one.
std::optional<DataHeader> read_data_header(ByteView datagram);

using Code = std::array<std::uint8_t, 16>;

// Either handshake datagram: fixed fields, a Noise message, and the two codes over all before them.
struct Initiation {
  std::uint32_t sender = 0;
  Bytes noise;
};
struct Response {
  std::uint32_t sender = 0;
  std::uint32_t receiver = 0;
  Bytes noise;
};
// Answers a handshake whose second code was missing: come back with this.
struct CookieReply {
  static constexpr std::size_t kNonceSize = 24;

  std::uint32_t receiver = 0;
  std::array<std::uint8_t, kNonceSize> nonce{};
  std::array<std::uint8_t, 32> sealed{};
};

Bytes encode(const Initiation& initiation);  // Without codes.
Bytes encode(const Response& response);      // Without codes.
Bytes encode(const CookieReply& reply);
// The codes are checked by HandshakeCodes, not here.
Result<Initiation> decode_initiation(ByteView datagram);
Result<Response> decode_response(ByteView datagram);
Result<CookieReply> decode_cookie(ByteView datagram);

// What the initiator tells inside its handshake message …
struct Proposal {
  // (incarnation, serial) rises with every initiation of a peer: an old one is a replay.
  std::uint64_t incarnation = 0;
  std::uint64_t serial = 0;
  std::vector<CipherId> ciphers;  // Best first.
  bool clear = false;             // Would send in clear to this peer.
  bool esp = false;               // The kernels could seal for each other (router/io/esp/).
  bool lane = false;              // BPF could seal small frames (router/bpf/kernel_lane.h).

  friend bool operator==(const Proposal&, const Proposal&) = default;
};
// … and what the responder chooses.
struct Choice {
  CipherId cipher = CipherId::Aes256Gcm;
  bool clear = false;
  bool esp = false;
  bool lane = false;

  friend bool operator==(const Choice&, const Choice&) = default;
};
// No handshake datagram is longer.
inline constexpr std::size_t kHandshakeDatagramMax = 256;
inline constexpr std::size_t kCiphersMax = 4;
Bytes encode(const Proposal& proposal);
Bytes encode(const Choice& choice);
// Ciphers of a later version are left out.
Result<Proposal> decode_proposal(ByteView bytes);
Result<Choice> decode_choice(ByteView bytes);

// The cipher both can, with the lowest sum of ranks, so that a peer without AES instructions is not
// made to do AES; ours decides a tie.
std::optional<CipherId> choose_cipher(const std::vector<CipherId>& ours,
                                      const std::vector<CipherId>& theirs);

// Codes on datagrams to the owner of one public key.
class HandshakeCodes {
 public:
  static constexpr std::size_t kSize = 2 * sizeof(Code);

  HandshakeCodes(const Psk& psk, const PublicKey& receiver);

  // Appends both codes; the second is zero without a cookie. Returns the first.
  Code append(Bytes& datagram, const std::optional<Code>& cookie) const;
  bool has_first(ByteView datagram) const;
  static bool has_second(ByteView datagram, const Code& cookie);
  // Precondition: has_first(datagram).
  static Code first_of(ByteView datagram);

  CookieReply seal_cookie(const Code& cookie,
                          ByteView datagram,
                          std::uint32_t receiver,
                          Entropy& entropy) const;
  // `first`: the first code of the datagram this answers.
  Result<Code> open_cookie(const CookieReply& reply, const Code& first) const;

 private:
  Secret first_key_;
  Secret cookie_key_;
};

// The cookie of an address: known again without being stored.
Code cookie_for(const Secret& secret, const Endpoint& from);

}  // namespace weft::router
