// A packet filter that has what a compiler's changes say, as the kernel would: it checks that every
// name that is used exists, and tells who may talk to whom. And the same question answered from the
// objects themselves, one after the other, as Kubernetes' documentation puts it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ruleset/policy_rules.h"
#include "policy/model.h"

namespace weft::policy {

struct Packet {
  Ip source;
  Ip destination;
  PolicyProtocol protocol = PolicyProtocol::Tcp;
  std::uint16_t port = 0;
};

class Filter {
 public:
  void apply(const PolicyChanges& changes);
  void clear() { *this = Filter(); }

  bool may_enter(const Packet& packet) const;
  bool may_leave(const Packet& packet) const;
  void check_references() const;

  friend bool operator==(const Filter&, const Filter&) = default;

 private:
  bool fits(const PolicyRule& rule, PolicyDirection direction, const Packet& packet) const;
  bool passes(const PolicyProfile& profile, PolicyDirection direction, const Packet& packet) const;

  std::map<std::string, std::set<Ip>> groups_;
  std::map<std::string, std::set<PolicyService>> services_;
  std::map<std::string, std::vector<PolicyRange>> blocks_;
  std::map<std::string, PolicyChain> chains_;
  std::map<Ip, PolicyProfile> ingress_;
  std::map<Ip, PolicyProfile> egress_;
  bool closes_egress_ = false;
};

struct Objects {
  std::map<ObjectName, Pod> pods;
  std::map<std::string, Namespace> namespaces;
  std::map<ObjectName, Policy> policies;

  bool may_enter(const Packet& packet) const;
  bool may_leave(const Packet& packet) const;

 private:
  bool passes(PolicyDirection direction, const Packet& packet) const;
  bool is_allowed(const Policy& policy, PolicyDirection direction, const Packet& packet) const;
  bool is_peer(const Policy& policy, const Peer& peer, const Ip& address) const;
  bool is_port(const Port& port, const Packet& packet, const std::vector<Pod>& named_by) const;
  std::vector<Pod> pods_at(const Ip& address) const;
};

}  // namespace weft::policy
