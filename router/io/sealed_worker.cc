#include "router/io/sealed_worker.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "router/bpf/maps.h"
#include "router/sealed/coalescer.h"
#include "router/sealed/octets.h"
#include "router/sealed/session_wire.h"
#include "router/sealed/super_frame.h"
#include "sys/bulk/thread_priority.h"
#include "sys/bulk/waiter.h"

namespace weft::router {
namespace {

// What the thread reads from, in the order in which it does when all have something: express a
// batch, bulk several. Bulk batches are small (sys/bulk), so express waits for half a millisecond
// at most; with fewer of them in a row TCP's acknowledgements come so singly that hosts and
// containers on one processor take turns for each (a tenth of the rate).
constexpr int kBulkTurns = 4;
enum Source : std::uint32_t { kUdpExpress, kFramesExpress, kUdpBulk, kFramesBulk, kSources };

// How often the thread's priority is chosen: every few milliseconds under bulk or many packets.
constexpr std::size_t kPriorityBytes = 4U << 20U;
constexpr std::size_t kPriorityFrames = 512;
// Frames that are larger on average are super-frames, and their senders use TCP or UDP_SEGMENT.
constexpr std::size_t kSuperFrameMin = 4096;

// Handshakes and news waiting for the strand, floods waiting for the thread.
constexpr std::size_t kEventsMax = 512;
constexpr std::size_t kUnknownMax = 8;
constexpr std::size_t kOrdersMax = 1024;

struct FrameOrder {
  Bytes frame;
  std::vector<std::uint32_t> peers;
};
struct KeepaliveOrder {
  std::uint32_t peer = 0;
};
struct DatagramOrder {
  sys::SocketAddress to;
  Bytes datagram;
};
using Order = std::variant<FrameOrder, KeepaliveOrder, DatagramOrder>;

struct Device {
  sys::PacketSocket::Lanes sockets;
  std::uint32_t ifindex = 0;
};

}  // namespace

class SealedWorker::Impl {
 public:
  Impl(sys::UdpSocket::Lanes udp, OnEvents on_events)
      : udp_lanes_(std::move(udp)),
        udp_(*udp_lanes_.bulk),
        on_events_(std::move(on_events)) {
    waiter_.watch(udp_.descriptor(), kUdpBulk);
    if (udp_lanes_.express) {
      waiter_.watch(udp_lanes_.express->descriptor(), kUdpExpress);
    }
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    waiter_.wake();
    thread_.join();
  }

  // From the strand -------------------------------------------------------------------------------

  template <class Change>
  void change(Change apply) {
    {
      const std::lock_guard lock(mutex_);
      apply(inbox_);
    }
    waiter_.wake();
  }

  struct Inbox {
    std::optional<Device> device;
    std::shared_ptr<const SealedRoutes> routes;
    std::shared_ptr<const SealedKeys> keys;
    std::vector<Order> orders;
    std::uint64_t refused = 0;

    void order(Order order) {
      if (orders.size() >= kOrdersMax) {
        ++refused;
        return;
      }
      orders.push_back(std::move(order));
    }
  };

  std::vector<SealedEvent> take_events() {
    const std::lock_guard lock(mutex_);
    unknown_count_.store(0, std::memory_order_relaxed);
    return std::exchange(events_, {});
  }

  SealedWorkerStats stats() const {
    SealedWorkerStats stats;
    for (std::size_t i = 0; i < kSealedDrops; ++i) {
      stats.drops[i] = drops_[i].get();
    }
    stats.frames_in = frames_in_.get();
    stats.datagrams_out = datagrams_out_.get();
    stats.datagrams_in = datagrams_in_.get();
    stats.frames_out = frames_out_.get();
    stats.events_refused = events_refused_.get();
    stats.frames_relayed = frames_relayed_.get();
    return stats;
  }

 private:
  // The thread ------------------------------------------------------------------------------------

  void run() {
    while (true) {
      using Patience = sys::Waiter::Patience;
      ready_ |= waiter_.wait(ready_ == 0 ? Patience::Block : Patience::Poll);
      if ((ready_ & sys::Waiter::kWoken) != 0) {
        ready_ &= ~sys::Waiter::kWoken;
        if (!read_inbox()) {
          return;
        }
      }
      take_turn(kUdpExpress);
      take_turn(kFramesExpress);
      for (int turn = 0; turn < kBulkTurns; ++turn) {
        take_turn(kUdpBulk);
      }
      for (int turn = 0; turn < kBulkTurns; ++turn) {
        take_turn(kFramesBulk);
      }
      if (sealed_bytes_ + opened_bytes_ >= kPriorityBytes || sealed_frames_ >= kPriorityFrames) {
        choose_priority();
      }
    }
  }

