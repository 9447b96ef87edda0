// The tc-BPF fast path (router/bpf/fast_path.bpf.c): loads it, attaches it, fills its maps.
//
// Programs and maps outlive the process: a restarted agent adopts the maps of the programs it finds
// attached, so that established forwarding never stops. detach_all() is what `weft reset` uses.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "sys/bpf/kernel_lane.h"

namespace weft::sys {

struct FastPathStats {
  std::uint64_t local = 0;          // Frames redirected to a local container.
  std::uint64_t encapsulated = 0;   // Frames sent to the underlay by BPF.
  std::uint64_t decapsulated = 0;   // Frames delivered from the underlay by BPF.
  std::uint64_t slow = 0;           // Frames left to the bridge.
  std::uint64_t refused = 0;        // VXLAN of our VNI from an unknown or a sealed peer, dropped.
  std::uint64_t sealed = 0;         // Frames handed to the agent to be sealed.
  std::uint64_t esp = 0;            // Frames handed to the VXLAN device, for the kernel to seal.
  std::uint64_t relayed = 0;        // Frames of other peers passed on to others.
  std::uint64_t arp_answered = 0;   // Questions for addresses elsewhere.
  std::uint64_t too_big = 0;        // Frames larger than their path carries, handed to the agent.
  std::uint64_t lane_sealed = 0;    // Small frames that BPF sealed,
  std::uint64_t lane_opened = 0;    // and opened;
  std::uint64_t lane_forged = 0;    // that were altered or forged, dropped;
  std::uint64_t lane_replayed = 0;  // that had been there before, dropped.
};

// With one peer's containers, as far as BPF saw it; what a relay delivers counts as the relay's.
struct TrafficStats {
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;

  friend bool operator==(const TrafficStats&, const TrafficStats&) = default;
};

class FastPath {
 public:
  struct Options {
    std::uint32_t vni = 0;
    std::uint16_t port = 0;         // UDP port of VXLAN.
    bool guard = false;             // set_guard() may be called.
    std::uint16_t sealed_port = 0;  // Of the encrypted data path: BPF seals small frames. 0: not.
  };
  struct Entries {
    std::map<Mac, Ip> remotes;
    std::map<Mac, std::uint32_t> locals;
    std::set<Ip> peers;
    std::map<Ip, Mac> neighbors;
  };

  FastPath() = default;
  FastPath(const FastPath&) = delete;
  FastPath& operator=(const FastPath&) = delete;
  virtual ~FastPath() = default;

  // What was adopted from an earlier run.
  virtual Entries entries() const = 0;

  virtual Result<Ok> attach_port(std::uint32_t ifindex) = 0;   // Host end of a container's veth.
  virtual Result<Ok> attach_vxlan(std::uint32_t ifindex) = 0;  // The external-mode device.
  virtual Result<Ok> attach_underlay(
      std::uint32_t ifindex) = 0;  // A device peers are reached through.
  // From here on attach_underlay() has what leaves for sealed peers watched, too.
  virtual void set_guard() = 0;
  // The end at which small frames arrive that BPF is to seal. Precondition: lane().
  virtual Result<Ok> attach_lane(std::uint32_t ifindex) = 0;

  virtual Result<Ok> set_local(Mac mac, std::uint32_t ifindex) = 0;
  virtual Result<Ok> set_remote(Mac mac, const Ip& underlay) = 0;
  virtual Result<Ok> drop_mac(Mac mac) = 0;
  // Questions of local containers for the IPv4 address are answered with the MAC.
  virtual Result<Ok> set_neighbor(const Ip& address, Mac mac) = 0;
  virtual Result<Ok> drop_neighbor(const Ip& address) = 0;
  // Where the peer's VXLAN goes: to `next`, itself or a relay, over the route there (sys/netdev.h
  // path_to; ifindex 0: none). On the link: `next` itself is the next hop, else the kernel asks its
  // routes per packet. Slow: what is for it is left to the bridge.
  // Frames of more than `frame_max` octets go out of the device `reports` instead; 0: none do.
  struct SizeLimit {
    std::uint32_t frame_max = 0;
    std::uint32_t reports = 0;
  };
  struct PeerRoute {
    Ip next;
    Ip source;
    std::uint32_t ifindex = 0;
    bool on_link = false;
    bool slow = false;
    SizeLimit limit{};
  };
  virtual Result<Ok> set_peer(const Ip& underlay, const PeerRoute& route) = 0;
  // Frames for the peer appear to arrive on the device. VXLAN from it is refused; or believed all
  // the same; or believed behind the VXLAN device, where the kernel lets only what was sealed in.
  enum class Trust : std::uint8_t { Refuse, Accept, Esp };
  struct SealedRoute {
    std::uint32_t device = 0;
    Trust trust = Trust::Refuse;
    SizeLimit limit{};
    // The route there, for small frames that BPF seals; ifindex 0: it seals none.
    std::uint32_t ifindex = 0;
    Ip source;
    bool on_link = false;
  };
  virtual Result<Ok> set_sealed_peer(const Ip& underlay, const SealedRoute& route) = 0;
  // Frames for the peer go out of the VXLAN device, and the kernel seals them. VXLAN from it as
  // with Trust::Esp.
  virtual Result<Ok> set_esp_peer(const Ip& underlay, std::uint32_t vxlan, SizeLimit limit) = 0;
  virtual Result<Ok> drop_peer(const Ip& underlay) = 0;

  // Keys of small frames; nothing: the kernel refused the programs, or they were not asked for.
  virtual std::shared_ptr<KernelLane> lane() const = 0;

  virtual FastPathStats stats() const = 0;
  virtual TrafficStats traffic(const Ip& underlay) const = 0;
};

// Loads the programs, or says why the kernel will not (Errc::Unavailable).
Result<std::unique_ptr<FastPath>> load_fast_path(const FastPath::Options& options);

// Removes every tc filter of ours from every link.
Result<Ok> detach_fast_path();

}  // namespace weft::sys
