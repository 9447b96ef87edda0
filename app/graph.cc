#include "app/graph.h"

#include <algorithm>

#include "app/facts.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::Direction;
using probe::FlowFacts;
using probe::FlowKey;
using probe::HostReport;
using probe::PortMapping;
using probe::Report;

EdgeFacts outward(const FlowFacts& flow) {
  return {.count = flow.count,
          .sent_per_second = flow.sent_per_second,
          .received_per_second = flow.received_per_second,
          .retransmits = flow.retransmits,
          .rtt_us = flow.rtt_us,
          .opened = flow.opened,
          .failed = flow.failed,
          .sent = flow.sent,
          .received = flow.received};
}

EdgeFacts inward(const FlowFacts& flow) {
  EdgeFacts facts = outward(flow);
  std::swap(facts.sent_per_second, facts.received_per_second);
  std::swap(facts.sent, facts.received);
  return facts;
}

// Maps that an ambiguous address must not lead through: the second claim to a key voids it.
template <class Key, class Value>
class UniqueMap {
 public:
  void add(const Key& key, const Value& value) {
    const auto [at, is_new] = map_.try_emplace(key, value);
    if (!is_new && at->second != value) {
      at->second.reset();
    }
  }
  std::optional<Value> find(const Key& key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? std::nullopt : found->second;
  }

 private:
  std::map<Key, std::optional<Value>> map_;
};

class Resolver {
 public:
  explicit Resolver(const Report& report) : report_(report) {
    for (const auto& [name, host] : report.hosts()) {
      index_addresses(host);
      index_servers(host);
    }
  }

  Edges resolve() {
    for (const auto& [name, host] : report_.hosts()) {
      for (const auto& [key, facts] : host.flows) {
        if (key.direction == Direction::Outbound) {
          edges_[outbound_edge(host, key)] += outward(facts);
        }
      }
    }
    for (const auto& [key, facts] : edges_) {
      reported_.insert(coarse(key));
    }
    for (const auto& [name, host] : report_.hosts()) {
      for (const auto& [key, facts] : host.flows) {
        if (key.direction == Direction::Inbound) {
          add_inbound(host, key, facts);
        }
      }
    }
    return std::move(edges_);
  }

 private:
  struct Target {
    Party party;
    Ip address;  // As the server sees it, if not translated.
    std::uint16_t port = 0;
    bool translated = false;
  };
  using Scoped = std::pair<PeerName, Ip>;
  using Service = std::tuple<PeerName, std::string, Transport, std::uint16_t>;
  using Published = std::tuple<PeerName, Transport, std::uint16_t>;
  using Coarse = std::tuple<Party, Party, Transport>;
  using Place = std::tuple<PeerName, std::uint64_t, Ip, Transport, std::uint16_t>;
  using Inside = std::tuple<PeerName, std::uint64_t, Ip, Ip, Transport, std::uint16_t>;
  using Answerer = std::pair<std::string, std::uint32_t>;  // Container, process.

  static Party local_party(const HostReport& host, const FlowKey& key) {
    return {.kind = Party::Kind::Known,
            .host = host.origin,
            .container = key.container,
            .pid = key.pid};
  }

  static Coarse coarse(const EdgeKey& key) {
    EdgeKey blurred = key;
    blurred.from.pid = 0;
    blurred.to.pid = 0;
    return {blurred.from, blurred.to, key.transport};
  }

  void index_addresses(const HostReport& host) {
    std::set<Ip> overlay;
    for (const probe::EndpointFacts& endpoint : host.overlay.endpoints) {
      overlay.insert(endpoint.addresses.begin(), endpoint.addresses.end());
    }
    for (const ContainerFacts& container : host.containers) {
      if (container.host_network) {
        on_host_network_.insert({host.origin, container.id});
      }
      if (container.host_network || !is_up(container)) {
        continue;
      }
      const ContainerRef ref{host.origin, container.id};
      for (const Ip& address : container.addresses) {
        local_.add({host.origin, address}, ref);
        if (overlay.contains(address)) {
          global_.add(address, ref);
        }
      }
      for (const PortMapping& port : container.ports) {
        if (port.outside.port != 0) {
          published_.add({host.origin, port.transport, port.outside.port}, {ref, port.inside});
        }
      }
    }
    for (const Cidr& network : host.host.networks) {
      networks_.insert(network.network());
      own_.insert({host.origin, network.address()});
      host_of_.add(network.address(), host.origin);
    }
    if (const auto range = Cidr::parse(host.overlay.range); range.ok()) {
      networks_.insert(range.value().network());
    }
  }

