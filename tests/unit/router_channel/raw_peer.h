// A peer that shakes hands properly and then seals whatever it is told to: what a member of the
// cluster gone mad could send. It has no password.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/rng.h"
#include "router/channel.h"
#include "router/noise.h"

namespace weft::router {

class RawPeer {
 public:
  // Speaks with `victim`, which has been started and whose greeting is in `output`.
  RawPeer(Channel::Role victim_role, Channel& victim, Channel::Output& output)
      : entropy_(Rng(33)),
        victim_(victim),
        output_(output) {
    const Bytes theirs = std::exchange(output_.bytes, {});
    const Bytes ours = to_bytes(std::string_view("weft\x01\x01\x00\x00sixteen chosen b", 24));
    const bool is_initiator = victim_role == Channel::Role::Responder;
    Writer prologue;
    prologue.append(is_initiator ? ours : theirs).append(is_initiator ? theirs : ours);
    handshake_.emplace(
        noise::HandshakeState::Options{
            .role = is_initiator ? Channel::Role::Initiator : Channel::Role::Responder,
            .key = KeyPair::generate(entropy_),
            .psk0 = std::nullopt,
            .psk3 = std::nullopt,
            .prologue = prologue.take()},
        entropy_);
    victim_.on_bytes(ours, output_);
    while (!handshake_->finished()) {
      handshake_->is_writer() ? write() : read();
    }
    transport_ = handshake_->split();
    output_.bytes.clear();  // Our confirmation, if we are the initiator.
  }

  void send_sealed(ByteView plaintext) {
    Bytes sealed;
    WEFT_ASSERT(transport_.send.encrypt({}, plaintext, sealed).ok());
    send_unit(sealed);
  }

  void send_unit(ByteView body) {
    WEFT_ASSERT(body.size() <= noise::kMessageMax);
    victim_.on_bytes(Writer().u16(static_cast<std::uint16_t>(body.size())).append(body).take(),
                     output_);
  }

 private:
  void write() {
    Bytes message;
    WEFT_ASSERT(handshake_->write_message({}, message).ok());
    send_unit(message);
  }

  void read() {
    const Bytes unit = std::exchange(output_.bytes, {});
    WEFT_ASSERT(unit.size() > 2);
    WEFT_ASSERT(handshake_->read_message(ByteView(unit).subspan(2)).ok());
  }

  SeededEntropy entropy_;
  Channel& victim_;
  Channel::Output& output_;
  std::optional<noise::HandshakeState> handshake_;
  noise::HandshakeState::Transport transport_;
};

}  // namespace weft::router
