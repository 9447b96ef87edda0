// The keys of the encrypted data path: one session at a time with each peer, made on demand.
//
// Handshake: Noise IKpsk2 (router/noise.h) between the static keys that peers publish, the
// cluster's password mixed in. It needs nothing but the peer's key and address, so peers without a
// control connection have sessions, too. Life of a session as in WireGuard (Donenfeld, NDSS 2017,
// section 6): who initiated sends under it at once; who responded holds it as `next` until the
// first packet under it proves that the initiator has it; the one before stays for what is still on
// the way. Renewed by time and by volume. A peer's address follows its authenticated packets.
//
// Sans-IO; control strand. What runs per packet (counters, replay windows) is the data plane's
// (router/io/sealed_path.h), which reports what it saw. Inputs are total: no datagram from anybody
// does more than cost a bounded amount of work.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/aead.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "router/keys.h"

namespace weft::router {

// Names a session in what its peer sends us; unique among ours. Also the kernel's SPI of it, so
// never one of those that are reserved (RFC 4303, 2.1).
using SessionIndex = std::uint32_t;
inline constexpr SessionIndex kSessionIndexMin = 256;

// Actions -------------------------------------------------------------------------------------

struct SendDatagram {
  Endpoint to;
  Bytes datagram;

  friend bool operator==(const SendDatagram&, const SendDatagram&) = default;
};
// Open what arrives for `local`.
struct AddSession {
  PeerName peer;
  SessionIndex local = 0;
  SessionIndex remote = 0;
  CipherId cipher = CipherId::Aes256Gcm;
  Secret send_key;
  Secret receive_key;
  bool esp = false;   // The kernels may seal under keys derived from these; indexes are their SPIs.
  bool lane = false;  // BPF may seal small frames under keys derived from these.
};
// Seal what leaves for the peer under this one.
struct UseSession {
  PeerName peer;
  SessionIndex local = 0;

  friend bool operator==(const UseSession&, const UseSession&) = default;
};
// Forget its keys. If it was in use, the peer has none.
struct RemoveSession {
  PeerName peer;
  SessionIndex local = 0;

  friend bool operator==(const RemoveSession&, const RemoveSession&) = default;
};
// Send an empty packet under the session in use.
struct SendKeepalive {
  PeerName peer;

  friend bool operator==(const SendKeepalive&, const SendKeepalive&) = default;
};
// Sealed packets for the peer go there.
struct SetEndpoint {
  PeerName peer;
  Endpoint endpoint;

  friend bool operator==(const SetEndpoint&, const SetEndpoint&) = default;
};
// Both sides are willing / at least one is not willing to send in clear to the other.
struct AgreeClear {
  PeerName peer;
  bool agreed = false;

  friend bool operator==(const AgreeClear&, const AgreeClear&) = default;
};

using SessionAction = std::variant<SendDatagram,
                                   AddSession,
                                   UseSession,
                                   RemoveSession,
                                   SendKeepalive,
                                   SetEndpoint,
                                   AgreeClear>;
using SessionActions = std::vector<SessionAction>;

// What can be seen -----------------------------------------------------------------------------

struct SessionStats {
  std::uint64_t handshakes = 0;  // Completed.
  std::uint64_t initiations_sent = 0;
  std::uint64_t malformed = 0;     // No datagram of ours, or cut short.
  std::uint64_t strangers = 0;     // Without the password, or of no known peer.
  std::uint64_t replays = 0;       // An initiation not newer than the last.
  std::uint64_t limited = 0;       // Too soon after another of the same peer.
  std::uint64_t cookies_sent = 0;  // Under load: asked to prove its address.
  std::uint64_t unanswerable = 0;  // A response or cookie nobody waits for.
  std::uint64_t incompatible = 0;  // No cipher in common.
};

struct PeerSessionStatus {
  PeerName peer;
  Endpoint endpoint;
  std::optional<CipherId> cipher;  // Of the session in use.
  bool clear = false;              // Agreed to go in clear.
  bool esp = false;                // Agreed that kernels may seal;
  bool lane = false;               // that BPF may, small frames.
  bool handshaking = false;
  std::uint32_t attempts = 0;  // Of the present handshake.
};

class Sessions {
 public:
  struct Options {
    KeyPair key;
    Psk psk;
    std::optional<Psk> old_psk;  // Accepted as well, while the password is being replaced.
    Incarnation incarnation;
    std::vector<CipherId> ciphers;  // Best first; not empty.

