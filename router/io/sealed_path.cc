#include "router/io/sealed_path.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include "base/log.h"
#include "base/overloaded.h"
#include "router/bpf/maps.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/ip.h"
#include "router/io/esp/esp_choice.h"
#include "router/io/esp/esp_path.h"
#include "router/io/lane/lane_path.h"
#include "router/sealed/kernel_keys.h"
#include "router/sealed/session_wire.h"
#include "sys/aead/aead.h"
#include "sys/core_driver.h"

namespace weft::router {
namespace {

// How often the thread's counters are looked at: the grain of keepalives and of noticing silence.
constexpr auto kLook = std::chrono::milliseconds(200);

// Of those looks, how many until the kernel is asked for its counters: what rekeying by volume can
// be late by (three million packets at the very most, of 2^28).
constexpr std::uint32_t kEspLooks = 5;

// BPF's, which this thread opens to know who sealed what came to it instead.
constexpr CipherId kLaneCipher = CipherId::ChaCha20Poly1305;

// Until the route has been asked for its MTU.
constexpr std::uint32_t kPathMtu = 1500;

std::uint32_t outer_size(const Ip& underlay) {
  return static_cast<std::uint32_t>((underlay.is_v4() ? kIpv4Size : kIpv6Size) + kUdpSize
                                    + kSealOverhead);
}

}  // namespace

std::uint32_t SealedPath::overhead(const Ip& underlay) {
  return outer_size(underlay) + std::uint32_t{kEthernetHeaderSize};
}

class SealedPath::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       Entropy& entropy,
       const Options& options)
      : executor_(std::move(executor)),
        clock_(clock),
        options_(options),
        aeads_(sys::choose_aeads(clock, options.may_use)),
        look_(executor_) {
    Sessions::Options session_options;
    session_options.key = options.key;
    session_options.psk = options.psk;
    session_options.old_psk = options.old_psk;
    session_options.incarnation = options.incarnation;
    session_options.rekey_after_packets = options.rekey_after_packets;
    for (const sys::MeasuredAead& measured : aeads_) {
      session_options.ciphers.push_back(measured.aead->cipher());
    }
    sessions_ = std::make_unique<Sessions>(std::move(session_options), entropy, clock.now());
  }

  Result<Ok> start() {
    auto sockets = WEFT_TRY(sys::UdpSocket::open_lanes(options_.host, options_.port));
    driver_ = std::make_unique<Driver>(executor_, clock_, *sessions_, [this](SessionAction action) {
      perform(std::move(action));
    });
    addresses_ = sockets.bulk.get();
    worker_ = std::make_unique<SealedWorker>(std::move(sockets),
                                             [weak = weak_from_this(), executor = executor_] {
                                               boost::asio::post(executor, [weak] {
                                                 if (const auto self = weak.lock()) {
                                                   self->on_events();
                                                 }
                                               });
                                             });
    return Ok{};
  }

  std::uint16_t port() const { return options_.port; }

  void set_peer(PeerName name, const Sessions::PeerSpec& spec) {
    Peer& peer = peer_of(name);
    if (peer.underlay != spec.endpoint.address) {
      forget_underlay(name, peer);
      peer.underlay = spec.endpoint.address;
      routes_changed();
    }
    by_underlay_.insert_or_assign(spec.endpoint.address, name);
    Sessions::PeerSpec offered = spec;
    offered.esp = esp_ != nullptr && spec.endpoint.address.is_v4();
    offered.lane = lane_ && spec.endpoint.address.is_v4() && !peer.is_lane_missed;
    peer.spec = spec;
    feed([&](Sessions& core, TimePoint now, SessionActions& out) {
      core.set_peer(now, name, offered, out);
    });
  }

  void remove_peer(PeerName name) {
    feed([&](Sessions& core, TimePoint, SessionActions& out) { core.remove_peer(name, out); });
    if (const auto it = peers_.find(name); it != peers_.end()) {
      forget_underlay(name, it->second);
      slots_.erase(it->second.slot);
      peers_.erase(it);
      routes_changed();
    }
  }

  void set_passwords(const Psk& psk, const std::optional<Psk>& old) {
    feed([&](Sessions& core, TimePoint now, SessionActions& out) {
      core.set_passwords(now, psk, old, out);
    });
  }

  void on_clear(OnClear on_clear) { on_clear_ = std::move(on_clear); }

  bool may_have_esp() const { return options_.esp != EspWish::Off; }

  void begin_esp(EspUse use) {
    if (!may_have_esp()) {
      return;
    }
    esp_why_ = "being tried";
    esp_use_ = std::move(use);
    const std::shared_ptr<AeadKey> key = aeads_.front().aead->make_key({});
    chooser_ = std::make_unique<EspChooser>(
        executor_, options_.esp, EspTrials::of_this_machine(key, clock_), [this](EspChoice choice) {
          offer_esp(choice);
        });
  }

  void refuse_esp(std::string why) {
    if (!may_have_esp()) {
      return;
    }
    esp_why_ = std::move(why);
    if (options_.esp == EspWish::On) {
      log::warning("agents encrypt, not kernels", {"why", esp_why_});
    }
  }

  void set_lane(std::shared_ptr<sys::KernelLane> lane) {
    if (!lane_ && aead_for(kLaneCipher) != nullptr) {
      lane_ = std::make_unique<LanePath>(std::move(lane), LanePath::Options{.port = options_.port});
    }
  }

  void set_source(const Ip& underlay, const Ip& source) {
    if (esp_) {
      esp_->set_source(underlay, source);
    }
  }

  Result<Ok> set_device(std::uint32_t ifindex) {
    worker_->set_device(WEFT_TRY(sys::PacketSocket::open_lanes(ifindex, WEFT_LANE_EXPRESS)),
                        ifindex);
    return Ok{};
  }

  void set_local(Mac mac, std::uint32_t ifindex) {
    remotes_.erase(mac);
    locals_.insert_or_assign(mac, ifindex);
    routes_changed();
  }

  void set_remote(Mac mac, const Ip& underlay) {
    locals_.erase(mac);
    remotes_.insert_or_assign(mac, underlay);
    routes_changed();
  }

  void drop_mac(Mac mac) {
    locals_.erase(mac);
    remotes_.erase(mac);
    routes_changed();
  }

  void set_next(const Ip& underlay, const Ip& next) {
    if (underlay == next) {
      if (nexts_.erase(underlay) > 0) {
        routes_changed();
      }
    } else if (std::exchange(nexts_[underlay], next) != next) {
      routes_changed();
    }
  }

  void set_path_mtu(const Ip& underlay, std::uint32_t mtu) {
    if (std::exchange(path_mtus_[underlay], mtu) != mtu) {
      keys_changed();
    }
  }

  void send(ByteView frame, const std::vector<Ip>& underlay) {
    std::vector<std::uint32_t> slots;
    for (const Ip& address : underlay) {
      if (const auto it = by_underlay_.find(address); it != by_underlay_.end()) {
        slots.push_back(peers_.at(it->second).slot);
      }
    }
    publish();
    if (!slots.empty()) {
      worker_->send_frame(to_bytes(frame), std::move(slots));
    }
  }

  SealedStatus status() const {
    SealedStatus status;
    status.port = options_.port;
    for (const sys::MeasuredAead& measured : aeads_) {
      status.ciphers.push_back(fmt::format(
          "{} at {:.1f} GB/s", describe(measured.aead->cipher()), measured.bytes_per_second / 1e9));
    }
    for (const PeerSessionStatus& session : sessions_->status()) {
      SealedPeerStatus peer{.peer = session.peer,
                            .endpoint = session.endpoint,
                            .established = session.cipher.has_value(),
                            .clear = session.clear,
                            .handshaking = session.handshaking,
                            .esp = session.esp,
                            .lane = session.lane,
                            .cipher = session.cipher ? describe(*session.cipher) : ""};
      if (const auto it = peers_.find(session.peer); it != peers_.end()) {
        const SealedPeerState& state = *it->second.state;
        peer.packets_out = state.sent_data.get();
        peer.packets_in = state.received_data.get();
        peer.bytes_out = state.sent_bytes.get();
        peer.bytes_in = state.received_bytes.get();
        if (lane_) {
          const LanePath::Traffic lane = lane_->traffic(it->second.underlay);
          peer.packets_out += lane.sealed.packets;
          peer.packets_in += lane.opened.packets;
          peer.bytes_out += lane.sealed.octets;
          peer.bytes_in += lane.opened.octets;
        }
      }
      status.peers.push_back(std::move(peer));
    }
    status.esp = esp_ != nullptr;
    status.esp_why = esp_why_;
    status.esp_failure = esp_ ? esp_->failure() : "";
    status.lane = lane_ != nullptr;
    status.sessions = sessions_->stats();
    status.worker = worker_->stats();
    return status;
  }

 private:
  struct Peer {
    std::shared_ptr<SealedPeerState> state;
    std::uint32_t slot = 0;  // In SealedKeys::peers.
    Ip underlay;             // As DatapathService names it.
    Endpoint endpoint;       // Where its packets go.
    std::shared_ptr<SealedSession> session;
    std::uint64_t esp_packets = 0;  // Under it, by the kernel, when last asked.
    Sessions::PeerSpec spec;
    bool is_lane_missed = false;  // What it sealed by BPF comes where ours does not look.
  };
  using Driver = sys::CoreDriver<Sessions, SessionAction, std::function<void(SessionAction)>>;

  template <class Input>
  void feed(Input input) {
    driver_->feed(input);
  }

  Peer& peer_of(PeerName name) {
    const auto it = peers_.find(name);
    if (it != peers_.end()) {
      return it->second;
    }
    std::uint32_t slot = 0;
    while (slots_.contains(slot)) {
      ++slot;
    }
    slots_.insert(slot);
    // Routes and keys name the place; both are told before it can mean another peer.
    routes_changed();
    return peers_
        .emplace(name,
                 Peer{.state = std::make_shared<SealedPeerState>(name),
                      .slot = slot,
                      .underlay = {},
                      .endpoint = {},
                      .session = nullptr,
                      .esp_packets = 0,
                      .spec = {}})
        .first->second;
  }

  void forget_underlay(PeerName name, const Peer& peer) {
    if (esp_) {
      esp_->forget(peer.underlay);
    }
    if (lane_) {
      lane_->forget(peer.underlay);
    }
    const auto it = by_underlay_.find(peer.underlay);
    if (it != by_underlay_.end() && it->second == name) {
      by_underlay_.erase(it);
    }
  }

  void offer_esp(const EspChoice& choice) {
    if (!choice.xfrm) {
      refuse_esp(choice.why);
      return;
    }
    esp_ = std::make_unique<EspPath>(choice.xfrm,
                                     EspPath::Options{.port = esp_use_.vxlan_port},
                                     [this](const Ip& underlay, bool ready) {
                                       boost::asio::post(
                                           executor_, [weak = weak_from_this(), underlay, ready] {
                                             if (const auto self = weak.lock()) {
                                               self->esp_use_.on_ready(underlay, ready);
                                             }
                                           });
                                     });
    if (const Result<Ok> offered = esp_use_.on_offer(); !offered.ok()) {
      esp_.reset();
      refuse_esp(offered.error().what);
      return;
    }
    esp_why_ = choice.why;
    log::info("kernels may encrypt, too", {"why", esp_why_});
    for (const auto& [name, peer] : peers_) {
      set_peer(name, Sessions::PeerSpec(peer.spec));
    }
  }

  const Aead* aead_for(CipherId cipher) const {
    const auto measured =
        std::find_if(aeads_.begin(), aeads_.end(), [cipher](const sys::MeasuredAead& candidate) {
          return candidate.aead->cipher() == cipher;
        });
    return measured == aeads_.end() ? nullptr : measured->aead.get();
  }

  std::string describe(CipherId cipher) const {
    const Aead* aead = aead_for(cipher);
    return aead == nullptr ? std::string(to_string(cipher))
                           : fmt::format("{} ({})", to_string(cipher), aead->name());
  }

  // Tables
  // ------------------------------------------------------------------------------------------

  void routes_changed() {
    are_routes_new_ = true;
    keys_changed();
  }

  // Told once per turn of the executor, however much changed in it.
  void keys_changed() {
    if (std::exchange(are_tables_new_, true)) {
      return;
    }
    boost::asio::post(executor_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->publish();
      }
    });
  }

  void publish() {
    if (std::exchange(are_tables_new_, false)) {
      const bool with_routes = std::exchange(are_routes_new_, false);
      worker_->set_tables(with_routes ? make_routes() : nullptr, make_keys());
    }
  }

  std::shared_ptr<const SealedRoutes> make_routes() const {
    auto routes = std::make_shared<SealedRoutes>();
    routes->locals = FlatTable(locals_.size());
    for (const auto& [mac, ifindex] : locals_) {
      routes->locals.insert(mac_number(mac.octets().data()), ifindex);
    }
    routes->peers = FlatTable(remotes_.size());
    for (const auto& [mac, underlay] : remotes_) {
      const auto next = nexts_.find(underlay);
      const auto it = by_underlay_.find(next == nexts_.end() ? underlay : next->second);
      if (it != by_underlay_.end()) {
        routes->peers.insert(mac_number(mac.octets().data()), peers_.at(it->second).slot);
      }
    }
    return routes;
  }

  std::shared_ptr<const SealedKeys> make_keys() const {
    auto keys = std::make_shared<SealedKeys>();
    keys->peers.resize(slots_.empty() ? 0 : *slots_.rbegin() + 1);
    for (const auto& [name, peer] : peers_) {
      keys->peers[peer.slot] = {.state = peer.state,
                                .session = peer.session,
                                .to = addresses_->address_of(peer.endpoint),
                                .frame_max = frame_max(peer)};
    }
    keys->by_index = FlatTable(keyring_.size());
    for (const auto& [local, session] : keyring_) {
      keys->by_index.insert(local, static_cast<std::uint32_t>(keys->sessions.size()));
      keys->sessions.push_back(session);
    }
    return keys;
  }

  std::size_t frame_max(const Peer& peer) const {
    const auto it = path_mtus_.find(peer.underlay);
    const std::uint32_t mtu = it == path_mtus_.end() ? kPathMtu : it->second;
    const std::uint32_t outer = outer_size(peer.underlay);
    return mtu > outer ? mtu - outer : 0;
  }

  // The core's decisions
  // ----------------------------------------------------------------------------

  void perform(SessionAction action) {
    std::visit(overloaded{
                   [this](SendDatagram& a) {
                     const sys::SocketAddress to = addresses_->address_of(a.to);
                     if (to.size > 0) {
                       worker_->send_datagram(to, std::move(a.datagram));
                     }
                   },
                   [this](AddSession& a) { add_session(a); },
                   [this](const UseSession& a) { use_session(a); },
                   [this](const RemoveSession& a) { remove_session(a); },
                   [this](const SendKeepalive& a) {
                     publish();
                     worker_->send_keepalive(peer_of(a.peer).slot);
                   },
                   [this](const SetEndpoint& a) {
                     Peer& peer = peer_of(a.peer);
                     peer.endpoint = a.endpoint;
                     if (lane_) {
                       lane_->stop(peer.underlay);
                     }
                     keys_changed();
                   },
                   [this](const AgreeClear& a) { agree_clear(a); },
               },
               action);
  }

  void add_session(const AddSession& action) {
    const Aead* aead = aead_for(action.cipher);
    WEFT_ASSERT(aead != nullptr);  // Only ciphers of ours were proposed.
    auto session = std::make_shared<SealedSession>();
    session->local = action.local;
    session->remote = action.remote;
    session->cipher = action.cipher;
    session->send_key = aead->make_key(action.send_key.bytes());
    session->receive_key = aead->make_key(action.receive_key.bytes());
    if (action.lane) {
      sys::LaneKey key = lane_key(action.receive_key);
      session->lane_key = aead_for(kLaneCipher)->make_key(key);
      sodium_memzero(key.data(), key.size());
    }
    session->peer = peer_of(action.peer).state;
    keyring_.insert_or_assign(action.local, std::move(session));
    // Not across address translation: ESP has no ports to be told apart by.
    if (const Peer& peer = peer_of(action.peer); esp_ && peer.endpoint.address == peer.underlay) {
      esp_->add(peer.underlay, action);
    }
    if (lane_) {
      lane_->add(peer_of(action.peer).underlay, action);
    }
    // What is sealed under it may arrive before this turn of the executor is over.
    keys_changed();
    publish();
  }

  void use_session(const UseSession& action) {
    Peer& peer = peer_of(action.peer);
    if (!peer.session) {
      log::info("encrypted path up",
                {"peer", action.peer},
                {"at", peer.endpoint.to_string()},
                {"cipher", describe(keyring_.at(action.local)->cipher)});
    }
    peer.session = keyring_.at(action.local);
    peer.esp_packets = 0;
    if (esp_) {
      esp_->use(peer.underlay, action.local);
    }
    if (lane_) {
      lane_->use(peer.underlay, action.local, peer.endpoint);
    }
    keys_changed();
    look_later();
  }

  void remove_session(const RemoveSession& action) {
    if (const auto it = peers_.find(action.peer);
        it != peers_.end() && it->second.session && it->second.session->local == action.local) {
      it->second.session.reset();
    }
    if (esp_) {
      esp_->remove(action.local);
    }
    if (lane_) {
      lane_->remove(action.local);
    }
    keyring_.erase(action.local);
    keys_changed();
  }

  void agree_clear(const AgreeClear& action) {
    const auto it = peers_.find(action.peer);
    if (it == peers_.end() || !on_clear_) {
      return;
    }
    if (esp_ && action.agreed) {
      esp_->forget(it->second.underlay);
    }
    boost::asio::post(executor_, [weak = weak_from_this(), underlay = it->second.underlay, action] {
      const auto self = weak.lock();
      if (self && self->on_clear_) {
        self->on_clear_(underlay, action.agreed);
      }
    });
  }

  // The thread's news
  // -------------------------------------------------------------------------------

  void on_events() {
    for (SealedEvent& event : worker_->take_events()) {
      feed([&](Sessions& core, TimePoint now, SessionActions& out) {
        std::visit(
            overloaded{
                [&](const HandshakeArrived& e) { core.on_datagram(now, e.from, e.datagram, out); },
                [&](const SessionWanted& e) {
                  wanted_.insert(e.peer);
                  core.on_wanted(now, e.peer, out);
                },
                [&](const SessionConfirmed& e) { core.on_confirmed(now, e.local, out); },
                [&](const PeerMoved& e) { core.on_moved(e.local, e.from, out); },
                [&](const UnknownSession& e) { core.on_unknown(now, e.from, out); },
                [&](const LaneMissed& e) { missed_.insert_or_assign(e.local, e.counter); },
            },
            event);
      });
    }
    look_later();
  }

  // At least one look later, when BPF has opened it unless it never will: somebody may have sent a
  // copy past BPF, even ahead of the original.
  void look_for_missed() {
    for (const auto& [local, counter] : std::exchange(suspected_, std::exchange(missed_, {}))) {
      if (lane_ && !lane_->has_opened(local, counter)) {
        give_up_lane(local);
      }
    }
  }

  // Its packets arrive by a device without our programs, or in pieces. The next session is without.
  void give_up_lane(SessionIndex local) {
    const auto session = keyring_.find(local);
    if (session == keyring_.end()) {
      return;  // It was late, and its keys were gone from the kernel.
    }
    const PeerName name = session->second->peer->name;
    const auto it = peers_.find(name);
    if (it != peers_.end() && !std::exchange(it->second.is_lane_missed, true)) {
      log::warning("small frames sealed by the peer's kernel pass ours by, so agents seal them",
                   {"peer", name});
      set_peer(name, Sessions::PeerSpec(it->second.spec));
    }
  }

  void look_later() {
    if (std::exchange(is_looking_, true)) {
      return;
    }
    look_.expires_after(kLook);
    look_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self) {
        self->is_looking_ = false;
        self->look();
      }
    });
  }

  void look() {
    for (const PeerName name : std::exchange(wanted_, {})) {
      if (const auto it = peers_.find(name); it != peers_.end()) {
        it->second.state->is_wanted = false;  // It may ask again.
      }
    }
    bool is_any = false;
    if (lane_) {
      lane_->keep_alive();
    }
    look_for_missed();
    const bool is_esp_asked = esp_ && ++looks_ % kEspLooks == 0;
    for (auto& [name, peer] : peers_) {
      if (!peer.session) {
        continue;
      }
      is_any = true;
      if (is_esp_asked) {
        peer.esp_packets = esp_->look(peer.underlay);
      }
      const SealedPeerState& state = *peer.state;
      const LanePath::Traffic lane = lane_ ? lane_->traffic(peer.underlay) : LanePath::Traffic{};
      const Sessions::Activity activity{
          .sent_data = state.sent_data.get() + lane.sealed.packets,
          .sent = state.sent.get() + lane.sealed.packets,
          .received_data = state.received_data.get() + lane.opened.packets,
          .received = state.received.get() + lane.opened.packets,
          .counter = std::max({peer.session->counter.get(), peer.esp_packets, lane.counter})};
      feed([&, peer_name = name](Sessions& core, TimePoint now, SessionActions& out) {
        core.on_activity(now, peer_name, activity, out);
      });
    }
    if (is_any) {
      look_later();
    }
  }

  boost::asio::any_io_executor executor_;
  const sys::Clock& clock_;
  Options options_;
  std::vector<sys::MeasuredAead> aeads_;
  boost::asio::steady_timer look_;
  bool is_looking_ = false;
  OnClear on_clear_;
  EspUse esp_use_;
  std::string esp_why_ = "switched off";
  std::unique_ptr<EspPath> esp_;    // Nothing where the kernel's is not offered.
  std::unique_ptr<LanePath> lane_;  // Nothing where BPF does not seal.
  std::uint32_t looks_ = 0;

  std::map<PeerName, Peer> peers_;
  std::set<std::uint32_t> slots_;
  std::map<Ip, PeerName> by_underlay_;
  std::map<Ip, Ip> nexts_;  // Relays of peers that are not reached straight.
  std::map<Ip, std::uint32_t> path_mtus_;
  std::map<Mac, Ip> remotes_;
  std::map<Mac, std::uint32_t> locals_;
  std::map<SessionIndex, std::shared_ptr<SealedSession>> keyring_;
  std::set<PeerName> wanted_;
  // Datagrams for BPF that came to the thread, one of a session: since the last look, and before.
  std::map<SessionIndex, std::uint64_t> missed_;
  std::map<SessionIndex, std::uint64_t> suspected_;
  bool are_tables_new_ = false;
  bool are_routes_new_ = false;

  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Driver> driver_;
  const sys::UdpSocket* addresses_ = nullptr;  // The worker's; for its address format.
  std::unique_ptr<SealedWorker> worker_;
  std::unique_ptr<EspChooser> chooser_;
};

