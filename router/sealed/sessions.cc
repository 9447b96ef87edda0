#include "router/sealed/sessions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "router/noise.h"
#include "router/sealed/handshake_gate.h"
#include "router/sealed/session_peer.h"
#include "router/sealed/session_wire.h"

namespace weft::router {

class Sessions::Impl {
 public:
  Impl(Options options, Entropy& entropy, TimePoint now)
      : options_(std::move(options)),
        entropy_(entropy),
        gate_(options_.key.pub, options_.handshakes_per_second, entropy, now) {
    WEFT_ASSERT(!options_.ciphers.empty());
    WEFT_ASSERT(options_.ciphers.size() <= kCiphersMax);
    gate_.set_passwords(options_.psk, options_.old_psk);
  }

  void set_passwords(TimePoint now,
                     const Psk& psk,
                     const std::optional<Psk>& old,
                     SessionActions& out) {
    gate_.set_passwords(psk, old);
    for (auto& [name, peer] : peers_) {
      for (auto* slot : {&peer.previous, &peer.current, &peer.next}) {
        if (*slot && !gate_.knows((*slot)->psk)) {
          drop(name, *slot, out);
        }
      }
      peer.password = 0;
      peer.cookie.reset();
      if (peer.handshake) {
        initiate(now, name, peer, out);
      }
    }
  }

  void set_peer(TimePoint now, PeerName name, const PeerSpec& spec, SessionActions& out) {
    auto it = peers_.find(name);
    if (it != peers_.end() && it->second.spec.key != spec.key) {
      remove_peer(name, out);
      it = peers_.end();
    }
    if (it == peers_.end()) {
      if (peers_.size() >= options_.peers_max) {
        return;
      }
      it = peers_.emplace(name, SessionPeer{}).first;
      it->second.spec = spec;
      by_key_.insert_or_assign(spec.key, name);
      move(name, it->second, spec.endpoint, out);
    } else if (it->second.spec.endpoint != spec.endpoint) {
      // Only news moves it: what the mesh repeats is older than what packets have shown.
      move(name, it->second, spec.endpoint, out);
    }
    const PeerSpec before = std::exchange(it->second.spec, spec);
    if (before.clear && !spec.clear) {
      agree(name, it->second, false, out);
    }
    if (it->second.is_outdated(before)) {
      initiate_if_idle(now, name, it->second, out);
    }
  }

  void remove_peer(PeerName name, SessionActions& out) {
    const auto it = peers_.find(name);
    if (it == peers_.end()) {
      return;
    }
    SessionPeer& peer = it->second;
    abandon(peer);
    for (auto* slot : {&peer.previous, &peer.current, &peer.next}) {
      drop(name, *slot, out);
    }
    agree(name, peer, false, out);
    if (const auto key = by_key_.find(peer.spec.key); key != by_key_.end() && key->second == name) {
      by_key_.erase(key);
    }
    peers_.erase(it);
  }

  void on_datagram(TimePoint now, const Endpoint& from, ByteView datagram, SessionActions& out) {
    if (datagram.empty()) {
      ++stats_.malformed;
      return;
    }
    switch (static_cast<DatagramType>(datagram[0])) {
      case DatagramType::Initiation:
        return on_initiation(now, from, datagram, out);
      case DatagramType::Response:
        return on_response(now, from, datagram, out);
      case DatagramType::Cookie:
        return on_cookie(now, datagram);
      case DatagramType::Data:
        break;
    }
    ++stats_.malformed;
  }

  void on_wanted(TimePoint now, PeerName name, SessionActions& out) {
    if (const auto it = peers_.find(name); it != peers_.end() && !it->second.current) {
      initiate_if_idle(now, name, it->second, out);
    }
  }

  void on_confirmed(TimePoint /*now*/, SessionIndex local, SessionActions& out) {
    const auto found = indexes_.find(local);
    if (found == indexes_.end()) {
      return;
    }
    const PeerName name = found->second;
    SessionPeer& peer = peers_.at(name);
    if (!peer.next || peer.next->local != local) {
      return;
    }
    drop(name, peer.previous, out);
    peer.previous = std::exchange(peer.current, std::exchange(peer.next, std::nullopt));
    begin_use(name, peer, out);
  }

