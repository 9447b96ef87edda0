// One call of weft's CNI plugin: what the runtime asked for, and the means to do it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/options.h"
#include "base/address.h"
#include "base/result.h"
#include "plugin/cni/call.h"
#include "plugin/cni/config.h"
#include "plugin/cni/result.h"

namespace weft::agent {

namespace cni = plugin::cni;

// weft-net makes interfaces, weft-ipam only hands out addresses, to the plugins of others.
enum class CniRole : std::uint8_t { Interface, Addresses };

struct CniSession {
  CniRole role = CniRole::Interface;
  cni::Call call;
  cni::NetworkConfig config;
  std::string text;   // The configuration as it came, for a plugin we pass it on to.
  std::string owner;  // In ipam, and of the attachment.
  Settings settings;  // Where the agent is.

  bool is_foreign() const { return role == CniRole::Interface && config.ipam.is_foreign(); }
};

// addresses.cc: from the agent, or from the plugin that ipam.type names.

Result<cni::AddResult> cni_take(const CniSession& session);
Result<Ok> cni_release(const CniSession& session);
// Errc::Conflict if an address of prevResult is not held.
Result<Ok> cni_check_addresses(const CniSession& session);
// Runs the foreign plugin; its answer is empty but for ADD. Errors begin with its name.
Result<std::string> cni_delegate(const CniSession& session);
// The host's address in the subnet, where an attachment's gateway is: exposed if it is not yet.
Result<Ip> cni_gateway(const CniSession& session, const Cidr& subnet);

// agent.cc: what the agent says.

struct CniHolding {
  std::string owner;
  std::vector<Cidr> addresses;
};
Result<std::vector<CniHolding>> cni_held(const CniSession& session);

struct CniAttached {
  struct One {
    std::string owner;
    std::string host;  // The host end of its pair.
  };
  std::vector<One> attachments;
  std::vector<Cidr> exposed;
};
Result<CniAttached> cni_attached(const CniSession& session);

// Errc::Unavailable: no agent. Errc::Exhausted: one that has no addresses to give, and why.
Result<Ok> cni_is_ready(const CniSession& session);

Result<Ok> cni_attach(const CniSession& session,
                      const cni::AddResult& addresses,
                      const std::vector<cni::Route>& routes);
Result<Ok> cni_detach(const CniSession& session, const std::string& owner);

}  // namespace weft::agent
