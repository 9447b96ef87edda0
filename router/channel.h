// One secure, framed, versioned conversation over an ordered byte stream, such as a TCP connection.
//
// Sans-IO: the owner feeds what arrived and sends what comes out. Both sides greet in clear, run
// the Noise handshake (router/noise.h) with the greetings as its prologue, and then exchange
// frames:
//
//   greeting   "weft", lowest and highest protocol version, password (0|1), 0,        24 bytes
//              16 random bytes
//   handshake  u16 length, Noise message; message 2 and 3 carry the hello of their sender.
//              Length 0 is a refusal: one byte of reason follows, and nothing more.
//   transport  u16 length, sealed chunk. A frame is its u32 length and its bytes, cut into as few
//              chunks as possible. The responder opens with an empty frame, which tells the
//              initiator that its last message was right. Length 2^32 - 1 instead of a frame: the
//              sender's next chunk is sealed under its next key.
//
// The layout of the greeting never changes, so that any two versions can tell each other why not.
// With a password, the first message can be made only by somebody who knows it, and only for the
// greetings of this very conversation: strangers cost the responder some hashing and no
// multiplication on the curve. While a password is being replaced, both are good: the first message
// is sent once under each password its sender knows, and the responder goes on with the first one
// it can open.
//
// Exactly one Established is followed by any number of Frames; Failed ends everything and can come
// at any time. Inputs are total. Memory before Established: one handshake message; after: one
// frame. A deadline for the handshake is the owner's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/gossip.h"
#include "base/result.h"
#include "router/keys.h"
#include "router/noise.h"

namespace weft::router {

// The largest frame: a gossip payload and a quarter for what the mesh wraps around it.
inline constexpr std::size_t kFrameMax = kGossipPayloadMax + kGossipPayloadMax / 4;
// The largest hello: name, nickname, version and a few dozen addresses fit easily.
inline constexpr std::size_t kHelloMax = 4096;
// Each direction changes its key after this many chunks (at most 4 GiB), so that a stolen key opens
// no more than that of the past. By time it is the owner who calls for it: rekey().
inline constexpr std::uint64_t kRekeyChunks = 1U << 16U;
// The password in use, and the one it replaces.
inline constexpr std::size_t kPasswordsMax = 2;

// Protocol versions, both inclusive.
struct VersionRange {
  std::uint8_t lowest = 1;
  std::uint8_t highest = 1;

  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

class Channel {
 public:
  using Role = noise::Role;  // The initiator is who dialled.

  struct Options {
    Role role = Role::Initiator;
    KeyPair key{};
    std::vector<Psk> passwords{};  // Preferred first, at most kPasswordsMax; may be none.
    Bytes hello{};  // Told to the peer, encrypted. Precondition: at most kHelloMax bytes.
    VersionRange versions{};
  };

  // Events, in the order they happened.
  struct Established {
    PublicKey remote_key{};      // The peer has proved that it owns the secret half.
    Bytes hello;                 // The peer's.
    bool authenticated = false;  // Both have proved that they know the password.
    std::uint8_t version = 1;    // The highest both speak.

    friend bool operator==(const Established&, const Established&) = default;
  };
  struct Frame {
    Bytes bytes;

    friend bool operator==(const Frame&, const Frame&) = default;
  };
  // Denied: password or trust; Invalid: not our protocol, or corrupted. Close the stream after
  // sending what was put out: it tells the peer why.
  enum class Cause : std::uint8_t { Broken, Password, Version, Busy };
  struct Failed {
    Error error;
    Cause cause = Cause::Broken;

    friend bool operator==(const Failed&, const Failed&) = default;
  };
  using Event = std::variant<Established, Frame, Failed>;

  struct Output {
    Bytes bytes;  // To send; calls append.
    std::vector<Event> events;
  };

  // `entropy` must outlive the channel.
  Channel(Options options, Entropy& entropy);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Once, as soon as the stream is open, in both roles.
  void start(Output& out);
  void on_bytes(ByteView bytes, Output& out);
  // Preconditions: established(), at most kFrameMax bytes.
  void send(ByteView frame, Output& out);
  // Seals what follows under another key. Precondition: established().
  void rekey(Output& out);

  // What a listener that is too busy for a conversation says instead of starting one.
  static Bytes busy(const VersionRange& versions, bool has_password);

  bool established() const { return stage_ == Stage::Open; }
  bool failed() const { return stage_ == Stage::Dead; }
  // What the peer has yet to do, for a reason why a handshake took too long: "its greeting".
  std::string_view waiting_for() const;
  // The peer has proved that it knows a password: it is no stranger. Always false without one.
  bool is_proved() const { return password_.has_value(); }
  // The one this conversation stands on, once proved.
  const std::optional<Psk>& password() const { return password_; }
  // Multiplications on the curve that this conversation has cost us.
  std::size_t dh_count() const;

 private:
  enum class Stage : std::uint8_t { New, Greeting, Handshake, Confirm, Open, Dead };

  Result<Ok> take(ByteView& bytes, Output& out);
  Result<Ok> on_unit(Output& out);
  Result<Ok> on_greeting(ByteView theirs, Output& out);
  Result<Ok> check_length(std::size_t length) const;
  Result<Ok> on_message(ByteView message, Output& out);
  Result<Ok> on_first_message(ByteView messages, Output& out);
  Result<Bytes> read_second_message(ByteView message);
  Result<Ok> send_first_message(Output& out);
  noise::HandshakeState make_handshake(const std::optional<Psk>& password);
  noise::HandshakeState& handshake() { return handshakes_.front(); }
  const noise::HandshakeState& handshake() const { return handshakes_.front(); }
  void choose(noise::HandshakeState handshake);
  void finish_handshake();
  void forget_handshake();
  Result<Ok> write_message(Output& out);
  Result<Ok> on_chunk(ByteView chunk, Output& out);
  Result<Ok> on_plaintext(ByteView plaintext, Output& out);
  Result<Ok> on_whole_frame(Output& out);
  Result<Ok> seal_frame(ByteView frame, Bytes& out);
  Result<Ok> seal_chunk(ByteView plaintext, Bytes& out);
  void fail(Error error, Output& out);
  std::size_t wanted() const;
  bool is_refusal() const;

  Options options_;
  Entropy& entropy_;
  Stage stage_ = Stage::New;
  Bytes inbound_;   // The beginning of one greeting, handshake message or chunk.
  Bytes greeting_;  // Ours.
  Bytes prologue_;
  // One, or as long as the initiator does not know the password of the responder, one for each; all
  // of one shape. Empty before the handshake and after it.
  std::vector<noise::HandshakeState> handshakes_;
  std::optional<Psk> password_;
  std::size_t dh_count_ = 0;  // Of handshake states that are gone.
  Cause cause_ = Cause::Broken;
  noise::HandshakeState::Transport transport_;
  Established established_;            // Collected during the handshake.
  std::optional<std::size_t> length_;  // Of the frame being received.
  Bytes frame_;
};

}  // namespace weft::router