  void on_moved(SessionIndex local, const Endpoint& from, SessionActions& out) {
    const auto found = indexes_.find(local);
    if (found == indexes_.end()) {
      return;
    }
    SessionPeer& peer = peers_.at(found->second);
    if (peer.current && peer.current->local == local) {
      move(found->second, peer, from, out);
    }
  }

  void on_unknown(TimePoint now, const Endpoint& from, SessionActions& out) {
    for (auto& [name, peer] : peers_) {
      // The sender's claim is not proved; it costs one initiation per retry_after at most.
      if (peer.endpoint == from) {
        initiate_if_idle(now, name, peer, out);
        return;
      }
    }
  }

  void on_activity(TimePoint now, PeerName name, const Activity& activity, SessionActions& out) {
    const auto it = peers_.find(name);
    if (it == peers_.end()) {
      return;
    }
    SessionPeer& peer = it->second;
    peer.observe(now, activity, options_);
    settle(now, name, peer, out);
  }

  void on_deadline(TimePoint now, SessionActions& out) {
    for (auto& [name, peer] : peers_) {
      settle(now, name, peer, out);
    }
  }

  TimePoint next_deadline() const {
    TimePoint earliest = kNever;
    for (const auto& [name, peer] : peers_) {
      earliest = std::min(earliest, peer.deadline(options_));
    }
    return earliest;
  }

  SessionStats stats() const { return stats_; }

  std::vector<PeerSessionStatus> status() const {
    std::vector<PeerSessionStatus> all;
    all.reserve(peers_.size());
    for (const auto& [name, peer] : peers_) {
      all.push_back(peer.status(name));
    }
    return all;
  }

  void check_invariants() const {
    std::set<SessionIndex> held;
    for (const auto& [name, peer] : peers_) {
      for (const auto* slot : {&peer.previous, &peer.current, &peer.next}) {
        if (*slot) {
          WEFT_ASSERT(held.insert((*slot)->local).second);
          WEFT_ASSERT(indexes_.at((*slot)->local) == name);
        }
      }
      if (peer.handshake) {
        WEFT_ASSERT(held.insert(peer.handshake->local).second);
        WEFT_ASSERT(indexes_.at(peer.handshake->local) == name);
      }
      WEFT_ASSERT(!peer.clear || peer.spec.clear);
    }
    WEFT_ASSERT(held.size() == indexes_.size());
  }

 private:
  // Handshakes ----------------------------------------------------------------------------------

  SessionIndex new_index(PeerName name) {
    while (true) {
      std::array<std::uint8_t, 4> bytes{};
      entropy_.fill(bytes);
      const SessionIndex index = Reader(bytes).u32().value();
      if (index >= kSessionIndexMin && indexes_.emplace(index, name).second) {
        return index;
      }
    }
  }

  noise::HandshakeState::Options noise_options(noise::Role role, std::size_t password) const {
    noise::HandshakeState::Options options;
    options.role = role;
    options.key = options_.key;
    options.prologue = to_bytes(kSessionPrologue);
    options.pattern = noise::Pattern::Ik;
    options.psk2 = gate_.password(password);
    return options;
  }

  void initiate_if_idle(TimePoint now, PeerName name, SessionPeer& peer, SessionActions& out) {
    if (!peer.handshake) {
      peer.attempts = 0;
      initiate(now, name, peer, out);
    }
  }

  void initiate(TimePoint now, PeerName name, SessionPeer& peer, SessionActions& out) {
    abandon(peer);
    // Of two passwords the one that worked last, then the other.
    const std::size_t password = (peer.password + peer.attempts++) % gate_.password_count();
    noise::HandshakeState::Options options = noise_options(noise::Role::Initiator, password);
    options.remote_static = peer.spec.key;
    noise::HandshakeState noise(std::move(options), entropy_);
    const Proposal proposal = peer.propose(options_, ++serial_);
    Initiation initiation;
    if (!noise.write_message(encode(proposal), initiation.noise).ok()) {
      return;  // The peer published a key of low order: there is no talking to it.
    }
    initiation.sender = new_index(name);
    Bytes datagram = encode(initiation);
    const bool has_cookie = peer.cookie && now - peer.cookie_at < HandshakeGate::kCookieLife;
    const HandshakeCodes codes(gate_.password(password), peer.spec.key);
    const Code first = codes.append(datagram, has_cookie ? peer.cookie : std::nullopt);
    peer.handshake.emplace(
        SessionHandshake{.noise = std::move(noise),
                         .local = initiation.sender,
                         .password = password,
                         .codes = codes,
                         .first = first,
                         .retry_at = now + with_jitter(options_.retry_after, entropy_),
                         .spec = peer.spec});
    ++stats_.initiations_sent;
    out.push_back(SendDatagram{peer.endpoint, std::move(datagram)});
  }

