// The sealing thread: frames from the containers in, sealed datagrams out, and the reverse.
//
//   container ── veth ──BPF──> packet socket ── split, seal ──> UDP socket ── peer
//   container <── veth <────── packet socket <─ coalesce, open ── UDP socket <── peer
//
// Each way there are two queues, bulk and express: frames of flows without large frames do not wait
// behind those of others (docs/adr/0034).
//
// Owns the sockets and does nothing but carry: what is decided, is decided on the control
// strand and comes as tables. No lock and no allocation per packet; what it hands over and takes in
// is rare (handshakes, floods, new tables) and goes through one small mailbox each way.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "router/io/sealed_tables.h"
#include "sys/bulk/packet_socket.h"
#include "sys/bulk/udp_socket.h"

namespace weft::router {

// What the thread tells the strand.
struct HandshakeArrived {
  Endpoint from;
  Bytes datagram;
};
struct SessionWanted {
  PeerName peer;
};
struct SessionConfirmed {
  SessionIndex local = 0;
};
struct PeerMoved {
  SessionIndex local = 0;
  Endpoint from;
};
struct UnknownSession {
  Endpoint from;
};
// A datagram that BPF should open came to the thread. The peer sealed it, but anybody may have sent
// it here, again and in a form that BPF passes by.
struct LaneMissed {
  SessionIndex local = 0;
  std::uint64_t counter = 0;  // BPF's.
};
using SealedEvent = std::variant<HandshakeArrived,
                                 SessionWanted,
                                 SessionConfirmed,
                                 PeerMoved,
                                 UnknownSession,
                                 LaneMissed>;

struct SealedWorkerStats {
  std::array<std::uint64_t, kSealedDrops> drops{};
  std::uint64_t frames_in = 0;  // Super-frames from containers.
  std::uint64_t datagrams_out = 0;
  std::uint64_t datagrams_in = 0;
  std::uint64_t frames_out = 0;      // Super-frames to containers.
  std::uint64_t frames_relayed = 0;  // Super-frames of peers passed on to others.
  std::uint64_t events_refused = 0;  // The strand did not keep up.
};

class SealedWorker {
 public:
  // Called on the thread when there are events to take.
  using OnEvents = std::function<void()>;

  SealedWorker(sys::UdpSocket::Lanes udp, OnEvents on_events);
  ~SealedWorker();  // Ends the thread.

  // The device frames come from, and go to when no local container has their MAC.
  void set_device(sys::PacketSocket::Lanes sockets, std::uint32_t ifindex);
  // Both take effect at once; nothing: as before.
  void set_tables(std::shared_ptr<const SealedRoutes> routes,
                  std::shared_ptr<const SealedKeys> keys);
  // Seals a frame to peers (indexes into SealedKeys::peers of the keys set last).
  void send_frame(Bytes frame, std::vector<std::uint32_t> peers);
  void send_keepalive(std::uint32_t peer);
  void send_datagram(const sys::SocketAddress& to, Bytes datagram);

  std::vector<SealedEvent> take_events();
  SealedWorkerStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
