// Hosts with encrypted data paths between them over a network that loses, delays, repeats and
// reorders datagrams, in virtual time. Each host runs the real Sessions core; what the sealing
// thread does per packet is done here in plain steps, with real keys. Checked at every packet: no
// nonce is used twice under a key, and nothing is accepted that its sender did not seal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/aead.h"
#include "base/assert.h"
#include "base/entropy.h"
#include "router/sealed/replay_window.h"
#include "router/sealed/session_wire.h"
#include "router/sealed/sessions.h"
#include "sys/aead/aead.h"
#include "tests/sim/world.h"

namespace weft::sim {

class SealedHost;

class DatagramNet {
 public:
  struct Options {
    std::uint32_t loss_percent = 0;
    std::uint32_t duplicate_percent = 0;
    Duration latency_min = std::chrono::milliseconds(1);
    Duration latency_max = std::chrono::milliseconds(5);
  };

  explicit DatagramNet(World& world) : world_(world) {}
  Options& options() { return options_; }
  World& world() { return world_; }
  void attach(const Endpoint& where, SealedHost* host) { hosts_[where] = host; }
  void detach(const Endpoint& where) { hosts_.erase(where); }
  void send(const Endpoint& from, const Endpoint& to, const Bytes& datagram);
  // Everything that was ever sent, for those who replay it.
  std::vector<std::pair<Endpoint, Bytes>>& captured() { return captured_; }

  // No key may ever meet a counter twice, on any host, over any restart.
  void note_nonce(const std::array<std::uint8_t, 32>& key, std::uint64_t counter) {
    WEFT_ASSERT(nonces_.emplace(key, counter).second);
  }

 private:
  World& world_;
  Options options_;
  std::map<Endpoint, SealedHost*> hosts_;
  std::vector<std::pair<Endpoint, Bytes>> captured_;
  std::set<std::pair<std::array<std::uint8_t, 32>, std::uint64_t>> nonces_;
};

class SealedHost {
 public:
  struct Identity {
    PeerName name;
    router::KeyPair key;
    router::Psk psk;
    Endpoint where;
  };

  SealedHost(DatagramNet& net, Identity identity, std::uint64_t incarnation)
      : net_(net),
        identity_(std::move(identity)),
        entropy_(net.world().rng().fork()) {
    for (auto& aead : sys::aead_backends()) {
      if (aead->cipher() == CipherId::ChaCha20Poly1305) {
        aead_ = std::move(aead);
      }
    }
    router::Sessions::Options options;
    options.key = identity_.key;
    options.psk = identity_.psk;
    options.incarnation = Incarnation(incarnation);
    options.ciphers = {CipherId::ChaCha20Poly1305};
    sessions_ = std::make_unique<router::Sessions>(options, entropy_, net.world().now());
    net_.attach(identity_.where, this);
    tick();
  }
  ~SealedHost() { net_.detach(identity_.where); }
  SealedHost(const SealedHost&) = delete;
  SealedHost& operator=(const SealedHost&) = delete;

  router::Sessions& sessions() { return *sessions_; }
  const Identity& identity() const { return identity_; }
  std::uint64_t delivered_count(PeerName from) const {
    const auto it = delivered_.find(from);
    return it == delivered_.end() ? 0 : it->second;
  }

  void know(const SealedHost& other, bool clear = false) {
    feed([&](router::Sessions& core, TimePoint now, router::SessionActions& out) {
      core.set_peer(
          now,
          other.identity_.name,
          {.key = other.identity_.key.pub, .endpoint = other.identity_.where, .clear = clear},
          out);
    });
  }

  // The host's address changes under it.
  void move_to(const Endpoint& where) {
    net_.detach(identity_.where);
    identity_.where = where;
    net_.attach(where, this);
  }

  // False: there is no session yet; one is asked for.
  bool send_data(PeerName to) {
    Peer& peer = peers_[to];
    if (peer.current == 0) {
      feed([&](router::Sessions& core, TimePoint now, router::SessionActions& out) {
        core.on_wanted(now, to, out);
      });
      return false;
    }
    ++peer.activity.sent_data;
    send_packet(peer, as_bytes("frame of " + identity_.name.to_string()));
    return true;
  }

  void on_datagram(const Endpoint& from, const Bytes& datagram) {
    const auto header = router::read_data_header(datagram);
    if (!header) {
      feed([&](router::Sessions& core, TimePoint now, router::SessionActions& out) {
        core.on_datagram(now, from, datagram, out);
      });
      return;
    }
    const auto it = keys_.find(header->receiver);
    if (it == keys_.end()) {
      feed([&](router::Sessions& core, TimePoint now, router::SessionActions& out) {
        core.on_unknown(now, from, out);
      });
      return;
    }
    open_data(it->first, it->second, from, *header, datagram);
  }

 private:
  struct Keys {
    PeerName peer;
    router::SessionIndex remote = 0;
    std::array<std::uint8_t, 32> send_bytes{};
    std::unique_ptr<AeadKey> send;
    std::unique_ptr<AeadKey> receive;
    std::uint64_t counter = 0;
    router::ReplayWindow window;
  };
  struct Peer {
    Endpoint endpoint;
    router::SessionIndex current = 0;
    router::Sessions::Activity activity;
  };