  void take_turn(Source source) {
    if ((ready_ & sys::Waiter::bit(source)) == 0) {
      return;
    }
    const bool is_express = source == kUdpExpress || source == kFramesExpress;
    lane_ = is_express ? Lane::Express : Lane::Bulk;
    bool is_drained = true;
    if (source == kUdpExpress || source == kUdpBulk) {
      is_drained = receive_datagrams(is_express ? *udp_lanes_.express : udp_);
    } else if (const auto& socket = is_express ? device_.sockets.express : device_.sockets.bulk) {
      is_drained = receive_frames(*socket);
    }
    ready_ &= is_drained ? ~sys::Waiter::bit(source) : ~0U;
  }

  // A sender that keeps its processor busy would only add to the queue that this thread cannot get
  // to; a receiver needs the processor to take what it was given. So bulk that is sealed comes
  // before ordinary threads, and bulk that is opened takes turns with them (docs/adr/0026). Who
  // wakes beside super-frames goes first; beside small packets that would be their sender, and each
  // of them a batch of its own (docs/adr/0042).
  void choose_priority() {
    sys::ThreadPriority wanted = sys::ThreadPriority::Usual;
    if (sealed_bytes_ > opened_bytes_) {
      wanted = sealed_bytes_ / sealed_frames_ >= kSuperFrameMin ? sys::ThreadPriority::Yielding
                                                                : sys::ThreadPriority::Preferred;
    }
    if (wanted != priority_) {
      priority_ = wanted;
      (void)sys::set_thread_priority(wanted);  // Without the right to it all works, but slower.
    }
    sealed_bytes_ = 0;
    sealed_frames_ = 0;
    opened_bytes_ = 0;
  }

  // False: time to end.
  bool read_inbox() {
    Inbox inbox;
    {
      const std::lock_guard lock(mutex_);
      if (is_ending_) {
        return false;
      }
      inbox = std::exchange(inbox_, {});
    }
    if (inbox.device) {
      device_ = std::move(*inbox.device);
      waiter_.watch(device_.sockets.bulk->descriptor(), kFramesBulk);
      if (device_.sockets.express) {
        waiter_.watch(device_.sockets.express->descriptor(), kFramesExpress);
      }
    }
    if (inbox.routes) {
      routes_ = std::move(inbox.routes);
    }
    drop(SealedDrop::SendFailed, inbox.refused);
    // Orders name peers of the tables they were given after, so tables first.
    lane_ = Lane::Bulk;  // The frames that waited had no lane yet.
    if (inbox.keys) {
      keys_ = std::move(inbox.keys);
      send_waiting();
    }
    // Floods are rate-limited and mostly questions; keepalives say that the path is alive.
    lane_ = Lane::Express;
    for (Order& order : inbox.orders) {
      std::visit([this](auto& what) { carry_out(what); }, order);
    }
    flush_datagrams();
    return true;
  }

  void carry_out(FrameOrder& order) {
    constexpr std::size_t kHeader = sizeof(VnetHeader);
    for (const std::uint32_t index : order.peers) {
      if (is_peer(index)) {
        // Splitting and sealing overwrite what they are given.
        flood_.assign(kHeader, 0);
        flood_.insert(flood_.end(), order.frame.begin(), order.frame.end());
        seal_frame(keys_->peers[index], flood_);
      }
    }
  }

  void carry_out(const KeepaliveOrder& order) {
    if (is_peer(order.peer)) {
      const SealedKeys::Peer& peer = keys_->peers[order.peer];
      if (peer.session && peer.to.size > 0) {
        seal_packet(peer, {});
      }
    }
  }

  void carry_out(const DatagramOrder& order) {
    if (std::uint8_t* at = append(order.to, order.datagram.size())) {
      std::copy(order.datagram.begin(), order.datagram.end(), at);
    }
  }

  bool is_peer(std::uint32_t index) const {
    return index < keys_->peers.size() && keys_->peers[index].state != nullptr;
  }

  // Containers to peers ---------------------------------------------------------------------------

  // True if nothing is left.
  bool receive_frames(sys::PacketSocket& socket) {
    const std::size_t count = socket.receive();
    frames_in_.add(count);
    for (std::size_t i = 0; i < count; ++i) {
      route_frame(socket.received(i));
    }
    flush_datagrams();
    return socket.is_drained();
  }

