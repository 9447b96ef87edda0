// The tables by which BPF seals and opens small frames itself (router/bpf/kernel_lane.bpf.h): keys
// in, counts out.
//
// Keys are used at once, and wiped where they are replaced or taken away. A key never comes twice:
// its counters begin at zero. Of sys/fast_path.h, whose programs these are.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/address.h"
#include "base/result.h"
#include "sys/bpf/peer_slots.h"

namespace weft::sys {

using LaneKey = std::array<std::uint8_t, 32>;  // ChaCha20-Poly1305's (RFC 8439).

struct LaneSealing {
  std::uint32_t receiver = 0;  // The peer's index of the session; not 0.
  LaneKey key{};
  std::uint16_t udp_source = 0;
  std::uint16_t udp_destination = 0;
};

struct LaneCount {
  std::uint64_t packets = 0;
  std::uint64_t octets = 0;  // Of the frames inside.

  friend bool operator==(const LaneCount&, const LaneCount&) = default;
};

class KernelLane {
 public:
  KernelLane() = default;
  KernelLane(const KernelLane&) = delete;
  KernelLane& operator=(const KernelLane&) = delete;
  virtual ~KernelLane() = default;

  // Out of `port` frames go to be sealed; `device` is where the agent hears and sends frames.
  virtual void set_devices(std::uint32_t port, std::uint32_t device) = 0;
  // For so long from now on BPF seals and opens, if it has keys and devices. Called again and
  // again: when the agent stands still, so does this.
  virtual Result<Ok> keep_alive(std::chrono::nanoseconds span) = 0;

  // Small frames for the peer are sealed under this key, for at most `life`.
  virtual Result<Ok> seal(const Ip& peer,
                          const LaneSealing& sealing,
                          std::chrono::nanoseconds life) = 0;
  // … are the agent's again. Ok if they were.
  virtual Result<Ok> stop(const Ip& peer) = 0;
  // What names our `index` of a session is opened.
  virtual Result<Ok> open(std::uint32_t index,
                          const LaneKey& key,
                          std::chrono::nanoseconds life) = 0;
  virtual Result<Ok> close(std::uint32_t index) = 0;

  // Since seal() or open(); zero where there is no key.
  virtual LaneCount sealed(const Ip& peer) const = 0;
  virtual LaneCount opened(std::uint32_t index) const = 0;
  // The datagram of that counter has been opened, or is too old for anybody to know. False where
  // there is no key.
  virtual bool has_opened(std::uint32_t index, std::uint64_t counter) const = 0;
};

// Descriptors of the maps; they are duplicated.
struct LaneMaps {
  int agent = -1;
  int sealing = -1;
  int opening = -1;
};
// Wipes its keys when it goes.
std::shared_ptr<KernelLane> make_kernel_lane(const LaneMaps& maps,
                                             std::shared_ptr<PeerSlots> slots);

}  // namespace weft::sys
