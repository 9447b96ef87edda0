// Docker's libnetwork remote drivers, NetworkDriver and IpamDriver, as one pure state machine.
//
// Follows https://github.com/moby/moby/blob/master/libnetwork/docs/remote.md and ipam.md: every
// call is a POST with a JSON body and a JSON answer; a failure answers {"Err": "..."} and changes
// nothing. The shell (plugin/io/docker_service.h) owns the socket. Networks and endpoints are kept
// in the store, so that neither an agent restart nor a dockerd restart loses them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/request.h"
#include "base/result.h"
#include "base/store_batch.h"

namespace weft::plugin {

// Docker asks a driver for its scope once and for all, so there is one driver of each kind.
enum class Scope : std::uint8_t {
  // Networks are each engine's own (no swarm is needed to make one), their containers reach those
  // of every other host. Addresses are weft's.
  Local,
  // Networks are a swarm's, made on its managers for all engines. Addresses are the swarm's own: it
  // chooses them on one host for containers of another.
  Global,
};

// Answer an HTTP call.
struct HttpReply {
  RequestId call;
  unsigned status = 200;
  std::string body;  // JSON.

  friend bool operator==(const HttpReply&, const HttpReply&) = default;
};

// Questions to ipam, answered by on_address(). The owner of an allocated address is its pool
// ("docker/<pool id>"), which holds many: each answer is a fresh address. A claimed address has an
// owner of its own ("docker/<pool id>/<address>"), so that claiming it again succeeds.
struct AllocateAddress {
  RequestId call;
  std::string owner;
  Cidr subnet;
  std::optional<Cidr> within;
  bool is_optional = false;  // Better none than one that is long in coming.

  friend bool operator==(const AllocateAddress&, const AllocateAddress&) = default;
};
struct ClaimAddress {
  RequestId call;
  std::string owner;
  Cidr address;

  friend bool operator==(const ClaimAddress&, const ClaimAddress&) = default;
};
// Whoever wanted to know has hung up. It is answered all the same: by failure if that was in time.
struct CancelAddress {
  RequestId call;

  friend bool operator==(const CancelAddress&, const CancelAddress&) = default;
};
// Docker does not say which of the two an address was, so both owners release it; the one that
// does not hold it changes nothing.
struct ReleaseAddress {
  std::string owner;
  Ip address;

  friend bool operator==(const ReleaseAddress&, const ReleaseAddress&) = default;
};

// All names of host ends begin so, as Weave Net's did.
inline constexpr std::string_view kHostEndPrefix = "vethwl";

// A container's interface: a veth pair whose host end is a port of the bridge and whose guest end
// libnetwork moves into the container. Plugging what is plugged already succeeds.
struct Port {
  std::string id;    // Docker's endpoint id, whole.
  std::string host;  // Interface names, at most 15 characters.
  std::string guest;
  Mac mac;  // Of the guest end.
  std::vector<Cidr> addresses;
  std::uint32_t mtu_bytes = 0;  // 0: what the overlay carries, which is the most it can be.

  friend bool operator==(const Port&, const Port&) = default;
};
// Both are answered by on_plugged(call, …); a call of 0 means nobody waits (recovery at start).
struct PlugPort {
  RequestId call;
  Port port;

  friend bool operator==(const PlugPort&, const PlugPort&) = default;
};
struct UnplugPort {
  RequestId call;
  Port port;

  friend bool operator==(const UnplugPort&, const UnplugPort&) = default;
};

// The host is the gateway of these networks, with these addresses and the prefixes of their
// subnets, and of no others. Answered by on_gateways().
struct SetGateways {
  std::vector<Cidr> gateways;

  friend bool operator==(const SetGateways&, const SetGateways&) = default;
};

struct Persist {
  StoreBatch batch;

  friend bool operator==(const Persist&, const Persist&) = default;
};

using DockerAction = std::variant<HttpReply,
                                  AllocateAddress,
                                  ClaimAddress,
                                  CancelAddress,
                                  ReleaseAddress,
                                  PlugPort,
                                  UnplugPort,
                                  SetGateways,
                                  Persist>;
using DockerActions = std::vector<DockerAction>;

class DockerDriver {
 public:
  struct Options {
    Cidr default_subnet;             // Inside range, if there is one.
    std::optional<Cidr> range;       // Nothing: addresses come from the caller alone.
    Cidr default_subnet_v6{};        // Inside range_v6, if there is one.
    std::optional<Cidr> range_v6{};  // Nothing: IPv6 addresses come from the caller alone.
    // A network is a row in the store and nothing in the kernel; far above what anybody names.
    std::size_t networks_max = 4096;
    // A Linux bridge has at most 1,023 ports (BR_PORT_BITS is 10); the last ones are weft's own.
    std::size_t endpoints_max = 1000;
    // Open calls; as many as the socket has connections.
    std::size_t calls_max = 256;
    // Addresses given out that no endpoint or network has turned up for yet.
    std::size_t unbound_max = 4096;
    // Nothing leaves this host in clear.
    bool encrypts = false;
  };
  struct Stats {
    std::uint64_t calls = 0;
    std::uint64_t malformed = 0;   // Answered 400 or 404.
    std::uint64_t failed = 0;      // Answered 500.
    std::uint64_t over_limit = 0;  // Those of them refused by one of the limits above.
    std::uint64_t hung_up = 0;
  };
  // Tables this core keeps.
  struct Stored {
    StoreTable networks;   // "docker_networks"
    StoreTable endpoints;  // "docker_endpoints"
  };

  static Result<std::unique_ptr<DockerDriver>> create(Options options, const Stored& stored);
  ~DockerDriver();
  DockerDriver(const DockerDriver&) = delete;
  DockerDriver& operator=(const DockerDriver&) = delete;

  // Says what the gateways are, plugs again every endpoint the store remembers, and finishes the
  // removals that were cut short. Call once, before the first call is taken.
  void start(DockerActions& out);
  // `path` is such as "/NetworkDriver.Join"; `scope` that of the driver it was sent to. Exactly one
  // HttpReply follows, now or after on_address/on_plugged.
  void on_call(RequestId call,
               Scope scope,
               std::string_view path,
               std::string_view body,
               DockerActions& out);
  // The caller hung up: whatever was allocated for it is given back.
  void on_hangup(RequestId call, DockerActions& out);
  void on_address(RequestId call, const Result<Cidr>& address, DockerActions& out);
  void on_plugged(RequestId call, const Result<Ok>& result, DockerActions& out);
  // Until this was Ok, and after it was not, containers are left to Docker's own gateway bridge.
  void on_gateways(const Result<Ok>& result);
  // The kernel has no such interface (host reboot, or the agent died while it made it): the
  // endpoint is forgotten. Its address is kept for Docker, which may try again with it.
  void on_port_missing(const std::string& id, DockerActions& out);
  // The container is long gone: the endpoint is forgotten with its address.
  void on_port_gone(const std::string& id, DockerActions& out);
  // Every address ipam holds, with its owner. To be told now and then, in intervals that are longer
  // than Docker takes from one call of a container's start to the next: what nobody accounts for
  // twice in a row is released. So goes what was given to a caller that never heard of it, because
  // the agent died, or because it died itself.
  void on_held(const std::vector<std::pair<std::string, Cidr>>& held, DockerActions& out);

  // Every port that may exist in the kernel: all else that carries one of our names is left over.
  std::vector<Port> ports() const;
  bool has_port(const std::string& id) const;
  std::size_t network_count() const;
  Stats stats() const;
  void check_invariants() const;

 private:
  class Impl;
  explicit DockerDriver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::plugin