  void abandon(SessionPeer& peer) {
    if (peer.handshake) {
      indexes_.erase(peer.handshake->local);
      peer.handshake.reset();
    }
  }

  void on_initiation(TimePoint now, const Endpoint& from, ByteView datagram, SessionActions& out) {
    const Result<Initiation> initiation = decode_initiation(datagram);
    if (!initiation.ok()) {
      ++stats_.malformed;
      return;
    }
    const std::optional<std::size_t> password = gate_.password_of(datagram);
    if (!password) {
      ++stats_.strangers;
      return;
    }
    if (const auto reply =
            gate_.challenge(now, from, datagram, *password, initiation.value().sender)) {
      ++stats_.cookies_sent;
      out.push_back(SendDatagram{from, encode(*reply)});
      return;
    }
    noise::HandshakeState noise(noise_options(noise::Role::Responder, *password), entropy_);
    const Result<Bytes> payload = noise.read_message(initiation.value().noise);
    const auto known = payload.ok() ? by_key_.find(*noise.remote_static()) : by_key_.end();
    if (known == by_key_.end()) {
      ++stats_.strangers;
      return;
    }
    const Result<Proposal> proposal = decode_proposal(payload.value());
    if (!proposal.ok()) {
      ++stats_.malformed;
      return;
    }
    const std::optional<Choice> choice = consider(now, peers_.at(known->second), proposal.value());
    if (choice) {
      const Answer answer{from, initiation.value().sender, *choice, *password};
      respond(now, known->second, answer, noise, out);
    }
  }

  // What to answer; nothing to an old or hasty proposal, or one without a cipher of ours.
  std::optional<Choice> consider(TimePoint now, SessionPeer& peer, const Proposal& proposal) {
    const std::pair serial(proposal.incarnation, proposal.serial);
    if (serial <= peer.proposed) {
      ++stats_.replays;
      return std::nullopt;
    }
    if (peer.proposed_at && now - *peer.proposed_at < options_.initiation_interval_min) {
      ++stats_.limited;
      return std::nullopt;
    }
    const auto cipher = choose_cipher(options_.ciphers, proposal.ciphers);
    if (!cipher) {
      ++stats_.incompatible;
      return std::nullopt;
    }
    peer.proposed = serial;
    peer.proposed_at = now;
    return peer.choose(*cipher, proposal);
  }

  struct Answer {
    Endpoint to;
    SessionIndex remote = 0;
    Choice choice;
    std::size_t password = 0;
  };
  void respond(TimePoint now,
               PeerName name,
               const Answer& answer,
               noise::HandshakeState& noise,
               SessionActions& out) {
    SessionPeer& peer = peers_.at(name);
    Response response{.sender = 0, .receiver = answer.remote, .noise = {}};
    if (!noise.write_message(encode(answer.choice), response.noise).ok()) {
      ++stats_.malformed;
      return;
    }
    response.sender = new_index(name);
    Bytes datagram = encode(response);
    const Psk& psk = gate_.password(answer.password);
    HandshakeCodes(psk, peer.spec.key).append(datagram, std::nullopt);
    move(name, peer, answer.to, out);
    drop(name, peer.next, out);
    peer.next = Session::of(answer.choice, response.sender, psk, now);
    ++stats_.handshakes;
    add(name, *peer.next, answer.remote, noise, out);
    agree(name, peer, answer.choice.clear, out);
    out.push_back(SendDatagram{answer.to, std::move(datagram)});
  }

