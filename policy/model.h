// What the controller knows of a Kubernetes cluster: pods, namespaces and network policies
// (networking.k8s.io/v1), reduced to what policies can speak of. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/ruleset/policy_rules.h"
#include "policy/selector.h"

namespace weft::policy {

// Of a pod or a policy.
struct ObjectName {
  std::string space;  // Its namespace.
  std::string name;

  std::string to_string() const { return space + "/" + name; }

  friend auto operator<=>(const ObjectName&, const ObjectName&) = default;
  friend bool operator==(const ObjectName&, const ObjectName&) = default;
};

struct NamedPort {
  std::string name;
  PolicyProtocol protocol = PolicyProtocol::Tcp;
  std::uint16_t port = 0;

  friend auto operator<=>(const NamedPort&, const NamedPort&) = default;
  friend bool operator==(const NamedPort&, const NamedPort&) = default;
};

struct Pod {
  ObjectName id;
  Labels labels{};
  // None while it has no address of its own: not yet started, on the host's network, or ended.
  std::vector<Ip> addresses{};
  std::vector<NamedPort> ports{};

  friend bool operator==(const Pod&, const Pod&) = default;
};

struct Namespace {
  std::string name;
  Labels labels{};

  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct IpBlock {
  Cidr block;
  std::vector<Cidr> except{};

  friend bool operator==(const IpBlock&, const IpBlock&) = default;
};

// Pods; without `spaces` those of the policy's own namespace.
struct PodPeer {
  std::optional<Selector> spaces{};
  Selector pods{};

  friend bool operator==(const PodPeer&, const PodPeer&) = default;
};

using Peer = std::variant<PodPeer, IpBlock>;

struct PortName {
  PolicyProtocol protocol = PolicyProtocol::Tcp;
  std::string name;

  friend bool operator==(const PortName&, const PortName&) = default;
};

using Port = std::variant<PolicyPorts, PortName>;

// Lets through what comes from (goes to) one of the peers, to one of the ports. An empty list asks
// for nothing.
struct Rule {
  std::vector<Peer> peers{};
  std::vector<Port> ports{};

  friend bool operator==(const Rule&, const Rule&) = default;
};

struct Policy {
  ObjectName id;
  Selector pods{};
  // Nothing where it does not speak of that direction; without rules it lets nothing through.
  std::optional<std::vector<Rule>> ingress{};
  std::optional<std::vector<Rule>> egress{};

  const std::optional<std::vector<Rule>>& rules(PolicyDirection direction) const {
    return direction == PolicyDirection::Ingress ? ingress : egress;
  }

  friend bool operator==(const Policy&, const Policy&) = default;
};

using Object = std::variant<Pod, Namespace, Policy>;

}  // namespace weft::policy
