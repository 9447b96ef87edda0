// The configuration of a network as a CNI plugin gets it on its standard input (specification 1.1,
// sections 1 and 3): what weft-net and weft-ipam read of it. Pure.
//
//   {"cniVersion": "1.1.0", "name": "mesh", "type": "weft-net",
//    "mtu": 0, "hairpinMode": true, "dns": {…},
//    "ipam": {"type": "weft-ipam", "subnet": "10.32.1.0/24", "gateway": "…", "routes": […]}}
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "plugin/cni/call.h"
#include "plugin/cni/result.h"
#include "plugin/cni/version.h"

namespace weft::plugin::cni {

// A name is part of an owner in ipam, beside a container's id and an interface.
inline constexpr std::size_t kNetworkNameMax = 64;
// Subnets that one container gets an address of each.
inline constexpr std::size_t kSubnetsMax = 16;
// More containers of one network than a host of weft's can have (docs/OPERATING.md, Limits).
inline constexpr std::size_t kValidMax = 65536;

// Without a prefix it is that of the subnet it lies in.
struct RequestedIp {
  Ip address;
  std::optional<std::uint8_t> prefix{};

  friend bool operator==(const RequestedIp&, const RequestedIp&) = default;
};

struct IpamConfig {
  std::string type;           // A plugin's name; empty: weft's own.
  std::vector<Cidr> subnets;  // An address of each. Empty: of the cluster's default subnet.
  std::optional<Ip> gateway;
  std::optional<std::vector<Route>> routes;  // An empty list says that there are to be none.

  bool is_foreign() const;

  friend bool operator==(const IpamConfig&, const IpamConfig&) = default;
};

struct NetworkConfig {
  Version version = Version::V010;
  std::string name;
  std::string run_dir;    // Where the agent's socket is; empty: where it is as a rule.
  std::uint32_t mtu = 0;  // 0: what the overlay carries.
  bool hairpin = true;
  IpamConfig ipam;
  Dns dns;
  std::vector<RequestedIp> ips;                    // Instead of any address.
  std::optional<Mac> mac;                          // Instead of a random one.
  std::optional<AddResult> previous;               // prevResult.
  std::optional<std::vector<AttachmentId>> valid;  // cni.dev/valid-attachments.

  friend bool operator==(const NetworkConfig&, const NetworkConfig&) = default;
};

// Errc::Conflict: a version that is not ours. Errc::Denied: a key that weft cannot honour.
// Errc::Invalid: anything else that is wrong, by the name of its key. What the call's CNI_ARGS ask
// for (IP, MAC) counts after runtimeConfig and args.cni.
Result<NetworkConfig> parse_config(const boost::json::object& object, const Call& call);
// What weft-net alone reads: under another main plugin these keys are that one's.
Result<Ok> parse_interface_config(const boost::json::object& object, NetworkConfig& config);

}  // namespace weft::plugin::cni
