// What is remembered of Docker's networks and endpoints, and how it is spelled in the store.
//
// One JSON object per row, keyed by Docker's id, so that a person can read it with sqlite3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/store_batch.h"
#include "plugin/docker.h"
#include "plugin/docker_options.h"

namespace weft::plugin {

inline constexpr std::string_view kNetworksTable = "docker_networks";
inline constexpr std::string_view kEndpointsTable = "docker_endpoints";

struct NetworkRecord {
  NetworkOptions options{};
  Scope scope = Scope::Local;
  std::vector<Cidr> subnets;   // Those our IpamDriver serves.
  std::vector<Cidr> reserved;  // Gateways and auxiliary addresses.
  // The host's own address in the network, as the containers' gateway. Nothing: their way out is
  // Docker's gateway bridge, or there is to be none.
  std::optional<Cidr> gateway;
  std::optional<Cidr> gateway_v6{};

  std::vector<Cidr> gateways() const;

  friend bool operator==(const NetworkRecord&, const NetworkRecord&) = default;
};

struct EndpointRecord {
  enum class State : std::uint8_t {
    Creating,  // Its port is being plugged. After a restart it counts as created.
    Created,   // Docker may or may not have heard: if not, it releases the address next.
    Joined,    // In a container.
    Removing,  // Its port is being unplugged. After a restart that is done and the row erased.
  };
  State state = State::Creating;
  std::string network;
  Cidr address;
  std::optional<Cidr> address_v6{};
  Mac mac;
  bool is_mac_ours = true;  // Chosen by us, not by Docker.
  std::string pool;         // The id of the pool the address is from; empty if unknown.
  std::string pool_v6{};    // That of address_v6.
  // The network namespace it was joined to, while it holds that namespace's multicast route.
  std::string multicast_sandbox;
  std::uint32_t mtu_bytes = 0;  // As its network's options say.

  // Of the pair: 15 characters at most, told apart by the first nine of Docker's id.
  static std::string host_name(std::string_view id);
  static std::string guest_name(std::string_view id);
  Port port(const std::string& id) const;
  std::vector<Cidr> addresses() const;
  bool has(const Ip& address) const;

  friend bool operator==(const EndpointRecord&, const EndpointRecord&) = default;
};

StoreWrite write_network(const std::string& id, const NetworkRecord& record);
StoreWrite write_endpoint(const std::string& id, const EndpointRecord& record);
StoreWrite erase_network(const std::string& id);
StoreWrite erase_endpoint(const std::string& id);

Result<NetworkRecord> decode_network_record(ByteView row);
Result<EndpointRecord> decode_endpoint_record(ByteView row);

}  // namespace weft::plugin
