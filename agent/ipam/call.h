// The address calls of the control API, parsed: the paths, methods and words of Weave's HTTP API,
// so that its scripts and plugins keep working. Bodies are plain text. Pure; agent/ipam/api.h
// performs.
//
//   GET    /ip {"owned":[{"containerid":"…","addrs":["10.32.0.1/12"]}]} GET    /ip/ID[/SUBNET/LEN]
//   what ID holds there: "10.32.0.1/12", space separated POST   /ip/ID[/SUBNET/LEN]              an
//   address there; the same when asked again. Waits. PUT    /ip/ID/ADDRESS/LEN               claims
//   this address; ?noErrorOnUnknown=true DELETE /ip/ID[/ADDRESS]                 gives back GET
//   /ipinfo/defaultsubnet, /ipinfo/tracker GET    /ring                            waits until
//   addresses can be handed out DELETE /peer                            gives all space to the
//   others, before leaving for good DELETE /peer/NAME                       takes the space of a
//   dead peer, by name or nickname
//
// ID "_" is a container without a name: its address is held under its own text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/address.h"
#include "base/result.h"

namespace weft::agent {

struct ListAddresses {};
struct LookUpAddresses {
  std::string owner;
  Cidr subnet;
};
struct TakeAddress {
  std::string owner;
  Cidr subnet;
  bool anonymous = false;
  bool check_alive = false;  // Nothing is given to a container that has died.
};
struct ClaimAddress {
  std::string owner;
  Cidr address;
  bool tolerant = false;     // Succeeds where the owner of the address cannot be asked yet.
  bool check_alive = false;  // As of TakeAddress.
};
struct FreeAddress {
  std::string owner;
  Ip address;
};
struct FreeAllAddresses {
  std::string owner;
};
struct AskDefaultSubnet {};
struct AskTracker {};
struct AwaitRing {};
struct LeaveRing {};
struct RemovePeer {
  std::string peer;
};

using IpamCall = std::variant<ListAddresses,
                              LookUpAddresses,
                              TakeAddress,
                              ClaimAddress,
                              FreeAddress,
                              FreeAllAddresses,
                              AskDefaultSubnet,
                              AskTracker,
                              AwaitRing,
                              LeaveRing,
                              RemovePeer>;

// Whether the path is one of these calls'.
bool is_ipam_path(std::string_view target);

// Errc::NotFound for what is no call of this API, Errc::Invalid for one that is malformed.
Result<IpamCall> parse_ipam_call(std::string_view method,
                                 std::string_view target,
                                 const Cidr& default_subnet);

}  // namespace weft::agent
