// What both channel targets do with an input.
//
// The first byte chooses: 0, the rest arrives as it is, from a stranger; 1, the same in front of a
// channel with a password; anything else, a proper handshake first, and the rest is chunks that the
// peer seals (u16 length, bytes) followed by whatever is left in clear.
#pragma once

#include <algorithm>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/rng.h"
#include "router/channel.h"
#include "tests/unit/router_channel/raw_peer.h"

namespace weft::router {

// What holds after any input.
inline void check_output(const Channel& channel, const Channel::Output& output) {
  std::size_t established = 0;
  std::size_t failed = 0;
  for (const Channel::Event& event : output.events) {
    WEFT_ASSERT(failed == 0);
    if (std::holds_alternative<Channel::Established>(event)) {
      ++established;
    } else if (const auto* frame = std::get_if<Channel::Frame>(&event)) {
      WEFT_ASSERT(established == 1);
      WEFT_ASSERT(frame->bytes.size() <= kFrameMax);
    } else {
      ++failed;
    }
  }
  WEFT_ASSERT(established <= 1);
  WEFT_ASSERT(channel.failed() == (failed == 1));
}

inline void fuzz_stranger(Channel& channel, Channel::Output& output, ByteView input) {
  channel.start(output);
  // Two pieces, so that a boundary falls anywhere.
  const std::size_t cut = input.empty() ? 0 : std::min<std::size_t>(input[0], input.size());
  channel.on_bytes(input.first(cut), output);
  channel.on_bytes(input.subspan(cut), output);
}

inline void fuzz_member(Channel::Role role,
                        Channel& channel,
                        Channel::Output& output,
                        ByteView input) {
  channel.start(output);
  RawPeer peer(role, channel, output);
  Reader reader(input);
  for (;;) {
    Reader attempt = reader;
    const Result<std::uint16_t> length = attempt.u16();
    if (!length.ok() || attempt.remaining() < length.value()) {
      break;
    }
    // A sealed chunk is at most 65,519 bytes long before its tag.
    const ByteView plaintext = attempt.take(length.value()).value();
    peer.send_sealed(plaintext.first(std::min<std::size_t>(plaintext.size(), 65519)));
    reader = attempt;
  }
  if (channel.established()) {
    channel.send(reader.rest(), output);
  }
  channel.on_bytes(reader.rest(), output);
}

inline void fuzz_channel(Channel::Role role, ByteView input) {
  if (input.empty()) {
    return;
  }
  const std::uint8_t mode = input[0];
  const ByteView rest = input.subspan(1);
  SeededEntropy entropy{Rng(7)};
  // While a password is being replaced there are two.
  const std::vector<Psk> passwords(mode == 1 ? kPasswordsMax : 0);
  Channel channel({.role = role,
                   .key = KeyPair::generate(entropy),
                   .passwords = passwords,
                   .hello = to_bytes("hello"),
                   .versions = {}},
                  entropy);
  Channel::Output output;

  if (mode < 2) {
    fuzz_stranger(channel, output, rest);
    WEFT_ASSERT(!channel.established());
  } else {
    fuzz_member(role, channel, output, rest);
  }

  check_output(channel, output);
}

}  // namespace weft::router
