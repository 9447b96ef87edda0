// The encrypted data path of one host: sessions with peers, and the thread that seals and opens.
//
// DatapathService says which frames go where (by MAC and underlay address) and hands over the
// device they come from; the agent says who the peers are. Nothing leaves for a peer but sealed.
// Runs on one executor; the thread is inside. Destroying it wipes all keys.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/address.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/io/esp/esp_wish.h"
#include "router/io/sealed_worker.h"
#include "router/keys.h"
#include "router/sealed/sessions.h"
#include "sys/bpf/kernel_lane.h"
#include "sys/clock.h"

namespace weft::router {

struct SealedPeerStatus {
  PeerName peer;
  Endpoint endpoint;
  bool established = false;
  bool clear = false;  // Both sides agreed to send in clear.
  bool handshaking = false;
  bool esp = false;    // The kernels may seal for each other.
  bool lane = false;   // BPF may, small frames.
  std::string cipher;  // Of the session in use, such as "aes-256-gcm (intel-ipsec-mb)".
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
};

struct SealedStatus {
  std::uint16_t port = 0;
  std::vector<std::string> ciphers;  // Best first, with the speed found at the start.
  bool esp = false;                  // Peers are offered the kernel's.
  std::string esp_why;               // Why so, or why not.
  std::string esp_failure;           // What the kernel refused last of it.
  bool lane = false;                 // Peers are offered BPF's sealing of small frames.
  std::vector<SealedPeerStatus> peers;
  SessionStats sessions;
  SealedWorkerStats worker;
};

class SealedPath {
 public:
  struct Options {
    Ip host;  // To listen on; unspecified: all.
    std::uint16_t port = 6783;
    KeyPair key;
    Psk psk;
    std::optional<Psk> old_psk;  // Accepted as well, while the password is being replaced.
    Incarnation incarnation;
    // See Sessions::Options.
    std::uint64_t rekey_after_packets = Sessions::Options{}.rekey_after_packets;
    // Of the implementations that pass their test, which may be used; empty: all. At least one.
    std::function<bool(const Aead&)> may_use = nullptr;
    // The kernel's ESP, for peers that have it, too.
    EspWish esp = EspWish::Off;
  };
  // The pair with the peer at this underlay address may go in clear from now on, or no longer.
  using OnClear = std::function<void(Ip underlay, bool agreed)>;
  // VXLAN with the peer at this underlay address is sealed by the kernels from now on, or dropped.
  using OnEsp = std::function<void(Ip underlay, bool ready)>;

  static Result<std::unique_ptr<SealedPath>> start(boost::asio::any_io_executor executor,
                                                   const sys::Clock& clock,
                                                   Entropy& entropy,
                                                   const Options& options);
  ~SealedPath();

  std::uint16_t port() const;

  // Who is there.
  void set_peer(PeerName peer, const Sessions::PeerSpec& spec);
  void remove_peer(PeerName peer);

  // From here on `psk` is preferred and `old` accepted.
  void set_passwords(const Psk& psk, const std::optional<Psk>& old);

  // Where things are; DatapathService's.
  void on_clear(OnClear on_clear);
  bool may_have_esp() const;
  // Whether kernels are to seal VXLAN is found out beside all else. Once they are, `on_offer` makes
  // what it stands on, and unless it fails, peers are offered it; without this call, never.
  struct EspUse {
    std::uint16_t vxlan_port = 0;
    std::function<Result<Ok>()> on_offer;
    OnEsp on_ready;
  };
  void begin_esp(EspUse use);
  void refuse_esp(std::string why);
  Result<Ok> set_device(std::uint32_t ifindex);
  void set_local(Mac mac, std::uint32_t ifindex);
  void set_remote(Mac mac, const Ip& underlay);
  void drop_mac(Mac mac);
  // Peers are offered the kernel's lane from here on: BPF seals and opens small frames.
  void set_lane(std::shared_ptr<sys::KernelLane> lane);
  // Frames for the peer at `underlay` are sealed for the one at `next`, which passes them on.
  void set_next(const Ip& underlay, const Ip& next);
  // How large an IP packet the path to the peer carries.
  void set_path_mtu(const Ip& underlay, std::uint32_t mtu);
  // Our own address on the way to the peer.
  void set_source(const Ip& underlay, const Ip& source);
  // To each of the peers, once.
  void send(ByteView frame, const std::vector<Ip>& underlay);

  SealedStatus status() const;

  // What sealing adds to the inner packet: outer IP, UDP, headers and tag, inner Ethernet.
  static std::uint32_t overhead(const Ip& underlay);

 private:
  class Impl;
  explicit SealedPath(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace weft::router
