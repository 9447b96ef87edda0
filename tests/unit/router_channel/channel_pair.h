// Two channels joined by wires that a test can cut, bend and inspect.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/entropy.h"
#include "base/rng.h"
#include "router/channel.h"

namespace weft::router {

inline Psk psk_of(std::uint8_t fill) {
  Psk psk;
  psk.bytes().fill(fill);
  return psk;
}

inline std::vector<Psk> passwords_of(const std::optional<Psk>& psk) {
  return psk ? std::vector<Psk>{*psk} : std::vector<Psk>();
}

// One end with everything that ever came out of it.
struct End {
  End(Channel::Role role, const std::optional<Psk>& psk, VersionRange versions = {})
      : End(role, passwords_of(psk), versions) {}
  End(Channel::Role role, std::vector<Psk> passwords, VersionRange versions = {})
      : entropy(Rng(role == Channel::Role::Initiator ? 11 : 22)),
        key(KeyPair::generate(entropy)),
        channel({.role = role,
                 .key = key,
                 .passwords = std::move(passwords),
                 .hello = to_bytes(role == Channel::Role::Initiator ? "I dialled" : "I listened"),
                 .versions = versions},
                entropy) {
    channel.start(output);
  }

  // Takes what is waiting to be sent.
  Bytes take() { return std::exchange(output.bytes, {}); }

  void send(ByteView frame) { channel.send(frame, output); }

  void receive(ByteView bytes) { channel.on_bytes(bytes, output); }

  template <class Event>
  std::vector<Event> events() const {
    std::vector<Event> found;
    for (const Channel::Event& event : output.events) {
      if (const auto* wanted = std::get_if<Event>(&event)) {
        found.push_back(*wanted);
      }
    }
    return found;
  }

  bool was_established() const { return !events<Channel::Established>().empty(); }

  // The reason of the only failure; empty while there is none.
  std::string failure() const {
    const auto failures = events<Channel::Failed>();
    return failures.size() == 1 ? failures.front().error.what : std::string();
  }

  SeededEntropy entropy;
  KeyPair key;
  Channel channel;
  Channel::Output output;
};

struct Pair {
  explicit Pair(std::optional<Psk> initiator_psk = psk_of(1),
                std::optional<Psk> responder_psk = psk_of(1))
      : initiator(Channel::Role::Initiator, std::move(initiator_psk)),
        responder(Channel::Role::Responder, std::move(responder_psk)) {}
  Pair(std::vector<Psk> initiator_passwords, std::vector<Psk> responder_passwords)
      : initiator(Channel::Role::Initiator, std::move(initiator_passwords)),
        responder(Channel::Role::Responder, std::move(responder_passwords)) {}

  // Carries bytes both ways, `step` at a time, until both sides have nothing more to say.
  void talk(std::size_t step = SIZE_MAX) {
    for (;;) {
      const Bytes to_responder = initiator.take();
      const Bytes to_initiator = responder.take();
      if (to_responder.empty() && to_initiator.empty()) {
        return;
      }
      carry(to_responder, responder, step);
      carry(to_initiator, initiator, step);
    }
  }

  static void carry(ByteView bytes, End& to, std::size_t step) {
    while (!bytes.empty()) {
      const std::size_t count = std::min(step, bytes.size());
      to.receive(bytes.first(count));
      bytes = bytes.subspan(count);
    }
  }

  End initiator;
  End responder;
};

}  // namespace weft::router