  void index_servers(const HostReport& host) {
    for (const auto& [key, facts] : host.flows) {
      if (key.direction == Direction::Outbound) {
        asked_.insert(from_inside(host.origin, key, key.remote, key.local));
        continue;
      }
      if (key.pid != 0) {
        servers_[{host.origin, key.container, key.transport, key.port}].insert(
            {key.remote, key.pid});
      }
      if (key.pid != 0 || !key.container.empty()) {
        note_answering(host, key);
      }
    }
  }

  // A socket for datagrams that is bound to no address answers at all of its namespace's.
  void note_answering(const HostReport& host, const FlowKey& key) {
    const auto note = [&](const Ip& address) {
      answering_[at_address(host.origin, key, address)].insert(
          {key.remote, {key.container, key.pid}});
    };
    if (!key.local.is_unspecified()) {
      return note(key.local);
    }
    note(key.remote);  // If it is on the loopback, or asks itself.
    if (key.container.empty() || on_host_network_.contains({host.origin, key.container})) {
      for (const Cidr& network : host.host.networks) {
        note(network.address());
      }
    }
  }

  // An address is one place on a host but for those of the loopback, which every network namespace
  // has for itself.
  static Place at_address(PeerName host, const FlowKey& key, const Ip& address) {
    return {host, address.is_loopback() ? key.netns : 0, address, key.transport, key.port};
  }
  static Inside from_inside(PeerName host, const FlowKey& key, const Ip& server, const Ip& client) {
    return {host, key.netns, server, client, key.transport, key.port};
  }

  // Who answers at an address whose owner does not tell which container it is: that of the host, or
  // of a network namespace that several share. The one with a connection from this very address,
  // else the only one.
  std::optional<Answerer> answerer(const Place& place, const Ip& from) const {
    const auto found = answering_.find(place);
    if (found == answering_.end()) {
      return std::nullopt;
    }
    std::set<Answerer> exact;
    std::set<Answerer> all;
    for (const auto& [remote, who] : found->second) {
      all.insert(who);
      if (remote == from) {
        exact.insert(who);
      }
    }
    const std::set<Answerer>& candidates = exact.empty() ? all : exact;
    if (candidates.size() == 1) {
      return *candidates.begin();
    }
    // Several processes of one container, as where a server forks.
    const std::string& container = candidates.begin()->first;
    return container == candidates.rbegin()->first ? std::optional(Answerer(container, 0))
                                                   : std::nullopt;
  }

  // The process that answers: the one with a connection from this very address, else the only one.
  std::uint32_t server_pid(const Party& to,
                           Transport transport,
                           const Target& target,
                           const Ip& from) const {
    const auto found = servers_.find({to.host, to.container, transport, target.port});
    if (found == servers_.end()) {
      return 0;
    }
    std::set<std::uint32_t> exact;
    std::set<std::uint32_t> all;
    for (const auto& [remote, pid] : found->second) {
      all.insert(pid);
      if (remote == from) {
        exact.insert(pid);
      }
    }
    if (exact.size() == 1) {
      return *exact.begin();
    }
    return exact.empty() && all.size() == 1 ? *all.begin() : 0;
  }

  bool is_local_network(const Ip& address) const {
    return address.is_loopback()
           || std::any_of(networks_.begin(), networks_.end(), [&](const Cidr& network) {
                return network.is_v4() == address.is_v4() && network.contains(address);
              });
  }

  // Whether both ends are in one network namespace.
  static bool is_inside(const FlowKey& key, const Ip& address) {
    return address.is_loopback() || address == key.local;
  }

  std::optional<PeerName> host_at(PeerName reporter, const Ip& address) const {
    if (own_.contains({reporter, address})) {
      return reporter;
    }
    return host_of_.find(address);
  }

