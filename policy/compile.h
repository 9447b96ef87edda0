// From pods, namespaces and policies to a packet filter's sets and rules, kept as things change: a
// pod's label costs the sets and profiles it is about, nothing else.
//
// - A policy is a chain per direction it speaks of; a rule of it becomes one of the chain for each
//   peer and port. Two policies that choose the same pods share one set of addresses (a group).
// - A named port is a set of services: what each pod of a group calls so.
// - An address' profile is the policies of its namespace that choose its pod.
//
// Pure. Inputs are total: an object may come twice, before its namespace, or never. Invariants:
// what take_changes() has said so far is a state in which every name that is used exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/ruleset/policy_rules.h"
#include "policy/counted_set.h"
#include "policy/model.h"

namespace weft::policy {

// Kubernetes is made for 150,000 pods.
inline constexpr std::size_t kPodsMax = 150'000;
inline constexpr std::size_t kNamespacesMax = 50'000;
inline constexpr std::size_t kPoliciesMax = 20'000;
// Of one policy and direction: peers times ports. The largest that generators write have hundreds.
inline constexpr std::size_t kRulesMax = 4'096;

// Pods by their own labels and those of their namespace, or in one namespace.
struct Group {
  std::string space{};  // Unless `spaces` says which.
  std::optional<Selector> spaces{};
  Selector pods{};

  std::string to_string() const;
};

class Compiler {
 public:
  struct Stats {
    std::size_t pods = 0;
    std::size_t namespaces = 0;
    std::size_t policies = 0;
    std::size_t groups = 0;
    std::uint64_t over_limit =
        0;  // Objects refused, and policies of too many rules, which are closed.
  };

  // New, or another than before.
  void set(const Object& object);
  void remove_pod(const ObjectName& id);
  void remove_namespace(const std::string& name);
  void remove_policy(const ObjectName& id);

  // Since the last call.
  PolicyChanges take_changes();
  // All of it, for a filter that has nothing yet. The next take_changes() goes on from here.
  PolicyChanges take_everything();

  Stats stats() const;
  void check_invariants() const;

 private:
  struct GroupState {
    Group group;
    std::size_t references = 0;
    bool is_new = true;
    CountedSet<Ip> addresses{};
  };
  // A port's name in a group.
  using ServiceKey = std::tuple<std::string, PolicyProtocol, std::string>;
  struct ServiceState {
    Group group;
    std::size_t references = 0;
    bool is_new = true;
    CountedSet<PolicyService> services{};
  };
  struct BlockState {
    std::vector<PolicyRange> ranges;
    std::size_t references = 0;
    bool is_new = true;
  };
  struct ChainState {
    PolicyChain chain;
    bool is_new = true;
    bool is_changed = true;
  };
  struct Compiled {
    Policy policy;
    std::set<std::string> groups{};
    std::set<ServiceKey> services{};
    std::set<std::string> blocks{};
  };
  // What take_changes() last said of each address that may have changed since.
  using Profiles = std::map<Ip, PolicyProfile>;

  void set_pod(const Pod& said);
  void set_namespace(const Namespace& space);
  void set_policy(const Policy& policy);

  bool fits(const Group& group, const Pod& pod) const;
  void enter(const Pod& pod);
  void leave(const Pod& pod);
  void for_pods_of(const std::string& space, const std::function<void(const Pod&)>& visit) const;

  void for_pods_that_may_fit(const Group& group,
                             const std::function<void(const Pod&)>& visit) const;
  static std::vector<PolicyService> services_of(const ServiceKey& key, const Pod& pod);

  PolicyChain compile(const Policy& policy, PolicyDirection direction, Compiled& uses);
  void add_rules(const Policy& policy,
                 PolicyDirection direction,
                 const Rule& rule,
                 Compiled& uses,
                 PolicyChain& chain);
  struct PeerRule {
    PolicyRule rule;
    std::optional<Group> group{};  // Of a peer that is one.
  };
  PeerRule peer_rule(const Policy& policy, const Peer& peer, Compiled& uses);
  std::string use_group(const Group& group, Compiled& uses);
  std::string use_services(const Group& group, const PortName& port, Compiled& uses);
  std::string use_block(const IpBlock& block, Compiled& uses);
  void drop_uses(const Compiled& uses);
  void set_chain(const std::string& name, PolicyChain chain);
  void remove_chain(const std::string& name);

  std::optional<PolicyProfile> profile_of(const Ip& address, PolicyDirection direction) const;
  std::map<Ip, std::optional<PolicyProfile>> take_profiles(PolicyDirection direction,
                                                           Profiles& told) const;

  std::map<ObjectName, Pod> pods_;
  std::map<Ip, std::set<ObjectName>> owners_;
  std::map<std::string, Labels> namespaces_;
  std::map<ObjectName, Compiled> policies_;
  std::size_t egress_policies_ = 0;

  std::map<std::string, GroupState> groups_;
  std::map<ServiceKey, ServiceState> services_;
  std::map<std::string, BlockState> blocks_;
  std::map<std::string, ChainState> chains_;

  // What there was at the last take_changes() and is no more.
  std::vector<std::string> groups_removed_;
  std::vector<std::string> services_removed_;
  std::vector<std::string> blocks_removed_;
  std::set<std::string> chains_removed_;
  std::set<Ip> refreshed_;
  Profiles told_ingress_;
  Profiles told_egress_;
  std::optional<bool> told_closed_;
  std::uint64_t over_limit_ = 0;
};

}  // namespace weft::policy