  void route_frame(std::span<std::uint8_t> frame) {
    if (frame.size() < sizeof(VnetHeader) + kFrameSizeMin) {
      return drop(SealedDrop::NoPeer);
    }
    const std::uint64_t mac = mac_number(frame.data() + sizeof(VnetHeader));
    const std::uint32_t peer = routes_->peers.find(mac);
    if (!is_peer(peer)) {
      return drop(SealedDrop::NoPeer);
    }
    seal_frame(keys_->peers[peer], frame);
  }

  void seal_frame(const SealedKeys::Peer& peer, std::span<std::uint8_t> frame) {
    if (!peer.session || peer.session->counter.get() >= kCounterMax) {
      return let_wait(peer, frame);
    }
    if (peer.to.size == 0) {
      return drop(SealedDrop::SendFailed);
    }
    std::optional<Splitter> splitter = Splitter::open(frame, peer.frame_max);
    if (!splitter) {
      return drop(SealedDrop::TooBig);
    }
    peer.state->sent_bytes.add(frame.size() - sizeof(VnetHeader));
    sealed_bytes_ += frame.size();
    ++sealed_frames_;
    for (auto packet = splitter->next(); !packet.empty(); packet = splitter->next()) {
      seal_packet(peer, packet);
    }
  }

  void seal_packet(const SealedKeys::Peer& peer, ByteView packet) {
    std::uint8_t* at = append(peer.to, kDataHeaderSize + packet.size() + kAeadTagSize);
    if (at == nullptr) {
      return drop(SealedDrop::SendFailed);
    }
    SealedSession& session = *peer.session;
    const std::uint64_t counter = session.counter.get();
    session.counter.add(1);
    write_data_header({.receiver = session.remote, .counter = counter, .lane = lane_}, at);
    session.send_key->seal(counter, {at, kDataHeaderSize}, packet, at + kDataHeaderSize);
    peer.state->sent.add(1);
    peer.state->sent_data.add(packet.empty() ? 0 : 1);
  }

  std::uint8_t* append(const sys::SocketAddress& to, std::size_t size) {
    std::uint8_t* at = udp_.append(to, size);
    if (at == nullptr) {
      flush_datagrams();
      at = udp_.append(to, size);
    }
    return at;
  }

  void flush_datagrams() {
    if (udp_.has_pending()) {
      const sys::UdpSocket::Sent sent = udp_.flush();
      datagrams_out_.add(sent.datagrams);
      drop(SealedDrop::SendFailed, sent.failed);
    }
  }

  // The only place where frames are kept: until the first session with their peer.
  void let_wait(const SealedKeys::Peer& peer, ByteView frame) {
    SealedPeerState& state = *peer.state;
    if (!state.is_wanted.exchange(true)) {
      tell(SessionWanted{state.name});
    }
    if (state.waiting.size() >= SealedPeerState::kWaitingMax
        || state.waiting_bytes + frame.size() > SealedPeerState::kWaitingBytesMax) {
      return drop(SealedDrop::NoSession);
    }
    state.waiting_bytes += frame.size();
    state.waiting.push_back(to_bytes(frame));
  }

  void send_waiting() {
    for (const SealedKeys::Peer& peer : keys_->peers) {
      if (!peer.state || !peer.session || peer.state->waiting.empty()) {
        continue;
      }
      peer.state->waiting_bytes = 0;
      for (Bytes& frame : std::exchange(peer.state->waiting, {})) {
        seal_frame(peer, frame);
      }
    }
    flush_datagrams();
  }

  // Peers to containers ---------------------------------------------------------------------------

  // True if nothing is left.
  bool receive_datagrams(sys::UdpSocket& socket) {
    const std::size_t count = socket.receive();
    for (std::size_t i = 0; i < count; ++i) {
      const sys::UdpSocket::Received received = socket.received(i);
      std::span<const std::uint8_t> rest = received.bytes;
      while (!rest.empty()) {
        const std::size_t size = std::min(rest.size(), received.datagram_size);
        open_datagram(received.from, rest.first(size));
        rest = rest.subspan(size);
      }
    }
    deliver();
    return socket.is_drained();
  }

