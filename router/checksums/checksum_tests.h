// Whether the devices that peers are reached through compute the checksums of packets inside VXLAN
// right. Containers leave theirs to the device; one that claims to compute them and does not (cards
// that take the outer packet for the inner one, virtual ones that drop the request) makes every
// such packet useless, while the host's own packets and all probes of paths arrive.
//
// Per device: probes to a peer until one is answered as right; three answers that say wrong turn
// the device's offload off, and the same is asked again. If that does not mend it the device is not
// to blame, and gets its offload back.
//
// Sans-IO and without a clock: whoever owns it asks a few times a second. Control strand only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/peer_name.h"
#include "base/rng.h"

namespace weft::router {

// What the device's offload of transmit checksums is to be.
struct SetChecksumOffload {
  std::uint32_t device = 0;
  bool enabled = false;

  friend bool operator==(const SetChecksumOffload&, const SetChecksumOffload&) = default;
};

enum class ChecksumVerdict : std::uint8_t {
  Untested,   // Nobody has answered yet.
  Right,      //
  TurnedOff,  // Wrong with the device's offload, right without.
  Elsewhere,  // Wrong either way: somebody else on the way breaks them.
};

class ChecksumTests {
 public:
  // One wrong answer may be a packet that was damaged on the way and not noticed.
  static constexpr int kWrongMax = 3;
  // Ten seconds' worth: peers that have just met, or are too old to answer.
  static constexpr int kProbesMax = 50;

  explicit ChecksumTests(Rng rng) : rng_(rng) {}

  // To be asked five times a second for a peer reached in clear through the device: the id of a
  // probe to send it, or nothing.
  std::optional<std::uint64_t> next_probe(std::uint32_t device, PeerName peer);
  // A peer has heard the probe.
  std::optional<SetChecksumOffload> on_heard(std::uint64_t id, bool is_right);

  ChecksumVerdict verdict(std::uint32_t device) const;

 private:
  struct Device {
    ChecksumVerdict verdict = ChecksumVerdict::Untested;
    bool is_confirming = false;  // The offload is off to see whether that helps.
    std::uint64_t id = 0;  // Of this stage's probes, so that late answers to others' tell nothing.
    int wrong = 0;
    std::map<PeerName, int> sent;  // At most as many as the mesh has peers.
  };

  Rng rng_;
  std::map<std::uint32_t, Device> devices_;
};

}  // namespace weft::router
