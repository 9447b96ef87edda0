// What the data path should look like, and what to do with frames only the agent can handle.
//
// Knows the local containers (ports), what other peers say of theirs (Endpoint records) and where
// each peer is on the underlay; from that it keeps three tables in step with the kernel: MAC ->
// local port, MAC -> remote underlay address, set of peers. The kernel forwards known unicast by
// itself. Broadcast, multicast and unknown unicast arrive here through the agent's TAP: ARP (RFC
// 826) and Neighbor Solicitations (RFC 4861) for addresses we know are answered; multicast goes to
// hosts with members of the group (router/multicast/); the rest goes once to each peer, at a
// limited rate.
//
// Sans-IO; control strand only. Shell: router/io/datapath_service.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "base/time.h"

namespace weft::router {

struct SetLocal {
  Mac mac;
  std::uint32_t ifindex = 0;  // Host end of the container's veth.

  friend bool operator==(const SetLocal&, const SetLocal&) = default;
};
struct SetRemote {
  Mac mac;
  Ip underlay;

  friend bool operator==(const SetRemote&, const SetRemote&) = default;
};
struct DropMac {
  Mac mac;

  friend bool operator==(const DropMac&, const DropMac&) = default;
};
// Questions for the IPv4 address of a container elsewhere are answered with this MAC, in the
// kernel.
struct SetNeighbor {
  Ip address;
  Mac mac;

  friend bool operator==(const SetNeighbor&, const SetNeighbor&) = default;
};
struct DropNeighbor {
  Ip address;

  friend bool operator==(const DropNeighbor&, const DropNeighbor&) = default;
};
// VXLAN from this address is ours / no longer is; floods go there.
struct SetPeer {
  Ip underlay;

  friend bool operator==(const SetPeer&, const SetPeer&) = default;
};
struct DropPeer {
  Ip underlay;

  friend bool operator==(const DropPeer&, const DropPeer&) = default;
};
// Write to the TAP: the bridge delivers it locally.
struct FrameToBridge {
  Bytes frame;

  friend bool operator==(const FrameToBridge&, const FrameToBridge&) = default;
};
// VXLAN-encapsulate and send to each of these peers.
struct FrameToPeers {
  std::vector<Ip> underlay;
  Bytes frame;

  friend bool operator==(const FrameToPeers&, const FrameToPeers&) = default;
};

using ForwardingAction = std::variant<SetLocal,
                                      SetRemote,
                                      DropMac,
                                      SetNeighbor,
                                      DropNeighbor,
                                      SetPeer,
                                      DropPeer,
                                      FrameToBridge,
                                      FrameToPeers,
                                      PublishRecord>;
using ForwardingActions = std::vector<ForwardingAction>;

struct ForwardingStats {
  std::uint64_t arp_answered = 0;
  std::uint64_t nd_answered = 0;
  std::uint64_t frames_flooded = 0;
  std::uint64_t frames_limited = 0;      // Dropped by the flood rate limit.
  std::uint64_t frames_looped = 0;       // From here, of a station that lives on another host.
  std::uint64_t too_big_answered = 0;    // Larger than the path carries: the sender was told.
  std::uint64_t too_big_cut = 0;         // The same, and sent as fragments.
  std::uint64_t too_big_dropped = 0;     // The same, and neither was possible.
  std::uint64_t frames_malformed = 0;    // Too short, too long, or not what they claim to be.
  std::uint64_t multicast_narrowed = 0;  // Sent to the hosts with members of the group alone.
  std::uint64_t multicast_kept = 0;      // For a group that nobody elsewhere has joined.
  std::uint64_t groups_refused = 0;      // Over GroupMembers' limits: sent everywhere instead.
  std::uint64_t endpoints_refused = 0;   // Over endpoints_max, or a record that does not decode.
};

class Forwarding {
 public:
  struct Options {
    PeerName self;
    // Frames per second flooded to all peers, with a burst of as many: ARP for unknown addresses,
    // mDNS, IGMP stay far below; a broadcast storm stops here. Multicast streams may need more.
    std::uint32_t flood_rate_max = 5000;
    // 500 hosts of 130 containers each; what the fast path's map holds (router/bpf/maps.h).
    std::size_t endpoints_max = 65536;
    // How long forwarding left by an earlier run of the agent is kept while nobody confirms it.
    Duration adopted_grace = std::chrono::seconds(60);
    // The kernel can answer ARP: tell it what to say.
    bool has_neighbors = false;
    // Who asks the containers which multicast groups they have joined. Nothing: nobody does, and
    // what containers here have joined is not told.
    std::optional<Mac> querier = std::nullopt;
  };
  // What the kernel already holds when the agent starts.
  struct Adopted {
    std::map<Mac, Ip> remotes;
    std::map<Mac, std::uint32_t> locals;
    std::set<Ip> peers;
    std::map<Ip, Mac> neighbors{};
  };

  Forwarding(Options options, TimePoint now, Adopted adopted);
  ~Forwarding();

  void add_local(TimePoint now,
                 Mac mac,
                 const std::vector<Ip>& addresses,
                 std::uint32_t ifindex,
                 ForwardingActions& out);
  void remove_local(TimePoint now, Mac mac, ForwardingActions& out);
  // The host itself has these addresses behind the bridge's MAC; none: it is no station there.
  void set_host(TimePoint now, Mac mac, const std::vector<Ip>& addresses, ForwardingActions& out);
  void on_record(TimePoint now, const RecordChanged& change, ForwardingActions& out);
  // Where the peer's VXLAN traffic goes; nothing when it is gone for good. An unreachable peer
  // keeps its place.
  void set_underlay(TimePoint now,
                    PeerName peer,
                    std::optional<Ip> underlay,
                    ForwardingActions& out);
  // The largest frame that the path to the address carries.
  void set_frame_max(const Ip& underlay, std::size_t frame_max);
  // An Ethernet frame from the TAP.
  void on_frame(TimePoint now, ByteView frame, ForwardingActions& out);

  void on_deadline(TimePoint now, ForwardingActions& out);
  TimePoint next_deadline() const;

  ForwardingStats stats() const;
  std::size_t local_count() const;
  std::size_t remote_count() const;
  std::size_t group_count() const;  // Multicast groups with members here.
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
