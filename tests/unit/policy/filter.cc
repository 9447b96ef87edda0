#include "tests/unit/policy/filter.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::policy {
namespace {

template <class Element>
void change(std::set<Element>& set, const PolicyElements<Element>& changes) {
  for (const Element& element : changes.removed) {
    WEFT_ASSERT(set.erase(element) == 1);
  }
  for (const Element& element : changes.added) {
    WEFT_ASSERT(set.insert(element).second);
  }
}

void change(std::map<Ip, PolicyProfile>& profiles,
            const std::map<Ip, std::optional<PolicyProfile>>& changes) {
  for (const auto& [address, profile] : changes) {
    if (profile) {
      profiles[address] = *profile;
    } else {
      WEFT_ASSERT(profiles.erase(address) == 1);
    }
  }
}

template <class Map>
void remove(Map& map, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    WEFT_ASSERT(map.erase(name) == 1);
  }
}

}  // namespace

// --- what the filter has -------------------------------------------------------------------------

void Filter::apply(const PolicyChanges& changes) {
  remove(groups_, changes.groups_removed);
  remove(services_, changes.services_removed);
  remove(blocks_, changes.blocks_removed);
  remove(chains_, changes.chains_removed);
  for (const std::string& name : changes.groups_made) {
    WEFT_ASSERT(groups_.try_emplace(name).second);
  }
  for (const auto& [name, elements] : changes.groups) {
    change(groups_.at(name), elements);
  }
  for (const std::string& name : changes.services_made) {
    WEFT_ASSERT(services_.try_emplace(name).second);
  }
  for (const auto& [name, elements] : changes.services) {
    change(services_.at(name), elements);
  }
  for (const auto& [name, ranges] : changes.blocks_made) {
    WEFT_ASSERT(blocks_.emplace(name, ranges).second);
  }
  for (const auto& [name, chain] : changes.chains) {
    chains_[name] = chain;
  }
  change(ingress_, changes.ingress);
  change(egress_, changes.egress);
  closes_egress_ = changes.closes_egress.value_or(closes_egress_);
  check_references();
}

void Filter::check_references() const {
  for (const auto& [name, chain] : chains_) {
    for (const PolicyRule& rule : chain.rules) {
      WEFT_ASSERT(!rule.group || groups_.contains(*rule.group));
      WEFT_ASSERT(!rule.blocks || blocks_.contains(*rule.blocks));
      WEFT_ASSERT(!rule.services || services_.contains(*rule.services));
    }
  }
  for (const auto* const profiles : {&ingress_, &egress_}) {
    for (const auto& [address, profile] : *profiles) {
      for (const std::string& chain : profile) {
        WEFT_ASSERT(chains_.contains(chain));
      }
    }
  }
}

bool Filter::fits(const PolicyRule& rule, PolicyDirection direction, const Packet& packet) const {
  const Ip& peer = direction == PolicyDirection::Ingress ? packet.source : packet.destination;
  if (rule.group && !groups_.at(*rule.group).contains(peer)) {
    return false;
  }
  if (rule.blocks) {
    const auto& ranges = blocks_.at(*rule.blocks);
    if (std::none_of(ranges.begin(), ranges.end(), [&peer](const PolicyRange& range) {
          return range.first <= peer && peer <= range.last;
        })) {
      return false;
    }
  }
  if (rule.ports
      && (rule.ports->protocol != packet.protocol || packet.port < rule.ports->first
          || packet.port > rule.ports->last)) {
    return false;
  }
  return !rule.services
         || services_.at(*rule.services)
                .contains({packet.destination, packet.protocol, packet.port});
}

bool Filter::passes(const PolicyProfile& profile,
                    PolicyDirection direction,
                    const Packet& packet) const {
  return profile.empty()
         || std::any_of(profile.begin(), profile.end(), [&](const std::string& name) {
              const PolicyChain& chain = chains_.at(name);
              WEFT_ASSERT(chain.direction == direction);
              return std::any_of(
                  chain.rules.begin(), chain.rules.end(), [&](const PolicyRule& rule) {
                    return fits(rule, direction, packet);
                  });
            });
}

bool Filter::may_enter(const Packet& packet) const {
  const auto profile = ingress_.find(packet.destination);
  return profile != ingress_.end() && passes(profile->second, PolicyDirection::Ingress, packet);
}

bool Filter::may_leave(const Packet& packet) const {
  const auto profile = egress_.find(packet.source);
  return profile == egress_.end() ? !closes_egress_
                                  : passes(profile->second, PolicyDirection::Egress, packet);
}

// --- what the objects say ------------------------------------------------------------------------

