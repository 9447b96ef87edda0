// What stands before a handshake: which password a datagram proves to know, and whether its sender
// must first prove its address. Costs a stranger one hash per password. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/time.h"
#include "router/datapath/flood_limit.h"
#include "router/keys.h"
#include "router/sealed/session_wire.h"

namespace weft::router {

class HandshakeGate {
 public:
  // `rate`: handshakes per second that are made without asking for an address.
  HandshakeGate(const PublicKey& own, std::uint32_t rate, Entropy& entropy, TimePoint now);

  // The first is preferred; the second, if any, accepted while it is being replaced.
  void set_passwords(const Psk& psk, const std::optional<Psk>& old);
  std::size_t password_count() const { return passwords_.size(); }
  const Psk& password(std::size_t index) const { return passwords_[index].psk; }
  bool knows(const Psk& psk) const;

  // The password whose code on datagrams to us this one bears; nothing for a stranger's.
  std::optional<std::size_t> password_of(ByteView datagram) const;
  // Under load: what to send back instead of an answer. Nothing if it may pass.
  // Precondition: the datagram bears the password's code.
  std::optional<CookieReply> challenge(TimePoint now,
                                       const Endpoint& from,
                                       ByteView datagram,
                                       std::size_t password,
                                       std::uint32_t sender);

  // As long as a cookie is believed, and how often the secret behind it changes (WireGuard, 5.4.7).
  static constexpr Duration kCookieLife = std::chrono::seconds(120);

 private:
  struct Password {
    Psk psk;
    HandshakeCodes codes;
  };

  PublicKey own_;
  FloodLimit load_;
  Entropy& entropy_;
  std::vector<Password> passwords_;
  Secret secret_;  // Behind the cookies we give out.
  Secret old_secret_;
  TimePoint secret_at_;
};

}  // namespace weft::router