  void open_datagram(const sys::SocketAddress& from, ByteView datagram) {
    datagrams_in_.add(1);
    const std::optional<DataHeader> header = read_data_header(datagram);
    if (!header) {
      return on_other(from, datagram);
    }
    const std::uint32_t index = keys_->by_index.find(header->receiver);
    if (index >= keys_->sessions.size()) {
      if (unknown_count_.load(std::memory_order_relaxed) < kUnknownMax) {
        unknown_count_.fetch_add(1, std::memory_order_relaxed);
        tell(UnknownSession{sys::UdpSocket::endpoint_of(from)});
      }
      return drop(SealedDrop::UnknownIndex);
    }
    SealedSession& session = *keys_->sessions[index];
    if (header->lane == Lane::Kernel) {
      return on_lane_datagram(session, *header, datagram);
    }
    if (!session.window.is_fresh(header->counter)) {
      return drop(SealedDrop::Replayed);
    }
    const ByteView sealed = datagram.subspan(kDataHeaderSize);
    const std::size_t size = sealed.size() - kAeadTagSize;
    if (size != 0 && size < kOffloadSize + kFrameSizeMin) {
      return drop(SealedDrop::Malformed);
    }
    std::uint8_t unused = 0;
    std::uint8_t* at = size == 0 ? &unused : begin_packet(size);
    const ByteView ad = datagram.first(kDataHeaderSize);
    if (!session.receive_key->open(header->counter, ad, sealed, at)) {
      if (size != 0) {
        coalescer_.reject();
      }
      return drop(SealedDrop::NotAuthentic);
    }
    session.window.accept(header->counter);
    if (size != 0) {
      coalescer_.accept();
      session.peer->received_data.add(1);
      session.peer->received_bytes.add(size - kOffloadSize);
      opened_bytes_ += size;
    }
    session.peer->received.add(1);
    note_sender(session, from);
  }

  // Not carried, as its replay window is BPF's. Each counter is told of once, so that copies of old
  // datagrams cost the strand nothing.
  void on_lane_datagram(SealedSession& session, const DataHeader& header, ByteView datagram) {
    const ByteView sealed = datagram.subspan(kDataHeaderSize);
    std::array<std::uint8_t, kOffloadSize + WEFT_EXPRESS_MAX> opened;
    if (sealed.size() > opened.size() + kAeadTagSize) {
      return drop(SealedDrop::Malformed);
    }
    const ByteView ad = datagram.first(kDataHeaderSize);
    if (!session.lane_key || !session.lane_key->open(header.counter, ad, sealed, opened.data())) {
      return drop(SealedDrop::NotAuthentic);
    }
    if (header.counter >= session.lane_told) {
      session.lane_told = header.counter + 1;
      tell(LaneMissed{session.local, header.counter});
    }
    drop(SealedDrop::PassedKernel);
  }

  std::uint8_t* begin_packet(std::size_t size) {
    std::uint8_t* at = coalescer_.begin(size);
    if (at == nullptr) {
      deliver();
      at = coalescer_.begin(size);
    }
    return at;
  }

  void note_sender(SealedSession& session, const sys::SocketAddress& from) {
    if (!session.is_confirmed) {
      session.is_confirmed = true;
      tell(SessionConfirmed{session.local});
    }
    if (session.peer->reported_from != from) {
      session.peer->reported_from = from;
      tell(PeerMoved{session.local, sys::UdpSocket::endpoint_of(from)});
    }
  }

  void on_other(const sys::SocketAddress& from, ByteView datagram) {
    const auto type = static_cast<DatagramType>(datagram[0]);
    if (type == DatagramType::Data || datagram.size() > kHandshakeDatagramMax) {
      return drop(SealedDrop::Malformed);
    }
    tell(HandshakeArrived{sys::UdpSocket::endpoint_of(from), to_bytes(datagram)});
  }

  void deliver() {
    sys::PacketSocket* socket = device_.sockets.bulk.get();
    coalescer_.finish();
    for (const Coalescer::Finished frame : coalescer_.finished()) {
      frames_out_.add(1);
      if (relay(frame)) {
        continue;
      }
      if (socket == nullptr) {
        drop(SealedDrop::DeliverFailed);
        continue;
      }
      const std::uint32_t local =
          routes_->locals.find(mac_number(frame.data() + sizeof(VnetHeader)));
      const std::uint32_t ifindex = local == FlatTable::kNone ? device_.ifindex : local;
      if (!socket->append(frame, ifindex)) {
        drop(SealedDrop::DeliverFailed, socket->flush().failed);
        (void)socket->append(frame, ifindex);  // The queue is empty.
      }
    }
    if (socket != nullptr) {
      drop(SealedDrop::DeliverFailed, socket->flush().failed);
    }
    coalescer_.clear();
    flush_datagrams();
  }