  // Who is at `address` as seen from a host, on whichever port.
  Party party_at(const HostReport& host, const FlowKey& key, const Ip& address) const {
    if (is_inside(key, address)) {
      // The host's network is nobody's in particular.
      const bool is_shared = on_host_network_.contains({host.origin, key.container});
      return {.kind = Party::Kind::Known,
              .host = host.origin,
              .container = is_shared ? std::string() : key.container};
    }
    auto container = local_.find({host.origin, address});
    if (!container) {
      container = global_.find(address);
    }
    if (container) {
      return {.kind = Party::Kind::Known, .host = container->host, .container = container->id};
    }
    if (const auto at = host_at(host.origin, address)) {
      return {.kind = Party::Kind::Known, .host = *at};
    }
    return {.kind = is_local_network(address) ? Party::Kind::LocalNetwork : Party::Kind::Internet};
  }

  EdgeKey outbound_edge(const HostReport& host, const FlowKey& key) const {
    Target target{
        .party = party_at(host, key, key.remote), .address = key.remote, .port = key.port};
    const bool is_host = target.party.kind == Party::Kind::Known && target.party.container.empty();
    if (is_host && !key.remote.is_loopback()) {
      if (const auto mapped = published_.find({target.party.host, key.transport, key.port})) {
        target.party = {
            .kind = Party::Kind::Known, .host = mapped->first.host, .container = mapped->first.id};
        target.port = mapped->second;
        target.translated = true;
      }
    }
    if (target.party.kind == Party::Kind::Known) {
      const bool by_address = !target.translated && (is_host || is_inside(key, key.remote));
      const auto found = by_address
                             ? answerer(at_address(target.party.host, key, key.remote), key.local)
                             : std::nullopt;
      if (found) {
        target.party.container = found->first;
        target.party.pid = found->second;
      } else {
        target.party.pid = server_pid(target.party, key.transport, target, key.local);
      }
    }
    return {.from = local_party(host, key),
            .to = target.party,
            .transport = key.transport,
            .port = key.port};
  }

  // Only what no client's host has told: clients outside, and those whose flow was missed.
  void add_inbound(const HostReport& host, const FlowKey& key, const FlowFacts& facts) {
    EdgeKey edge{.from = party_at(host, key, key.remote),
                 .to = local_party(host, key),
                 .transport = key.transport,
                 .port = key.port};
    const bool is_outside = edge.from.kind != Party::Kind::Known;
    // A host's address may be the mask of one of its containers (source NAT), whose flow was told.
    const bool may_be_masked = !is_outside && edge.from.container.empty();
    // Its client may be another container of the same network namespace.
    const bool is_told = asked_.contains(from_inside(host.origin, key, key.local, key.remote));
    if (!is_outside && (may_be_masked || is_told || reported_.contains(coarse(edge)))) {
      return;
    }
    edges_[edge] += inward(facts);
  }

  const Report& report_;
  UniqueMap<Scoped, ContainerRef> local_;  // Containers, by address on their host.
  UniqueMap<Ip, ContainerRef> global_;     // Those on the overlay, by address anywhere.
  UniqueMap<Ip, PeerName> host_of_;
  UniqueMap<Published, std::pair<ContainerRef, std::uint16_t>> published_;
  std::set<Scoped> own_;     // Addresses of hosts.
  std::set<Cidr> networks_;  // Attached to some host, or the overlay.
  std::map<Service, std::set<std::pair<Ip, std::uint32_t>>> servers_;
  std::map<Place, std::set<std::pair<Ip, Answerer>>> answering_;
  std::set<Inside> asked_;                                      // Outbound flows.
  std::set<std::pair<PeerName, std::string>> on_host_network_;  // Containers.
  std::set<Coarse> reported_;
  Edges edges_;
};

}  // namespace

EdgeFacts& EdgeFacts::operator+=(const EdgeFacts& other) {
  count += other.count;
  sent_per_second += other.sent_per_second;
  received_per_second += other.received_per_second;
  retransmits += other.retransmits;
  rtt_us = std::max(rtt_us, other.rtt_us);
  opened += other.opened;
  failed += other.failed;
  sent += other.sent;
  received += other.received;
  return *this;
}

Edges resolve_edges(const Report& report) {
  return Resolver(report).resolve();
}

}  // namespace weft::app
