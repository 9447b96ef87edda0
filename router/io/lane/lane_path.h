// The kernel's lane beside the sealed path: for each session whose peers agreed to it, keys under
// which BPF seals and opens small frames (docs/adr/0082).
//
// Sessions say when keys come, are used and go; this puts them where BPF finds them, in the order
// that loses nothing: what the peer seals under is there before it may, and goes when it cannot any
// more. SealedPath's, on its strand. Destroying it wipes the keys.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/result.h"
#include "router/sealed/sessions.h"
#include "sys/bpf/kernel_lane.h"

namespace weft::router {

class LanePath {
 public:
  struct Options {
    std::uint16_t port = 0;  // Of the encrypted data path, ours.
    // No key serves longer: beyond the session's own end.
    std::chrono::seconds life{200};
    // Several times the interval of keep_alive(): BPF stops soon after the agent has.
    std::chrono::seconds patience{3};
  };

  LanePath(std::shared_ptr<sys::KernelLane> lane, Options options)
      : lane_(std::move(lane)),
        options_(options) {}
  ~LanePath();
  LanePath(const LanePath&) = delete;
  LanePath& operator=(const LanePath&) = delete;

  void keep_alive();
  void add(const Ip& underlay, const AddSession& session);
  // The session is the one in use with the peer; what was before is not any more. `to`: where its
  // sealed packets go. Behind an address translation the agent seals.
  void use(const Ip& underlay, SessionIndex local, const Endpoint& to);
  void remove(SessionIndex local);
  // The agent seals for the peer until the next session: it has moved, or is gone.
  void stop(const Ip& underlay);
  void forget(const Ip& underlay);

  struct Traffic {
    sys::LaneCount sealed;
    sys::LaneCount opened;
    std::uint64_t counter = 0;  // Packets under the key in use.
  };
  // Since the start. Asks the kernel.
  Traffic traffic(const Ip& underlay);

  // What the peer sealed under this counter was opened here, or is too old to know.
  bool has_opened(SessionIndex local, std::uint64_t counter) const {
    return lane_->has_opened(local, counter);
  }

  // What the kernel refused last; empty: nothing since.
  const std::string& failure() const { return failure_; }

 private:
  struct Keys {
    Ip underlay;
    SessionIndex remote = 0;
    sys::LaneKey seal{};  // Until it is used: never twice, as its counters begin at zero.
    bool is_used = false;
  };
  struct Peer {
    sys::LaneCount sealed;  // Under former keys.
    sys::LaneCount opened;
    SessionIndex current = 0;  // 0: the agent seals.
    std::set<SessionIndex> open;
    bool is_forgotten = false;  // To go with the last of these.
  };

  void open_from(const Ip& underlay, SessionIndex local);
  void move(SessionIndex local, Keys& keys, const Ip& underlay);
  void drop_if_forgotten(const Ip& underlay);
  bool note(const Result<Ok>& result);

  std::shared_ptr<sys::KernelLane> lane_;
  const Options options_;
  std::map<Ip, Peer> peers_;
  std::map<SessionIndex, Keys> keys_;
  std::string failure_;
};

}  // namespace weft::router
