#include "router/sealed/session_peer.h"

#include <algorithm>
#include <array>

namespace weft::router {
namespace {

Duration rekey_after(const Session& session, const Sessions::Options& options) {
  return session.initiator ? options.rekey_after : options.responder_rekey_after;
}

}  // namespace

Session Session::of(const Choice& choice, SessionIndex local, const Psk& psk, TimePoint born) {
  return {.local = local,
          .initiator = false,
          .cipher = choice.cipher,
          .psk = psk,
          .esp = choice.esp,
          .lane = choice.lane,
          .born = born};
}

Proposal SessionPeer::propose(const Sessions::Options& options, std::uint64_t serial) const {
  return {.incarnation = options.incarnation.value(),
          .serial = serial,
          .ciphers = options.ciphers,
          .clear = spec.clear,
          .esp = spec.esp,
          .lane = spec.lane};
}

// What both sides would do. Kernels do not seal what goes in clear.
Choice SessionPeer::choose(CipherId cipher, const Proposal& proposal) const {
  const bool is_clear = spec.clear && proposal.clear;
  return {.cipher = cipher,
          .clear = is_clear,
          .esp = spec.esp && proposal.esp && !is_clear,
          .lane = spec.lane && proposal.lane};
}

Choice SessionPeer::agree(const Choice& choice) const {
  return {.cipher = choice.cipher,
          .clear = spec.clear && choice.clear,
          .esp = spec.esp && choice.esp && !choice.clear,
          .lane = spec.lane && choice.lane};
}

bool SessionPeer::is_outdated(const Sessions::PeerSpec& before) const {
  // What the peer's kernel seals does not arrive; consent must be known before there is traffic.
  return (!spec.lane && has_lane()) || (spec.clear && !clear) || (!before.esp && lacks_esp());
}

void SessionPeer::observe(TimePoint now,
                          const Sessions::Activity& seen,
                          const Sessions::Options& options) {
  const Sessions::Activity before = std::exchange(activity, seen);
  const bool heard = seen.received > before.received;
  const bool heard_data = seen.received_data > before.received_data;
  const bool said = seen.sent > before.sent;
  const bool said_data = seen.sent_data > before.sent_data;
  active = active || heard_data || said_data;
  if (heard) {
    unanswered_since.reset();
  } else if (said_data && !unanswered_since) {
    unanswered_since = now;
  }
  if (said) {
    keepalive_at.reset();
  } else if (heard_data && !keepalive_at) {
    keepalive_at = now + options.keepalive_after;
  }
}

bool SessionPeer::is_worn(TimePoint now, const Sessions::Options& options) const {
  if (!current) {
    return false;
  }
  // A pair in clear renews its consent, and nobody here sees what kernels seal; others renew what
  // they use.
  const bool used = active || clear || current->esp;
  return activity.counter >= options.rekey_after_packets
         || (used && now >= current->born + rekey_after(*current, options));
}

TimePoint SessionPeer::deadline(const Sessions::Options& options) const {
  TimePoint earliest = kNever;
  const auto add = [&earliest](TimePoint when) { earliest = std::min(earliest, when); };
  for (const auto* slot : {&previous, &current, &next}) {
    if (*slot) {
      add((*slot)->born + options.reject_after);
    }
  }
  if (handshake) {
    add(handshake->retry_at);
  } else if (current && (active || clear || current->esp)) {
    add(current->born + rekey_after(*current, options));
  }
  if (unanswered_since) {
    add(*unanswered_since + options.silence_max);
  }
  if (keepalive_at) {
    add(*keepalive_at);
  }
  return earliest;
}

PeerSessionStatus SessionPeer::status(PeerName name) const {
  return {.peer = name,
          .endpoint = endpoint,
          .cipher = current ? std::optional(current->cipher) : std::nullopt,
          .clear = clear,
          .esp = current && current->esp,
          .lane = current && current->lane,
          .handshaking = handshake.has_value(),
          .attempts = attempts};
}

Duration with_jitter(Duration duration, Entropy& entropy) {
  std::array<std::uint8_t, 4> bytes{};
  entropy.fill(bytes);
  return duration + duration / 2 * (Reader(bytes).u32().value() % 256) / 256;
}

}  // namespace weft::router
