#include "router/sealed/handshake_gate.h"

#include <algorithm>

namespace weft::router {

HandshakeGate::HandshakeGate(const PublicKey& own,
                             std::uint32_t rate,
                             Entropy& entropy,
                             TimePoint now)
    : own_(own),
      load_(rate, now),
      entropy_(entropy),
      secret_at_(now) {
  entropy_.fill(secret_.bytes());
  entropy_.fill(old_secret_.bytes());
}

void HandshakeGate::set_passwords(const Psk& psk, const std::optional<Psk>& old) {
  passwords_.clear();
  passwords_.push_back({.psk = psk, .codes = HandshakeCodes(psk, own_)});
  if (old) {
    passwords_.push_back({.psk = *old, .codes = HandshakeCodes(*old, own_)});
  }
}

bool HandshakeGate::knows(const Psk& psk) const {
  return std::any_of(passwords_.begin(), passwords_.end(), [&psk](const Password& password) {
    return password.psk.bytes() == psk.bytes();
  });
}

std::optional<std::size_t> HandshakeGate::password_of(ByteView datagram) const {
  for (std::size_t i = 0; i < passwords_.size(); ++i) {
    if (passwords_[i].codes.has_first(datagram)) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<CookieReply> HandshakeGate::challenge(TimePoint now,
                                                    const Endpoint& from,
                                                    ByteView datagram,
                                                    std::size_t password,
                                                    std::uint32_t sender) {
  if (load_.take(now)) {
    return std::nullopt;
  }
  if (now - secret_at_ >= kCookieLife) {
    old_secret_ = secret_;
    entropy_.fill(secret_.bytes());
    secret_at_ = now;
  }
  const Code cookie = cookie_for(secret_, from);
  if (HandshakeCodes::has_second(datagram, cookie)
      || HandshakeCodes::has_second(datagram, cookie_for(old_secret_, from))) {
    return std::nullopt;
  }
  return passwords_[password].codes.seal_cookie(cookie, datagram, sender, entropy_);
}

}  // namespace weft::router