    // WireGuard's times (section 6.1): a key serves two minutes, and none after three.
    Duration rekey_after = std::chrono::seconds(120);
    Duration reject_after = std::chrono::seconds(180);
    // The responder renews if the initiator does not.
    Duration responder_rekey_after = std::chrono::seconds(150);
    // 2^26 packets of 1,400 octets are 2^33 AES blocks; RFC 8446 (section 5.5) allows AES-GCM
    // 2^24.5 records of 16 KiB, which are 2^34.5.
    std::uint64_t rekey_after_packets = 1ULL << 26U;
    // A lost handshake datagram delays traffic by this, so it is short; half of it more by chance.
    Duration retry_after = std::chrono::milliseconds(500);
    std::uint32_t attempts_max = 40;
    // Who hears data and has nothing to say says so after `keepalive_after`; who sends data and
    // hears nothing for `silence_max` suspects that the peer lost the session.
    Duration keepalive_after = std::chrono::milliseconds(400);
    Duration silence_max = std::chrono::milliseconds(1500);
    // One handshake costs about 0.2 ms: beyond this rate senders must prove their address.
    std::uint32_t handshakes_per_second = 250;
    Duration initiation_interval_min = std::chrono::milliseconds(20);
    std::size_t peers_max = 4096;  // As many as a mesh has (router::Mesh::Options).
  };

  Sessions(Options options, Entropy& entropy, TimePoint now);
  ~Sessions();

  struct PeerSpec {
    PublicKey key{};
    Endpoint endpoint;
    bool clear = false;  // We are willing to send to it in clear.
    bool esp = false;    // Our kernel could seal for it, and open what its kernel has sealed.
    bool lane = false;   // The same of BPF and small frames.
  };
  void set_peer(TimePoint now, PeerName peer, const PeerSpec& spec, SessionActions& out);
  void remove_peer(PeerName peer, SessionActions& out);

  // Sessions that stand on neither end.
  void set_passwords(TimePoint now,
                     const Psk& psk,
                     const std::optional<Psk>& old,
                     SessionActions& out);

  // A datagram that is not data.
  void on_datagram(TimePoint now, const Endpoint& from, ByteView datagram, SessionActions& out);
  // From the data plane: there are frames for a peer and no session to send them under …
  void on_wanted(TimePoint now, PeerName peer, SessionActions& out);
  // … the first authentic packet of a session arrived …
  void on_confirmed(TimePoint now, SessionIndex local, SessionActions& out);
  // … an authentic packet of the session in use came from another address …
  void on_moved(SessionIndex local, const Endpoint& from, SessionActions& out);
  // … data came for a session we do not know: its sender may have missed our restart …
  void on_unknown(TimePoint now, const Endpoint& from, SessionActions& out);
  // … what has been counted since the start. Told a few times a second for peers with traffic.
  struct Activity {
    std::uint64_t sent_data = 0;  // Packets with a frame in them.
    std::uint64_t sent = 0;       // All.
    std::uint64_t received_data = 0;
    std::uint64_t received = 0;
    std::uint64_t counter = 0;  // Of the session in use.

    friend bool operator==(const Activity&, const Activity&) = default;
  };
  void on_activity(TimePoint now, PeerName peer, const Activity& activity, SessionActions& out);

  void on_deadline(TimePoint now, SessionActions& out);
  TimePoint next_deadline() const;

  SessionStats stats() const;
  std::vector<PeerSessionStatus> status() const;  // By name.
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
