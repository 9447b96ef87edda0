// The calls of the control API about containers attached by hand and exposed subnets, parsed and
// answered. Pure but for what the hooks do.
//
//   GET    /attach               who is attached, what is exposed, Docker's endpoints: JSON
//
//   POST   /attach/ID            netns=PATH&address=CIDR…; says nothing twice.
//                                [&multicast=false][&interface=NAME][&mac=MAC][&mtu=BYTES]
//                                [&hairpin=true][&route=CIDR[,GATEWAY]…]
//
//   DELETE /attach/ID            [netns=PATH][&address=CIDR…]; without an address all of them.
//                                [&interface=NAME]: also one in there that nobody remembers
//
//   POST   /expose/ADDRESS/LEN   [skipNAT=true]
//
//   DELETE /expose/ADDRESS/LEN
//
// Addresses are taken from and given back to the /ip calls by the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/attach/attachment.h"
#include "base/result.h"
#include "sys/guest/guest.h"
#include "sys/http_server.h"

namespace weft::agent {

struct AttachCall {
  std::string owner;
  std::string netns;
  std::vector<Cidr> addresses;
  bool multicast_route = true;
  std::string interface = "ethwe";  // In the container.
  std::optional<Mac> mac{};         // Nothing: a random one.
  std::uint32_t mtu = 0;
  bool hairpin = false;
  std::vector<sys::GuestRoute> routes{};
};

struct DetachCall {
  std::string owner;
  std::string netns{};  // Where some addresses stay, for the interface is still there then.
  std::vector<Cidr> addresses{};  // Empty: all.
  std::string interface {};  // In the container; where it was not attached by what we remember.
};

// What has a weft interface on this host.
struct Attached {
  struct Endpoint {
    std::string id;  // Docker's.
    Mac mac;
  };
  std::vector<Attachment> attachments;
  std::vector<Exposure> exposed;
  std::vector<Endpoint> endpoints;
  Mac bridge;
};

struct AttachHooks {
  std::function<Attached()> list;
  std::function<Result<Ok>(const AttachCall& call)> attach;
  std::function<Result<Ok>(const DetachCall& call)> detach;
  std::function<Result<Ok>(const Exposure& exposure)> expose;
  std::function<Result<Ok>(const Cidr& address)> hide;
};

bool is_attach_path(std::string_view target);
sys::HttpResponse handle_attach(const sys::HttpRequest& request, const AttachHooks& hooks);

}  // namespace weft::agent
