// What the sealing thread works from: immutable tables made on the control strand, and the state
// per peer and session that the thread alone changes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/aead.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "router/sealed/replay_window.h"
#include "router/sealed/sessions.h"
#include "sys/bulk/udp_socket.h"

namespace weft::router {

// Why a frame or datagram was lost.
enum class SealedDrop : std::uint8_t {
  NoPeer,         // To a MAC no peer has, or over the path's MTU, or not what its metadata say.
  TooBig,         //
  NoSession,      // Waited too long for a session, or too many did.
  SendFailed,     // The kernel took no more datagrams.
  Malformed,      // A datagram too short to be one.
  UnknownIndex,   // Of a session we do not have (any more).
  Replayed,       // Seen before, or too old to know.
  NotAuthentic,   // Altered, forged, or sealed under another key.
  DeliverFailed,  // The container's interface took no more frames.
  RelayedTooOften,
  PassedKernel,  // Sealed by the peer's kernel, and not seen by ours.
  Count,
};
inline constexpr std::size_t kSealedDrops = static_cast<std::size_t>(SealedDrop::Count);

// Counts for others to read. One thread writes.
class Counter {
 public:
  void add(std::uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// One peer. The thread writes, the strand reads the counters.
struct SealedPeerState {
  explicit SealedPeerState(PeerName peer) : name(peer) {}

  // Frames that wait for the first session: a TCP handshake, a ping, an ARP answer.
  static constexpr std::size_t kWaitingMax = 64;
  static constexpr std::size_t kWaitingBytesMax = 256U << 10U;

  const PeerName name;
  Counter sent_data;
  Counter sent;
  Counter sent_bytes;  // Of frames.
  Counter received_data;
  Counter received;
  Counter received_bytes;
  std::atomic<bool> is_wanted{false};  // A session has been asked for.

  // The thread's alone.
  std::deque<Bytes> waiting;
  std::size_t waiting_bytes = 0;
  sys::SocketAddress reported_from;
};

// One session's keys. Made on the strand, then the thread's alone, but for the counter.
struct SealedSession {
  SessionIndex local = 0;
  SessionIndex remote = 0;
  CipherId cipher = CipherId::Aes256Gcm;
  std::unique_ptr<AeadKey> send_key;
  std::unique_ptr<AeadKey> receive_key;
  std::unique_ptr<AeadKey> lane_key;  // What BPF opens under; nothing without the kernel's lane.
  std::shared_ptr<SealedPeerState> peer;
  Counter counter;  // The next packet's. Never used twice: only the thread draws from it.
  ReplayWindow window;
  bool is_confirmed = false;
  std::uint64_t lane_told = 0;  // Of BPF's counters, those below need not be told of any more.
};

// No session seals more than this: four times the volume at which it is renewed, far below what the
// cipher bears (see Sessions::Options::rekey_after_packets).
inline constexpr std::uint64_t kCounterMax = 1ULL << 28U;

// From a number to a small one, for look-ups per packet: open addressing, at most half full.
class FlatTable {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  explicit FlatTable(std::size_t count = 0) : slots_(capacity_for(count)) {}

  // Precondition: fewer than `count` keys so far; key not 2^64 - 1.
  void insert(std::uint64_t key, std::uint32_t value) {
    std::size_t at = start(key);
    while (slots_[at].key != kEmpty && slots_[at].key != key) {
      at = (at + 1) % slots_.size();
    }
    slots_[at] = {key, value};
  }

  std::uint32_t find(std::uint64_t key) const {
    std::size_t at = start(key);
    while (slots_[at].key != kEmpty) {
      if (slots_[at].key == key) {
        return slots_[at].value;
      }
      at = (at + 1) % slots_.size();
    }
    return kNone;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~0ULL;
  struct Slot {
    std::uint64_t key = kEmpty;
    std::uint32_t value = kNone;
  };

  static std::size_t capacity_for(std::size_t count) {
    std::size_t capacity = 8;
    while (capacity < 2 * (count + 1)) {
      capacity *= 2;
    }
    return capacity;
  }
  // Fibonacci hashing: the high bits of the product depend on all of the key.
  std::size_t start(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15ULL) >> 32U) & (slots_.size() - 1);
  }

  std::vector<Slot> slots_;
};

inline std::uint64_t mac_number(const std::uint8_t* octets) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    number = (number << 8) | octets[i];
  }
  return number;
}

// Where frames go: by MAC to a peer, or to the host end of a local container's interface.
struct SealedRoutes {
  FlatTable peers;   // MAC -> index into SealedKeys::peers.
  FlatTable locals;  // MAC -> ifindex.
};

// Whom we talk to, and under which keys.
struct SealedKeys {
  struct Peer {
    std::shared_ptr<SealedPeerState> state;  // Nothing: the place is free.
    std::shared_ptr<SealedSession> session;  // To seal under; may be nothing.
    sys::SocketAddress to;                   // Size 0: not reachable from this host.
    std::size_t frame_max = 0;               // What its path carries.
  };
  std::vector<Peer> peers;
  std::vector<std::shared_ptr<SealedSession>> sessions;
  FlatTable by_index;  // SessionIndex -> index into `sessions`.
};

}  // namespace weft::router