  void on_response(TimePoint now, const Endpoint& from, ByteView datagram, SessionActions& out) {
    const Result<Response> response = decode_response(datagram);
    if (!response.ok()) {
      ++stats_.malformed;
      return;
    }
    const auto found = indexes_.find(response.value().receiver);
    SessionPeer* peer = found == indexes_.end() ? nullptr : &peers_.at(found->second);
    if (peer == nullptr || !peer->handshake || peer->handshake->local != found->first) {
      ++stats_.unanswerable;
      return;
    }
    if (gate_.password_of(datagram) != peer->handshake->password) {
      ++stats_.strangers;
      return;
    }
    // A copy: what does not authenticate must leave the handshake as it was.
    noise::HandshakeState noise = peer->handshake->noise;
    const Result<Bytes> payload = noise.read_message(response.value().noise);
    if (!payload.ok()) {
      ++stats_.strangers;
      return;
    }
    const Result<Choice> choice = decode_choice(payload.value());
    const bool proposed =
        choice.ok()
        && std::find(options_.ciphers.begin(), options_.ciphers.end(), choice.value().cipher)
               != options_.ciphers.end();
    if (!proposed) {
      ++stats_.incompatible;
      return;
    }
    const PeerName name = found->second;
    Session session = Session::of(peer->agree(choice.value()),
                                  peer->handshake->local,
                                  gate_.password(peer->handshake->password),
                                  now);
    session.initiator = true;
    const bool is_lane_refused = peer->handshake->spec.lane && choice.value().lane && !session.lane;
    const bool is_esp_late = !peer->handshake->spec.esp && peer->spec.esp;
    peer->password = peer->handshake->password;
    peer->handshake.reset();  // Its index lives on as the session's.
    peer->attempts = 0;
    ++stats_.handshakes;
    move(name, *peer, from, out);
    add(name, session, response.value().sender, noise, out);
    drop(name, peer->previous, out);
    peer->previous = std::exchange(peer->current, session);
    if (peer->next) {  // Both initiated at once: theirs may carry what is on the way.
      drop(name, peer->previous, out);
      peer->previous = std::exchange(peer->next, std::nullopt);
    }
    agree(name, *peer, peer->spec.clear && choice.value().clear, out);
    begin_use(name, *peer, out);
    // The responder waits for a packet before it trusts the session.
    out.push_back(SendKeepalive{name});
    if (is_lane_refused || (is_esp_late && peer->lacks_esp())) {
      initiate_if_idle(now, name, *peer, out);
    }
  }

  void on_cookie(TimePoint now, ByteView datagram) {
    const Result<CookieReply> reply = decode_cookie(datagram);
    if (!reply.ok()) {
      ++stats_.malformed;
      return;
    }
    const auto found = indexes_.find(reply.value().receiver);
    SessionPeer* peer = found == indexes_.end() ? nullptr : &peers_.at(found->second);
    if (peer == nullptr || !peer->handshake || peer->handshake->local != found->first) {
      ++stats_.unanswerable;
      return;
    }
    const Result<Code> cookie =
        peer->handshake->codes.open_cookie(reply.value(), peer->handshake->first);
    if (!cookie.ok()) {
      ++stats_.strangers;
      return;
    }
    peer->cookie = cookie.value();  // For the next attempt.
    peer->cookie_at = now;
  }

  // Sessions ------------------------------------------------------------------------------------

  static void add(PeerName name,
                  const Session& session,
                  SessionIndex remote,
                  const noise::HandshakeState& noise,
                  SessionActions& out) {
    const noise::HandshakeState::Transport keys = noise.split();
    out.push_back(AddSession{.peer = name,
                             .local = session.local,
                             .remote = remote,
                             .cipher = session.cipher,
                             .send_key = keys.send.key(),
                             .receive_key = keys.receive.key(),
                             .esp = session.esp,
                             .lane = session.lane});
  }

  void begin_use(PeerName name, SessionPeer& peer, SessionActions& out) {
    peer.active = false;
    peer.activity.counter = 0;
    peer.unanswered_since.reset();
    out.push_back(UseSession{name, peer.current->local});
  }