  template <class Input>
  void feed(Input input) {
    router::SessionActions out;
    input(*sessions_, net_.world().now(), out);
    sessions_->check_invariants();
    for (const router::SessionAction& action : out) {
      std::visit([this](const auto& what) { this->perform(what); }, action);
    }
  }

  // As often as the shell looks at the thread's counters; the core's own deadlines are kept, too.
  void tick() {
    const std::weak_ptr<int> alive = alive_;
    net_.world().after(std::chrono::milliseconds(100), [this, alive] {
      if (alive.expired()) {
        return;
      }
      for (auto& [name, peer] : peers_) {
        peer.activity.counter = peer.current == 0 ? 0 : keys_.at(peer.current).counter;
        feed([&, peer_name = name, activity = peer.activity](
                 router::Sessions& core, TimePoint now, router::SessionActions& out) {
          core.on_activity(now, peer_name, activity, out);
        });
      }
      feed([](router::Sessions& core, TimePoint now, router::SessionActions& out) {
        if (core.next_deadline() <= now) {
          core.on_deadline(now, out);
        }
      });
      tick();
    });
  }

  void open_data(router::SessionIndex local,
                 Keys& keys,
                 const Endpoint& from,
                 const router::DataHeader& header,
                 const Bytes& datagram) {
    if (!keys.window.is_fresh(header.counter)) {
      return;
    }
    const ByteView sealed = ByteView(datagram).subspan(router::kDataHeaderSize);
    Bytes text(sealed.size() - kAeadTagSize);
    if (!keys.receive->open(header.counter,
                            ByteView(datagram).first(router::kDataHeaderSize),
                            sealed,
                            text.data())) {
      return;
    }
    keys.window.accept(header.counter);
    Peer& peer = peers_[keys.peer];
    ++peer.activity.received;
    if (!text.empty()) {
      WEFT_ASSERT(as_text(text) == "frame of " + keys.peer.to_string());
      ++peer.activity.received_data;
      ++delivered_[keys.peer];
    }
    feed([&](router::Sessions& core, TimePoint now, router::SessionActions& out) {
      core.on_confirmed(now, local, out);
      core.on_moved(local, from, out);
    });
  }

  void send_packet(Peer& peer, ByteView text) {
    Keys& keys = keys_.at(peer.current);
    Bytes datagram(router::kDataHeaderSize + text.size() + kAeadTagSize);
    const std::uint64_t counter = keys.counter++;
    net_.note_nonce(keys.send_bytes, counter);
    router::write_data_header({.receiver = keys.remote, .counter = counter}, datagram.data());
    keys.send->seal(counter,
                    ByteView(datagram).first(router::kDataHeaderSize),
                    text,
                    datagram.data() + router::kDataHeaderSize);
    ++peer.activity.sent;
    net_.send(identity_.where, peer.endpoint, datagram);
  }

  void perform(const router::SendDatagram& a) { net_.send(identity_.where, a.to, a.datagram); }
  void perform(const router::AddSession& a) {
    Keys& keys = keys_[a.local];
    keys.peer = a.peer;
    keys.remote = a.remote;
    keys.send_bytes = a.send_key.bytes();
    keys.send = aead_->make_key(a.send_key.bytes());
    keys.receive = aead_->make_key(a.receive_key.bytes());
  }
  void perform(const router::UseSession& a) { peers_[a.peer].current = a.local; }
  void perform(const router::RemoveSession& a) {
    if (peers_[a.peer].current == a.local) {
      peers_[a.peer].current = 0;
    }
    keys_.erase(a.local);
  }
  void perform(const router::SendKeepalive& a) {
    if (Peer& peer = peers_[a.peer]; peer.current != 0) {
      send_packet(peer, {});
    }
  }
  void perform(const router::SetEndpoint& a) { peers_[a.peer].endpoint = a.endpoint; }
  void perform(const router::AgreeClear&) {}

  DatagramNet& net_;
  Identity identity_;
  SeededEntropy entropy_;
  std::unique_ptr<Aead> aead_;
  std::unique_ptr<router::Sessions> sessions_;
  std::map<router::SessionIndex, Keys> keys_;
  std::map<PeerName, Peer> peers_;
  std::map<PeerName, std::uint64_t> delivered_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

inline void DatagramNet::send(const Endpoint& from, const Endpoint& to, const Bytes& datagram) {
  captured_.emplace_back(from, datagram);
  Rng& rng = world_.rng();
  const int copies = 1 + (rng.chance(options_.duplicate_percent) ? 1 : 0);
  for (int i = 0; i < copies; ++i) {
    if (rng.chance(options_.loss_percent)) {
      continue;
    }
    const auto spread = static_cast<std::uint32_t>((options_.latency_max - options_.latency_min)
                                                   / std::chrono::microseconds(1));
    const Duration delay = options_.latency_min + std::chrono::microseconds(rng.below(spread + 1));
    world_.after(delay, [this, from, to, datagram] {
      if (const auto it = hosts_.find(to); it != hosts_.end()) {
        it->second->on_datagram(from, datagram);
      }
    });
  }
}

}  // namespace weft::sim
