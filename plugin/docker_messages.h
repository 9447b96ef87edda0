// The bodies of libnetwork's remote calls, decoded and encoded.
//
// Decoding is strict where it matters to us (types, ids, sizes, depth) and blind to fields we do
// not use, since every Docker release adds some. Like Go's decoder on the other side, a missing
// string and null are the empty string. Messages that only acknowledge need no type: kEmptyReply.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "plugin/docker.h"
#include "plugin/docker_options.h"

namespace weft::plugin {

// dockerd's largest call, a CreateEndpoint with a thousand published ports, is under 100 KiB.
inline constexpr std::size_t kBodyMax = std::size_t{1} << 20U;
// The deepest call, CreateNetwork, nests four levels.
inline constexpr std::size_t kDepthMax = 32;
// Docker's ids have 64 characters.
inline constexpr std::size_t kIdMax = 128;
// Paths on Linux.
inline constexpr std::size_t kSandboxMax = 4096;
// Gateways and auxiliary addresses of one network; a user types each of them.
inline constexpr std::size_t kReservedMax = 1024;

inline constexpr std::string_view kEmptyReply = "{}";

struct PoolCall {  // IpamDriver.RequestPool
  std::string pool;
  std::string sub_pool;
  bool v6 = false;
};

struct AddressCall {  // IpamDriver.RequestAddress, ReleaseAddress
  std::string pool_id;
  std::string address;
  bool is_gateway = false;
};

struct CreateNetworkCall {
  std::string network;
  NetworkOptions options{};
  bool is_internal = false;  // Nothing leads out of it.
  // Gateways and auxiliary addresses, each with its mask.
  std::vector<Cidr> reserved;
  // Those from weft's own IpamDriver, and those from others.
  std::vector<Cidr> subnets;
  std::vector<Cidr> foreign_subnets{};
  std::optional<Cidr> gateway;
  std::optional<Cidr> gateway_v6;
};

struct EndpointCall {  // All that name an endpoint: DeleteEndpoint, Leave, EndpointOperInfo, …
  std::string network;
  std::string endpoint;
};

struct CreateEndpointCall {
  std::string network;
  std::string endpoint;
  std::string address;
  std::string address_v6;
  std::string mac;
};

struct JoinCall {
  std::string network;
  std::string endpoint;
  std::string sandbox;
  bool publishes_ports = false;  // The container does, on whichever of its networks.
};

Result<PoolCall> decode_pool(std::string_view body);
Result<AddressCall> decode_address(std::string_view body);
Result<CreateNetworkCall> decode_create_network(std::string_view body);
Result<std::string> decode_network(std::string_view body);  // The id.
Result<bool> decode_gateway_check(std::string_view body);   // True for an internal network.
Result<EndpointCall> decode_endpoint(std::string_view body);
Result<CreateEndpointCall> decode_create_endpoint(std::string_view body);
Result<JoinCall> decode_join(std::string_view body);
// The answer to AllocateNetwork: the options it came with. A manager of a swarm asks before any
// engine makes the network, so that mistakes in its options show there.
Result<std::string> decode_allocate_network(std::string_view body);
// For calls whose content we do not use: a JSON object, or nothing at all.
Result<Ok> decode_any(std::string_view body);

std::string encode_error(std::string_view what);
std::string encode_activate(Scope scope);
std::string encode_network_capabilities(Scope scope);
std::string encode_ipam_capabilities();
std::string encode_address_spaces();
std::string encode_pool(std::string_view id, const Cidr& subnet);
std::string encode_address(const Cidr& address);
// No MAC where Docker chose it: libnetwork takes a second one for an attempt to change it.
std::string encode_created_endpoint(const std::string& mac);
std::string encode_endpoint_info();
std::string encode_gateway_check(bool skip);  // True: the network wants no gateway's address.

struct JoinReply {
  std::string interface;
  bool has_multicast_route = false;
  std::optional<Ip> gateway;
  std::optional<Ip> gateway_v6;
};
std::string encode_join(const JoinReply& reply);

}  // namespace weft::plugin