  // A frame for a container of another peer: sealed again for that one.
  bool relay(ByteView frame) {
    const std::uint32_t peer = routes_->peers.find(mac_number(frame.data() + sizeof(VnetHeader)));
    if (!is_peer(peer)) {
      return false;
    }
    flood_.assign(frame.begin(), frame.end());  // Splitting overwrites what it is given.
    if (!count_hop(flood_)) {
      drop(SealedDrop::RelayedTooOften);
      return true;
    }
    frames_relayed_.add(1);
    seal_frame(keys_->peers[peer], flood_);
    return true;
  }

  // News ------------------------------------------------------------------------------------------

  void tell(SealedEvent event) {
    bool is_first = false;
    {
      const std::lock_guard lock(mutex_);
      if (events_.size() >= kEventsMax) {
        events_refused_.add(1);
        return;
      }
      is_first = events_.empty();
      events_.push_back(std::move(event));
    }
    if (is_first) {
      on_events_();
    }
  }

  void drop(SealedDrop reason, std::uint64_t count = 1) {
    drops_.at(static_cast<std::size_t>(reason)).add(count);
  }

  sys::UdpSocket::Lanes udp_lanes_;
  sys::UdpSocket& udp_;  // Of bulk; all is sent through it.
  OnEvents on_events_;
  sys::Waiter waiter_;
  sys::Waiter::Ready ready_ = 0;  // What may have something to read.
  Lane lane_ = Lane::Bulk;        // Of what is being carried.
  Device device_;
  std::shared_ptr<const SealedRoutes> routes_ = std::make_shared<const SealedRoutes>();
  std::shared_ptr<const SealedKeys> keys_ = std::make_shared<const SealedKeys>();
  Coalescer coalescer_;
  Bytes flood_;
  std::size_t sealed_bytes_ = 0;  // Since the priority was chosen.
  std::size_t sealed_frames_ = 0;
  std::size_t opened_bytes_ = 0;
  sys::ThreadPriority priority_ = sys::ThreadPriority::Usual;

  std::array<Counter, kSealedDrops> drops_;
  Counter frames_in_;
  Counter datagrams_out_;
  Counter datagrams_in_;
  Counter frames_out_;
  Counter events_refused_;
  Counter frames_relayed_;
  std::atomic<std::size_t> unknown_count_{0};  // Told and not taken yet.

  mutable std::mutex mutex_;  // Of what follows.
  Inbox inbox_;
  std::vector<SealedEvent> events_;
  bool is_ending_ = false;

  std::thread thread_;  // Last: it uses all of the above.
};

SealedWorker::SealedWorker(sys::UdpSocket::Lanes udp, OnEvents on_events)
    : impl_(std::make_unique<Impl>(std::move(udp), std::move(on_events))) {}

SealedWorker::~SealedWorker() = default;

void SealedWorker::set_device(sys::PacketSocket::Lanes sockets, std::uint32_t ifindex) {
  impl_->change([&](Impl::Inbox& inbox) {
    inbox.device = Device{.sockets = std::move(sockets), .ifindex = ifindex};
  });
}

void SealedWorker::set_tables(std::shared_ptr<const SealedRoutes> routes,
                              std::shared_ptr<const SealedKeys> keys) {
  impl_->change([&](Impl::Inbox& inbox) {
    inbox.routes = routes ? std::move(routes) : std::move(inbox.routes);
    inbox.keys = keys ? std::move(keys) : std::move(inbox.keys);
  });
}

void SealedWorker::send_frame(Bytes frame, std::vector<std::uint32_t> peers) {
  impl_->change([&](Impl::Inbox& inbox) {
    inbox.order(FrameOrder{.frame = std::move(frame), .peers = std::move(peers)});
  });
}

void SealedWorker::send_keepalive(std::uint32_t peer) {
  impl_->change([&](Impl::Inbox& inbox) { inbox.order(KeepaliveOrder{peer}); });
}

void SealedWorker::send_datagram(const sys::SocketAddress& to, Bytes datagram) {
  impl_->change([&](Impl::Inbox& inbox) {
    inbox.order(DatagramOrder{.to = to, .datagram = std::move(datagram)});
  });
}

std::vector<SealedEvent> SealedWorker::take_events() {
  return impl_->take_events();
}

SealedWorkerStats SealedWorker::stats() const {
  return impl_->stats();
}

}  // namespace weft::router
