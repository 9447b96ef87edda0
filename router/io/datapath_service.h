// The data path on a real host: bridge, VXLAN device, TAP, fast path and the Forwarding core that
// drives them.
//
//   container ── veth ──┐            ┌── weft-vx (VXLAN, external mode) ── underlay
//                       ├── weft ────┤
//   container ── veth ──┘  (bridge)  └── weft-tap ── agent (ARP, ND, floods)
//
// tc-BPF on each veth and on the underlay takes known unicast past the bridge. weft-vx and weft-tap
// are isolated ports: what the agent floods never comes back through VXLAN, and the reverse.
//
// With a SealedPath nothing leaves in clear but to peers that agreed to it. Frames for all others
// go to weft-sp, a port of the bridge whose other end (weft-se) the sealing thread listens on; BPF
// takes them straight to that end. weft-vx then exists only if there can be peers in clear, or such
// whose VXLAN the kernel seals (ESP, router/io/esp/).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "base/result.h"
#include "router/checksums/checksum_tests.h"
#include "router/datapath/forwarding.h"
#include "router/datapath/paths.h"
#include "router/io/sealed_path.h"
#include "sys/clock.h"
#include "sys/fast_path.h"
#include "sys/firewall.h"
#include "sys/netdev.h"

namespace weft::router {

// Frames of others, by this agent.
struct RelayStats {
  std::uint64_t passed_on = 0;
  std::uint64_t limited = 0;    // Over the rate of floods.
  std::uint64_t refused = 0;    // Too many hops, or no way to the relay.
  std::uint64_t malformed = 0;  // Carrier frames that are none.
};

// Of a device of the underlay: does it compute the checksums of what goes out in VXLAN, and was it
// found to do so rightly (docs/adr/0041)?
struct OffloadStatus {
  std::string device;
  bool enabled = false;
  ChecksumVerdict verdict = ChecksumVerdict::Untested;
};

struct DatapathStatus {
  std::string mode;    // "bpf" or "bridge".
  std::string reason;  // Why the mode is not "bpf".
  std::string bridge;
  std::uint32_t mtu = 0;
  std::uint32_t vni = 0;
  std::uint16_t port = 0;
  std::vector<std::string> underlay;    // Devices the fast path is attached to.
  std::vector<OffloadStatus> offloads;  // Of those.
  std::size_t local_count = 0;
  std::size_t group_count = 0;  // Multicast groups with members here.
  std::size_t remote_count = 0;
  ForwardingStats forwarding;
  sys::FastPathStats fast_path;
  std::vector<PathStatus> paths;
  std::map<PeerName, sys::TrafficStats> traffic;  // Only with BPF.
  std::map<PeerName, std::uint32_t> path_mtus;    // Of the underlay.
  PathsStats path_stats;
  RelayStats relays;
  TimePoint now;                      // That the paths' histories refer to.
  std::vector<std::string> warnings;  // What the kernel refused and has not accepted since.
};

class DatapathService {
 public:
  struct Options {
    PeerName self;
    bool bpf = true;
    bool policies = false;  // A policy controller says who may talk; then there is no fast path.
    std::uint16_t vxlan_port = 6784;
    std::uint32_t vni = 0x776566;  // "wef"
    std::uint32_t mtu = 0;         // 0: from the underlay, less the encapsulation.
    std::string bridge = "weft";
    SealedPath* sealed = nullptr;     // Nothing: all in clear. Must outlive the service.
    bool clear_possible = true;       // Without it there is no VXLAN, unless in the kernel's ESP.
    std::vector<Exposure> exposed{};  // As set_exposed().
    std::string docker_bridge = "docker0";  // As set_docker_bridge().
    // As set_kept(). Nothing: what an earlier run left of the gateway stays until that is called.
    std::optional<std::vector<sys::AddressRun>> kept = std::vector<sys::AddressRun>();
    std::uint64_t seed = 0;  // For ids that nobody should guess.
    // Peers that could pass frames on to the peer, best first; asked now and then while needed.
    std::function<std::vector<PeerName>(PeerName peer)> find_relays{};
    // The mesh's next hop to the peer, for floods of large clusters.
    std::function<std::optional<PeerName>(PeerName peer)> next_hop{};
    // False if there should be a control connection to the peer, and is none.
    std::function<bool(PeerName peer)> is_linked{};
  };
  using OnPublish = std::function<void(PublishRecord record)>;

  static Result<std::unique_ptr<DatapathService>> start(boost::asio::any_io_executor executor,
                                                        const sys::Clock& clock,
                                                        sys::Netdev& netdev,
                                                        Options options,
                                                        OnPublish on_publish);
  ~DatapathService();  // Leaves every kernel object in place.

  // Makes the veth pair (or finds it), puts its host end on the bridge and into the fast path.
  struct PortRequest {
    std::string host;
    std::string guest;
    Mac mac;
    std::vector<Ip> addresses;
    std::uint32_t mtu = 0;  // 0, or more than the overlay carries: what that is.
    bool hairpin = false;   // What the host sends back to where it came from gets there.
  };
  Result<Ok> plug(const PortRequest& port);
  // From now on nothing is forwarded to the port. Its veth pair goes a moment later, off the
  // strand.
  void unplug(const PortRequest& port);
  // True if the host end exists, and is not about to go.
  bool has_port(const std::string& host);
  // Removes host ends that begin with `prefix`, carry our alias and are not in `owned`, if their
  // guest ends are on the host: an agent that ended between unplugging and removing leaves such.
  void sweep(const std::string& prefix, const std::set<std::string>& owned);

  // Makes the host the containers' gateway: each address, with its subnet's prefix, is the bridge's
  // own and told to the other peers like a container's, and what leaves the subnets is masqueraded.
  // None: the host is no gateway. What an earlier run left is adopted.
  Result<Ok> set_gateways(std::vector<Cidr> gateways);

  // Subnets the world reaches through this host, each under an address that becomes the bridge's
  // own like a gateway's.
  Result<Ok> set_exposed(std::vector<Exposure> exposed);

  // Containers' addresses to which who comes in through an exposed subnet keeps its own address.
  Result<Ok> set_kept(std::vector<sys::AddressRun> kept);

  // Docker's default one, whose containers stay out of exposed subnets.
  void set_docker_bridge(const std::string& bridge);

  void on_record(const RecordChanged& change);
  // Again also when only its connection came or went.
  void set_underlay(PeerName peer, std::optional<Ip> underlay);
  DatapathStatus status() const;

  // Where an earlier run of the same peer had another bridge, that goes on under this name with
  // all that hangs on it. Its other devices and its rules are removed: who calls makes new ones.
  static Result<Ok> take_over(sys::Netdev& netdev, PeerName self, const std::string& bridge);

  // Removes bridge, VXLAN device, TAP, veths, filters, routes and firewall rules of ours, and
  // nothing else.
  static Result<Ok> reset(sys::Netdev& netdev, const std::string& bridge);

 private:
  class Impl;
  explicit DatapathService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