std::vector<Pod> Objects::pods_at(const Ip& address) const {
  std::vector<Pod> found;
  for (const auto& [id, pod] : pods) {
    if (std::find(pod.addresses.begin(), pod.addresses.end(), address) != pod.addresses.end()) {
      found.push_back(pod);
    }
  }
  return found;
}

bool Objects::is_peer(const Policy& policy, const Peer& peer, const Ip& address) const {
  if (const auto* const block = std::get_if<IpBlock>(&peer)) {
    return block->block.contains(address)
           && std::none_of(block->except.begin(), block->except.end(), [&](const Cidr& except) {
                return except.contains(address);
              });
  }
  const auto& wanted = std::get<PodPeer>(peer);
  for (const Pod& pod : pods_at(address)) {
    const auto space = namespaces.find(pod.id.space);
    const bool is_in = wanted.spaces
                           ? space != namespaces.end() && wanted.spaces->fits(space->second.labels)
                           : pod.id.space == policy.id.space;
    if (is_in && wanted.pods.fits(pod.labels)) {
      return true;
    }
  }
  return false;
}

bool Objects::is_port(const Port& port,
                      const Packet& packet,
                      const std::vector<Pod>& named_by) const {
  if (const auto* const ports = std::get_if<PolicyPorts>(&port)) {
    return ports->protocol == packet.protocol && packet.port >= ports->first
           && packet.port <= ports->last;
  }
  const auto& wanted = std::get<PortName>(port);
  return std::any_of(named_by.begin(), named_by.end(), [&](const Pod& pod) {
    return std::any_of(pod.ports.begin(), pod.ports.end(), [&](const NamedPort& named) {
      return named.name == wanted.name && named.protocol == wanted.protocol
             && named.protocol == packet.protocol && named.port == packet.port;
    });
  });
}

bool Objects::is_allowed(const Policy& policy,
                         PolicyDirection direction,
                         const Packet& packet) const {
  const bool is_ingress = direction == PolicyDirection::Ingress;
  const Ip& other = is_ingress ? packet.source : packet.destination;
  // A named port is one of the pods the packet goes to, as far as the rule speaks of them.
  const auto named_by = [&](const Peer* peer) {
    std::vector<Pod> pods_there = pods_at(packet.destination);
    std::erase_if(pods_there, [&](const Pod& pod) {
      if (is_ingress) {
        return pod.id.space != policy.id.space || !policy.pods.fits(pod.labels);
      }
      if (peer == nullptr) {
        return !namespaces.contains(pod.id.space);
      }
      const auto* const wanted = std::get_if<PodPeer>(peer);
      const auto space = namespaces.find(pod.id.space);
      return wanted == nullptr || !wanted->pods.fits(pod.labels)
             || (wanted->spaces
                     ? space == namespaces.end() || !wanted->spaces->fits(space->second.labels)
                     : pod.id.space != policy.id.space);
    });
    return pods_there;
  };
  for (const Rule& rule : *policy.rules(direction)) {
    std::vector<const Peer*> peers;
    for (const Peer& peer : rule.peers) {
      if (is_peer(policy, peer, other)) {
        peers.push_back(&peer);
      }
    }
    if (rule.peers.empty()) {
      peers.push_back(nullptr);
    }
    for (const Peer* const peer : peers) {
      if (rule.ports.empty()
          || std::any_of(rule.ports.begin(), rule.ports.end(), [&](const Port& port) {
               return is_port(port, packet, named_by(peer));
             })) {
        return true;
      }
    }
  }
  return false;
}

bool Objects::passes(PolicyDirection direction, const Packet& packet) const {
  const Ip& own = direction == PolicyDirection::Ingress ? packet.destination : packet.source;
  bool is_chosen = false;
  for (const Pod& pod : pods_at(own)) {
    for (const auto& [id, policy] : policies) {
      if (policy.rules(direction) && id.space == pod.id.space && policy.pods.fits(pod.labels)) {
        is_chosen = true;
        if (is_allowed(policy, direction, packet)) {
          return true;
        }
      }
    }
  }
  return !is_chosen;
}

bool Objects::may_enter(const Packet& packet) const {
  return !pods_at(packet.destination).empty() && passes(PolicyDirection::Ingress, packet);
}

bool Objects::may_leave(const Packet& packet) const {
  const bool closes = std::any_of(policies.begin(), policies.end(), [](const auto& each) {
    return each.second.egress.has_value();
  });
  return pods_at(packet.source).empty() ? !closes : passes(PolicyDirection::Egress, packet);
}

}  // namespace weft::policy
