// Who may talk to whom, as plain values that a packet filter can be made of; and what of it is to
// be changed. The policy core (policy/compile.h) says them, sys/nftables/policy_table.h puts them
// into the kernel.
//
// An address has a profile per direction: the names of the chains that say what may reach it
// (ingress), or what it may reach (egress). A packet may pass if a rule of any of these chains
// fits. An empty profile stands for an address that no policy is about: everything may pass. An
// address without a profile is unknown.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace weft {

enum class PolicyDirection : std::uint8_t { Ingress, Egress };

// IPPROTO_*; what Kubernetes' policies can name.
enum class PolicyProtocol : std::uint8_t { Tcp = 6, Udp = 17, Sctp = 132 };

struct PolicyPorts {
  PolicyProtocol protocol = PolicyProtocol::Tcp;
  std::uint16_t first = 0;
  std::uint16_t last = 65535;

  friend auto operator<=>(const PolicyPorts&, const PolicyPorts&) = default;
  friend bool operator==(const PolicyPorts&, const PolicyPorts&) = default;
};

// A port of one address.
struct PolicyService {
  Ip address;
  PolicyProtocol protocol = PolicyProtocol::Tcp;
  std::uint16_t port = 0;

  friend auto operator<=>(const PolicyService&, const PolicyService&) = default;
  friend bool operator==(const PolicyService&, const PolicyService&) = default;
};

// Both ends included, of one family.
struct PolicyRange {
  Ip first;
  Ip last;

  friend auto operator<=>(const PolicyRange&, const PolicyRange&) = default;
  friend bool operator==(const PolicyRange&, const PolicyRange&) = default;
};

// Fits where everything it asks for does. "Peer" is the other end: the source of what comes in, the
// destination of what goes out.
struct PolicyRule {
  std::optional<std::string> group{};     // The peer is among these addresses.
  std::optional<std::string> blocks{};    // The peer is in one of these ranges.
  std::optional<PolicyPorts> ports{};     // The destination's.
  std::optional<std::string> services{};  // Destination, protocol and port are among these.
  std::string comment{};

  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

struct PolicyChain {
  PolicyDirection direction = PolicyDirection::Ingress;
  std::vector<PolicyRule> rules;

  friend bool operator==(const PolicyChain&, const PolicyChain&) = default;
};

using PolicyProfile = std::vector<std::string>;  // Names of chains.

template <class Element>
struct PolicyElements {
  std::vector<Element> added{};
  std::vector<Element> removed{};
};

// One step from a valid state to the next. What is made is empty before its elements are added;
// what is removed had elements, which go with it. A name may be removed and made in one step.
struct PolicyChanges {
  std::vector<std::string> groups_made{};
  std::vector<std::string> groups_removed{};
  std::map<std::string, PolicyElements<Ip>> groups{};

  std::vector<std::string> services_made{};
  std::vector<std::string> services_removed{};
  std::map<std::string, PolicyElements<PolicyService>> services{};

  std::map<std::string, std::vector<PolicyRange>> blocks_made{};
  std::vector<std::string> blocks_removed{};

  std::map<std::string, PolicyChain> chains{};  // New, or with other rules than before.
  std::vector<std::string> chains_removed{};

  // Nothing where the address is known no more.
  std::map<Ip, std::optional<PolicyProfile>> ingress{};
  std::map<Ip, std::optional<PolicyProfile>> egress{};

  // Whether what comes from an unknown address is dropped, too; what goes to one always is.
  std::optional<bool> closes_egress{};

  bool empty() const {
    return groups_made.empty() && groups_removed.empty() && groups.empty() && services_made.empty()
           && services_removed.empty() && services.empty() && blocks_made.empty()
           && blocks_removed.empty() && chains.empty() && chains_removed.empty() && ingress.empty()
           && egress.empty() && !closes_egress;
  }
};

// Its neighbours of the same family; nothing beyond either end.
std::optional<Ip> address_after(const Ip& address);
std::optional<Ip> address_before(const Ip& address);

}  // namespace weft