Result<std::unique_ptr<SealedPath>> SealedPath::start(boost::asio::any_io_executor executor,
                                                      const sys::Clock& clock,
                                                      Entropy& entropy,
                                                      const Options& options) {
  auto impl = std::make_shared<Impl>(std::move(executor), clock, entropy, options);
  WEFT_TRY(impl->start());
  return std::unique_ptr<SealedPath>(new SealedPath(std::move(impl)));
}

SealedPath::SealedPath(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
SealedPath::~SealedPath() = default;

void SealedPath::set_peer(PeerName peer, const Sessions::PeerSpec& spec) {
  impl_->set_peer(peer, spec);
}

void SealedPath::remove_peer(PeerName peer) {
  impl_->remove_peer(peer);
}

void SealedPath::set_passwords(const Psk& psk, const std::optional<Psk>& old) {
  impl_->set_passwords(psk, old);
}

void SealedPath::on_clear(OnClear on_clear) {
  impl_->on_clear(std::move(on_clear));
}

bool SealedPath::may_have_esp() const {
  return impl_->may_have_esp();
}

void SealedPath::begin_esp(EspUse use) {
  impl_->begin_esp(std::move(use));
}

void SealedPath::refuse_esp(std::string why) {
  impl_->refuse_esp(std::move(why));
}

void SealedPath::set_lane(std::shared_ptr<sys::KernelLane> lane) {
  impl_->set_lane(std::move(lane));
}

std::uint16_t SealedPath::port() const {
  return impl_->port();
}

void SealedPath::set_source(const Ip& underlay, const Ip& source) {
  impl_->set_source(underlay, source);
}

Result<Ok> SealedPath::set_device(std::uint32_t ifindex) {
  return impl_->set_device(ifindex);
}

void SealedPath::set_local(Mac mac, std::uint32_t ifindex) {
  impl_->set_local(mac, ifindex);
}

void SealedPath::set_remote(Mac mac, const Ip& underlay) {
  impl_->set_remote(mac, underlay);
}

void SealedPath::drop_mac(Mac mac) {
  impl_->drop_mac(mac);
}

void SealedPath::set_next(const Ip& underlay, const Ip& next) {
  impl_->set_next(underlay, next);
}

void SealedPath::set_path_mtu(const Ip& underlay, std::uint32_t mtu) {
  impl_->set_path_mtu(underlay, mtu);
}

void SealedPath::send(ByteView frame, const std::vector<Ip>& underlay) {
  impl_->send(frame, underlay);
}

SealedStatus SealedPath::status() const {
  return impl_->status();
}

}  // namespace weft::router