  void drop(PeerName name, std::optional<Session>& slot, SessionActions& out) {
    if (slot) {
      indexes_.erase(slot->local);
      out.push_back(RemoveSession{name, slot->local});
      slot.reset();
    }
  }

  static void move(PeerName name,
                   SessionPeer& peer,
                   const Endpoint& endpoint,
                   SessionActions& out) {
    if (peer.endpoint != endpoint) {
      peer.endpoint = endpoint;
      out.push_back(SetEndpoint{name, endpoint});
    }
  }

  static void agree(PeerName name, SessionPeer& peer, bool agreed, SessionActions& out) {
    if (peer.clear != agreed) {
      peer.clear = agreed;
      out.push_back(AgreeClear{name, agreed});
    }
  }

  void settle(TimePoint now, PeerName name, SessionPeer& peer, SessionActions& out) {
    for (auto* slot : {&peer.previous, &peer.current, &peer.next}) {
      if (*slot && now >= (*slot)->born + options_.reject_after) {
        drop(name, *slot, out);
      }
    }
    if (peer.handshake && now >= peer.handshake->retry_at) {
      if (peer.attempts >= options_.attempts_max) {
        abandon(peer);  // Traffic, if there is any, begins anew.
      } else {
        initiate(now, name, peer, out);
      }
    }
    const bool silent =
        peer.unanswered_since && now >= *peer.unanswered_since + options_.silence_max;
    if (silent) {
      peer.unanswered_since.reset();
    }
    if (silent || peer.is_worn(now, options_)) {
      initiate_if_idle(now, name, peer, out);
    }
    if (peer.keepalive_at && now >= *peer.keepalive_at) {
      peer.keepalive_at.reset();
      if (peer.current) {
        out.push_back(SendKeepalive{name});
      }
    }
  }

  Options options_;
  Entropy& entropy_;
  HandshakeGate gate_;
  std::uint64_t serial_ = 0;
  std::map<PeerName, SessionPeer> peers_;
  std::map<PublicKey, PeerName> by_key_;
  std::map<SessionIndex, PeerName> indexes_;  // Of sessions and of handshakes.
  SessionStats stats_;
};

Sessions::Sessions(Options options, Entropy& entropy, TimePoint now)
    : impl_(std::make_unique<Impl>(std::move(options), entropy, now)) {}

Sessions::~Sessions() = default;

void Sessions::set_peer(TimePoint now, PeerName peer, const PeerSpec& spec, SessionActions& out) {
  impl_->set_peer(now, peer, spec, out);
}

void Sessions::remove_peer(PeerName peer, SessionActions& out) {
  impl_->remove_peer(peer, out);
}

void Sessions::set_passwords(TimePoint now,
                             const Psk& psk,
                             const std::optional<Psk>& old,
                             SessionActions& out) {
  impl_->set_passwords(now, psk, old, out);
}

void Sessions::on_datagram(TimePoint now,
                           const Endpoint& from,
                           ByteView datagram,
                           SessionActions& out) {
  impl_->on_datagram(now, from, datagram, out);
}

void Sessions::on_wanted(TimePoint now, PeerName peer, SessionActions& out) {
  impl_->on_wanted(now, peer, out);
}

void Sessions::on_confirmed(TimePoint now, SessionIndex local, SessionActions& out) {
  impl_->on_confirmed(now, local, out);
}

void Sessions::on_moved(SessionIndex local, const Endpoint& from, SessionActions& out) {
  impl_->on_moved(local, from, out);
}

void Sessions::on_unknown(TimePoint now, const Endpoint& from, SessionActions& out) {
  impl_->on_unknown(now, from, out);
}

void Sessions::on_activity(TimePoint now,
                           PeerName peer,
                           const Activity& activity,
                           SessionActions& out) {
  impl_->on_activity(now, peer, activity, out);
}

void Sessions::on_deadline(TimePoint now, SessionActions& out) {
  impl_->on_deadline(now, out);
}

TimePoint Sessions::next_deadline() const {
  return impl_->next_deadline();
}

SessionStats Sessions::stats() const {
  return impl_->stats();
}

std::vector<PeerSessionStatus> Sessions::status() const {
  return impl_->status();
}

void Sessions::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace weft::router
