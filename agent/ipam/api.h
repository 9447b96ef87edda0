// Performs the address calls of the control API (agent/ipam/call.h) on the allocator, and forgets
// those whose client has hung up.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/ipam/call.h"
#include "base/peer_name.h"
#include "base/request.h"
#include "ipam/io/dual_stack.h"
#include "sys/http_server.h"

namespace weft::agent {

class IpamApi {
 public:
  using Respond = std::function<void(RequestId call, sys::HttpResponse response)>;
  // The peer of that name or nickname, if the mesh or the ring knows one.
  using FindPeer = std::function<std::optional<PeerName>(const std::string& text)>;

  // False once a container is known to have died.
  using MayRun = std::function<bool(const std::string& container)>;

  // `tracker` is the name of what follows the ranges that this host owns; empty: nothing does.
  IpamApi(ipam::DualStack& ipam,
          Respond respond,
          FindPeer find_peer,
          MayRun may_run,
          std::string tracker);
  IpamApi(const IpamApi&) = delete;
  IpamApi& operator=(const IpamApi&) = delete;

  void on_request(const sys::HttpRequest& request);
  void on_hangup(RequestId call);
  // Those of its calls that wait end as cancelled.
  void on_death(const std::string& owner);

 private:
  void perform(RequestId call, const ListAddresses& list);
  void perform(RequestId call, const LookUpAddresses& look_up);
  void perform(RequestId call, TakeAddress take);
  void perform(RequestId call, ClaimAddress claim);
  void perform(RequestId call, const FreeAddress& free);
  void perform(RequestId call, const FreeAllAddresses& free);
  void perform(RequestId call, const AskDefaultSubnet& ask);
  void perform(RequestId call, const AskTracker& ask);
  void perform(RequestId call, const AwaitRing& await);
  void perform(RequestId call, const LeaveRing& leave);
  void perform(RequestId call, const RemovePeer& remove);
  // Remembers what to cancel if the client hangs up.
  void await(RequestId call, RequestId ipam_request) { waiting_.emplace(call, ipam_request); }
  void answer(RequestId call, unsigned status, std::string body);
  void refuse(RequestId call, const std::string& why) { answer(call, 400, why + "\n"); }

  ipam::DualStack& ipam_;
  Respond respond_;
  FindPeer find_peer_;
  MayRun may_run_;
  std::string tracker_;
  std::map<RequestId, RequestId> waiting_;
  std::map<RequestId, std::string> takers_;  // Who waits for an address.
};

}  // namespace weft::agent
