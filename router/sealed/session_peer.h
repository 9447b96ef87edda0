// What Sessions knows of one peer, and what time and traffic make of it. Internal to sessions.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/address.h"
#include "base/aead.h"
#include "base/time.h"
#include "router/noise.h"
#include "router/sealed/session_wire.h"
#include "router/sealed/sessions.h"

namespace weft::router {

struct Session {
  SessionIndex local = 0;
  bool initiator = false;
  CipherId cipher = CipherId::Aes256Gcm;
  Psk psk;            // Of the password it stands on.
  bool esp = false;   // The kernels may seal under keys of it;
  bool lane = false;  // BPF may, small frames.
  TimePoint born{};

  static Session of(const Choice& choice, SessionIndex local, const Psk& psk, TimePoint born);
};

// One attempt of ours.
struct SessionHandshake {
  noise::HandshakeState noise;
  SessionIndex local = 0;
  std::size_t password = 0;
  HandshakeCodes codes;  // On datagrams to the peer.
  Code first{};
  TimePoint retry_at{};
  // As proposed. If the lane was given up since, the peer's kernel would seal what ours drops.
  Sessions::PeerSpec spec;
};

struct SessionPeer {
  Sessions::PeerSpec spec;
  Endpoint endpoint;
  std::optional<SessionHandshake> handshake;
  std::uint32_t attempts = 0;
  std::size_t password = 0;  // That worked last.
  std::optional<Code> cookie;
  TimePoint cookie_at{};
  // The newest initiation of the peer that we have believed, and when.
  std::pair<std::uint64_t, std::uint64_t> proposed{};
  std::optional<TimePoint> proposed_at;
  std::optional<Session> previous;
  std::optional<Session> current;
  std::optional<Session> next;
  bool clear = false;
  Sessions::Activity activity;
  bool active = false;  // Data since the session in use began.
  std::optional<TimePoint> unanswered_since;
  std::optional<TimePoint> keepalive_at;

  // Kernels might seal for each other, but a session says that they do not.
  bool lacks_esp() const {
    return spec.esp && !clear && ((current && !current->esp) || (next && !next->esp));
  }
  // The session there is was agreed on when we offered something else, and cannot be left at that.
  bool is_outdated(const Sessions::PeerSpec& before) const;
  // The peer's kernel may seal small frames for us.
  bool has_lane() const { return (current && current->lane) || (next && next->lane); }
  Proposal propose(const Sessions::Options& options, std::uint64_t serial) const;
  Choice choose(CipherId cipher, const Proposal& proposal) const;
  // Of what the responder chose, what we would do as well.
  Choice agree(const Choice& choice) const;
  void observe(TimePoint now, const Sessions::Activity& seen, const Sessions::Options& options);
  // The session in use should be renewed.
  bool is_worn(TimePoint now, const Sessions::Options& options) const;
  TimePoint deadline(const Sessions::Options& options) const;
  PeerSessionStatus status(PeerName name) const;
};

// Up to half as much again, so that two peers who begin at the same moment do not go on doing so.
Duration with_jitter(Duration duration, Entropy& entropy);

}  // namespace weft::router
