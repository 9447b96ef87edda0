#include "policy/compile.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "policy/ip_block.h"

namespace weft::policy {
namespace {

constexpr std::array kDirections{PolicyDirection::Ingress, PolicyDirection::Egress};

std::string chain_name(const ObjectName& policy, PolicyDirection direction) {
  return policy.to_string() + (direction == PolicyDirection::Ingress ? " ingress" : " egress");
}

std::string service_name(const std::tuple<std::string, PolicyProtocol, std::string>& key) {
  return fmt::format(
      "{:?}/{} of {}", std::get<2>(key), static_cast<int>(std::get<1>(key)), std::get<0>(key));
}

std::string block_name(const IpBlock& block) {
  std::string name = block.block.to_string();
  for (const Cidr& except : block.except) {
    name += " but " + except.to_string();
  }
  return name;
}

Group pods_of(const Policy& policy) {
  return {.space = policy.id.space, .pods = policy.pods};
}

Group group_of(const Policy& policy, const PodPeer& peer) {
  return {.space = peer.spaces ? "" : policy.id.space, .spaces = peer.spaces, .pods = peer.pods};
}

bool is_chosen_by(const Pod& pod, const Policy& policy) {
  return pod.id.space == policy.id.space && policy.pods.fits(pod.labels);
}

// An empty list of either is one that asks for nothing.
std::size_t rule_count(const std::vector<Rule>& rules) {
  return std::accumulate(
      rules.begin(), rules.end(), std::size_t{0}, [](std::size_t sum, const Rule& rule) {
        return sum
               + std::max<std::size_t>(rule.peers.size(), 1)
                     * std::max<std::size_t>(rule.ports.size(), 1);
      });
}

template <class Map>
void drop(Map& map,
          const typename Map::key_type& key,
          std::string name,
          std::vector<std::string>& removed) {
  const auto found = map.find(key);
  WEFT_ASSERT(found != map.end());
  if (--found->second.references == 0) {
    if (!found->second.is_new) {
      removed.push_back(std::move(name));
    }
    map.erase(found);
  }
}

// What a set that goes to the filter for the first time, or that was there, has to say.
template <class Element>
void take_elements(bool is_new,
                   const std::string& name,
                   CountedSet<Element>& set,
                   std::map<std::string, PolicyElements<Element>>& out) {
  PolicyElements<Element> changes = set.take_changes();
  if (is_new) {
    changes = set.all();
  }
  if (!changes.added.empty() || !changes.removed.empty()) {
    out.emplace(name, std::move(changes));
  }
}

}  // namespace

std::string Group::to_string() const {
  return spaces ? fmt::format("pods {} of namespaces {}", pods.to_string(), spaces->to_string())
                : fmt::format("pods {} of {:?}", pods.to_string(), space);
}

// --- objects -------------------------------------------------------------------------------------

void Compiler::set(const Object& object) {
  std::visit(overloaded{
                 [this](const Pod& pod) { set_pod(pod); },
                 [this](const Namespace& space) { set_namespace(space); },
                 [this](const Policy& policy) { set_policy(policy); },
             },
             object);
}

void Compiler::set_pod(const Pod& said) {
  Pod pod = said;
  std::sort(pod.addresses.begin(), pod.addresses.end());
  pod.addresses.erase(std::unique(pod.addresses.begin(), pod.addresses.end()), pod.addresses.end());
  const auto known = pods_.find(pod.id);
  if (known != pods_.end() && known->second == pod) {
    return;
  }
  if (known == pods_.end() && pods_.size() >= kPodsMax) {
    ++over_limit_;
    return;
  }
  remove_pod(pod.id);
  pods_.emplace(pod.id, pod);
  enter(pod);
}

void Compiler::remove_pod(const ObjectName& id) {
  const auto known = pods_.find(id);
  if (known != pods_.end()) {
    leave(known->second);
    pods_.erase(known);
  }
}

void Compiler::set_namespace(const Namespace& space) {
  const auto known = namespaces_.find(space.name);
  if (known != namespaces_.end() && known->second == space.labels) {
    return;
  }
  if (known == namespaces_.end() && namespaces_.size() >= kNamespacesMax) {
    ++over_limit_;
    return;
  }
  for_pods_of(space.name, [this](const Pod& pod) { leave(pod); });
  namespaces_[space.name] = space.labels;
  for_pods_of(space.name, [this](const Pod& pod) { enter(pod); });
}

// Its pods and policies go by themselves.
void Compiler::remove_namespace(const std::string& name) {
  for_pods_of(name, [this](const Pod& pod) { leave(pod); });
  namespaces_.erase(name);
  for_pods_of(name, [this](const Pod& pod) { enter(pod); });
}

void Compiler::set_policy(const Policy& policy) {
  const auto known = policies_.find(policy.id);
  if (known != policies_.end() && known->second.policy == policy) {
    return;
  }
  if (known == policies_.end() && policies_.size() >= kPoliciesMax) {
    ++over_limit_;
    return;
  }
  Compiled made{.policy = policy};
  std::map<PolicyDirection, PolicyChain> chains;
  for (const PolicyDirection direction : kDirections) {
    if (policy.rules(direction)) {
      chains.emplace(direction, compile(policy, direction, made));
    }
  }
  // What both use is used throughout, and stays as it is.
  remove_policy(policy.id);
  for (auto& [direction, chain] : chains) {
    set_chain(chain_name(policy.id, direction), std::move(chain));
  }
  egress_policies_ += policy.egress ? 1U : 0U;
  policies_.emplace(policy.id, std::move(made));
  for_pods_of(policy.id.space, [this, &policy](const Pod& pod) {
    if (is_chosen_by(pod, policy)) {
      refreshed_.insert(pod.addresses.begin(), pod.addresses.end());
    }
  });
}

void Compiler::remove_policy(const ObjectName& id) {
  const auto known = policies_.find(id);
  if (known == policies_.end()) {
    return;
  }
  const Compiled gone = std::move(known->second);
  policies_.erase(known);
  drop_uses(gone);
  for (const PolicyDirection direction : kDirections) {
    if (gone.policy.rules(direction)) {
      remove_chain(chain_name(id, direction));
    }
  }
  egress_policies_ -= gone.policy.egress ? 1U : 0U;
  for_pods_of(id.space, [this, &gone](const Pod& pod) {
    if (is_chosen_by(pod, gone.policy)) {
      refreshed_.insert(pod.addresses.begin(), pod.addresses.end());
    }
  });
}

// --- pods in groups ------------------------------------------------------------------------------

bool Compiler::fits(const Group& group, const Pod& pod) const {
  if (!group.pods.fits(pod.labels)) {
    return false;
  }
  if (!group.spaces) {
    return pod.id.space == group.space;
  }
  const auto space = namespaces_.find(pod.id.space);
  return space != namespaces_.end() && group.spaces->fits(space->second);
}

void Compiler::enter(const Pod& pod) {
  for (const Ip& address : pod.addresses) {
    owners_[address].insert(pod.id);
    refreshed_.insert(address);
  }
  for (auto& [name, state] : groups_) {
    if (fits(state.group, pod)) {
      for (const Ip& address : pod.addresses) {
        state.addresses.add(address);
      }
    }
  }
  for (auto& [key, state] : services_) {
    if (fits(state.group, pod)) {
      for (const PolicyService& service : services_of(key, pod)) {
        state.services.add(service);
      }
    }
  }
}

void Compiler::leave(const Pod& pod) {
  for (const Ip& address : pod.addresses) {
    const auto owners = owners_.find(address);
    owners->second.erase(pod.id);
    if (owners->second.empty()) {
      owners_.erase(owners);
    }
    refreshed_.insert(address);
  }
  for (auto& [name, state] : groups_) {
    if (fits(state.group, pod)) {
      for (const Ip& address : pod.addresses) {
        state.addresses.remove(address);
      }
    }
  }
  for (auto& [key, state] : services_) {
    if (fits(state.group, pod)) {
      for (const PolicyService& service : services_of(key, pod)) {
        state.services.remove(service);
      }
    }
  }
}

void Compiler::for_pods_of(const std::string& space,
                           const std::function<void(const Pod&)>& visit) const {
  for (auto pod = pods_.lower_bound({space, ""}); pod != pods_.end() && pod->first.space == space;
       ++pod) {
    visit(pod->second);
  }
}

std::vector<PolicyService> Compiler::services_of(const ServiceKey& key, const Pod& pod) {
  std::vector<PolicyService> services;
  for (const NamedPort& port : pod.ports) {
    if (port.protocol == std::get<1>(key) && port.name == std::get<2>(key)) {
      for (const Ip& address : pod.addresses) {
        services.push_back({address, port.protocol, port.port});
      }
    }
  }
  return services;
}

// --- policies ------------------------------------------------------------------------------------

PolicyChain Compiler::compile(const Policy& policy, PolicyDirection direction, Compiled& uses) {
  PolicyChain chain{.direction = direction, .rules = {}};
  // Before any is made: one rule of a megabyte would be thousands of millions.
  if (rule_count(*policy.rules(direction)) > kRulesMax) {
    ++over_limit_;
    return chain;
  }
  for (const Rule& rule : *policy.rules(direction)) {
    add_rules(policy, direction, rule, uses, chain);
  }
  return chain;
}

void Compiler::add_rules(const Policy& policy,
                         PolicyDirection direction,
                         const Rule& rule,
                         Compiled& uses,
                         PolicyChain& chain) {
  std::vector<PeerRule> peers;
  for (const Peer& peer : rule.peers) {
    peers.push_back(peer_rule(policy, peer, uses));
  }
  if (peers.empty()) {
    // Everybody. As the other end of a named port: every pod, since only pods name ports.
    peers.push_back({.rule = {.comment = "anybody"}, .group = Group{.spaces = Selector{}}});
  }
  const bool is_ingress = direction == PolicyDirection::Ingress;
  for (PeerRule& peer : peers) {
    peer.rule.comment = fmt::format("{}: {} {}",
                                    chain_name(policy.id, direction),
                                    is_ingress ? "from" : "to",
                                    peer.rule.comment);
    if (rule.ports.empty()) {
      chain.rules.push_back(peer.rule);
    }
    for (const Port& port : rule.ports) {
      PolicyRule made = peer.rule;
      if (const auto* const ports = std::get_if<PolicyPorts>(&port)) {
        made.ports = *ports;
      } else if (is_ingress || peer.group) {
        made.services = use_services(
            is_ingress ? pods_of(policy) : *peer.group, std::get<PortName>(port), uses);
      } else {
        continue;  // Addresses outside name no ports.
      }
      chain.rules.push_back(std::move(made));
    }
  }
}

Compiler::PeerRule Compiler::peer_rule(const Policy& policy, const Peer& peer, Compiled& uses) {
  PeerRule made;
  if (const auto* const pods = std::get_if<PodPeer>(&peer)) {
    made.group = group_of(policy, *pods);
    made.rule.group = use_group(*made.group, uses);
    made.rule.comment = *made.rule.group;
  } else {
    made.rule.blocks = use_block(std::get<IpBlock>(peer), uses);
    made.rule.comment = *made.rule.blocks;
  }
  return made;
}

std::string Compiler::use_group(const Group& group, Compiled& uses) {
  std::string name = group.to_string();
  if (!uses.groups.insert(name).second) {
    return name;
  }
  auto [found, is_new] = groups_.try_emplace(name, GroupState{.group = group});
  ++found->second.references;
  if (is_new) {
    const auto add = [this, &state = found->second](const Pod& pod) {
      if (fits(state.group, pod)) {
        for (const Ip& address : pod.addresses) {
          state.addresses.add(address);
        }
      }
    };
    for_pods_that_may_fit(group, add);
  }
  return name;
}

std::string Compiler::use_services(const Group& group, const PortName& port, Compiled& uses) {
  const ServiceKey key(group.to_string(), port.protocol, port.name);
  if (!uses.services.insert(key).second) {
    return service_name(key);
  }
  auto [found, is_new] = services_.try_emplace(key, ServiceState{.group = group});
  ++found->second.references;
  if (is_new) {
    const auto add = [this, &key, &state = found->second](const Pod& pod) {
      if (fits(state.group, pod)) {
        for (const PolicyService& service : services_of(key, pod)) {
          state.services.add(service);
        }
      }
    };
    for_pods_that_may_fit(group, add);
  }
  return service_name(key);
}

void Compiler::for_pods_that_may_fit(const Group& group,
                                     const std::function<void(const Pod&)>& visit) const {
  if (!group.spaces) {
    for_pods_of(group.space, visit);
    return;
  }
  for (const auto& [id, pod] : pods_) {
    visit(pod);
  }
}

std::string Compiler::use_block(const IpBlock& block, Compiled& uses) {
  std::string name = block_name(block);
  if (uses.blocks.insert(name).second) {
    auto [found, is_new] = blocks_.try_emplace(name);
    ++found->second.references;
    if (is_new) {
      found->second.ranges = ranges_of(block);
    }
  }
  return name;
}

void Compiler::drop_uses(const Compiled& uses) {
  for (const std::string& name : uses.groups) {
    drop(groups_, name, name, groups_removed_);
  }
  for (const ServiceKey& key : uses.services) {
    drop(services_, key, service_name(key), services_removed_);
  }
  for (const std::string& name : uses.blocks) {
    drop(blocks_, name, name, blocks_removed_);
  }
}

void Compiler::set_chain(const std::string& name, PolicyChain chain) {
  // Where the filter still has one of that name, this replaces its rules.
  const bool was_there = chains_removed_.erase(name) != 0;
  chains_.emplace(name, ChainState{.chain = std::move(chain), .is_new = !was_there});
}

void Compiler::remove_chain(const std::string& name) {
  const auto found = chains_.find(name);
  WEFT_ASSERT(found != chains_.end());
  if (!found->second.is_new) {
    chains_removed_.insert(name);
  }
  chains_.erase(found);
}

// --- what changed --------------------------------------------------------------------------------

std::optional<PolicyProfile> Compiler::profile_of(const Ip& address,
                                                  PolicyDirection direction) const {
  const auto owners = owners_.find(address);
  if (owners == owners_.end()) {
    return std::nullopt;
  }
  // Two pods may have one address for a moment, while news of the first's end are under way.
  std::set<std::string> chains;
  for (const ObjectName& id : owners->second) {
    const Pod& pod = pods_.at(id);
    for (auto each = policies_.lower_bound({id.space, ""});
         each != policies_.end() && each->first.space == id.space;
         ++each) {
      const Policy& policy = each->second.policy;
      if (policy.rules(direction) && policy.pods.fits(pod.labels)) {
        chains.insert(chain_name(policy.id, direction));
      }
    }
  }
  return PolicyProfile(chains.begin(), chains.end());
}

std::map<Ip, std::optional<PolicyProfile>> Compiler::take_profiles(PolicyDirection direction,
                                                                   Profiles& told) const {
  std::map<Ip, std::optional<PolicyProfile>> changes;
  for (const Ip& address : refreshed_) {
    std::optional<PolicyProfile> is = profile_of(address, direction);
    const auto was = told.find(address);
    if (!is) {
      if (was != told.end()) {
        told.erase(was);
        changes.emplace(address, std::nullopt);
      }
    } else if (was == told.end() || was->second != *is) {
      told[address] = *is;
      changes.emplace(address, std::move(is));
    }
  }
  return changes;
}

PolicyChanges Compiler::take_changes() {
  PolicyChanges changes;
  changes.groups_removed = std::exchange(groups_removed_, {});
  changes.services_removed = std::exchange(services_removed_, {});
  changes.blocks_removed = std::exchange(blocks_removed_, {});
  changes.chains_removed.assign(chains_removed_.begin(), chains_removed_.end());
  chains_removed_.clear();
  for (auto& [name, state] : groups_) {
    if (state.is_new) {
      changes.groups_made.push_back(name);
    }
    take_elements(std::exchange(state.is_new, false), name, state.addresses, changes.groups);
  }
  for (auto& [key, state] : services_) {
    const std::string name = service_name(key);
    if (state.is_new) {
      changes.services_made.push_back(name);
    }
    take_elements(std::exchange(state.is_new, false), name, state.services, changes.services);
  }
  for (auto& [name, state] : blocks_) {
    if (std::exchange(state.is_new, false)) {
      changes.blocks_made.emplace(name, state.ranges);
    }
  }
  for (auto& [name, state] : chains_) {
    state.is_new = false;
    if (std::exchange(state.is_changed, false)) {
      changes.chains.emplace(name, state.chain);
    }
  }
  changes.ingress = take_profiles(PolicyDirection::Ingress, told_ingress_);
  changes.egress = take_profiles(PolicyDirection::Egress, told_egress_);
  refreshed_.clear();
  const bool closes = egress_policies_ > 0;
  if (told_closed_ != closes) {
    changes.closes_egress = closes;
    told_closed_ = closes;
  }
  return changes;
}

PolicyChanges Compiler::take_everything() {
  groups_removed_.clear();
  services_removed_.clear();
  blocks_removed_.clear();
  chains_removed_.clear();
  const auto renew = [](auto& map) {
    for (auto& [name, state] : map) {
      state.is_new = true;
    }
  };
  renew(groups_);
  renew(services_);
  renew(blocks_);
  renew(chains_);
  for (auto& [name, state] : chains_) {
    state.is_changed = true;
  }
  for (const auto& [address, owners] : owners_) {
    refreshed_.insert(address);
  }
  told_ingress_.clear();
  told_egress_.clear();
  told_closed_.reset();
  return take_changes();
}

Compiler::Stats Compiler::stats() const {
  return {.pods = pods_.size(),
          .namespaces = namespaces_.size(),
          .policies = policies_.size(),
          .groups = groups_.size(),
          .over_limit = over_limit_};
}

void Compiler::check_invariants() const {
  std::map<std::string, std::size_t> groups;
  std::map<ServiceKey, std::size_t> services;
  std::map<std::string, std::size_t> blocks;
  for (const auto& [id, compiled] : policies_) {
    WEFT_ASSERT(compiled.policy.id == id);
    for (const std::string& name : compiled.groups) {
      ++groups[name];
    }
    for (const ServiceKey& key : compiled.services) {
      ++services[key];
    }
    for (const std::string& name : compiled.blocks) {
      ++blocks[name];
    }
  }
  const auto is_counted = [](const auto& map, const auto& uses) {
    WEFT_ASSERT(map.size() == uses.size());
    for (const auto& [key, state] : map) {
      WEFT_ASSERT(state.references == uses.at(key));
    }
  };
  is_counted(groups_, groups);
  is_counted(services_, services);
  is_counted(blocks_, blocks);
  for (const auto& [id, pod] : pods_) {
    for (const Ip& address : pod.addresses) {
      WEFT_ASSERT(owners_.at(address).contains(id));
    }
  }
}

}  // namespace weft::policy
