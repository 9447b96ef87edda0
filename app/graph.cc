#include "app/graph.h"

#include <algorithm>
#include <iterator>
#include <string_view>

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

// What several say of one thing, as long as they say the same.
template <class Value>
class Agreed {
 public:
  void add(const Value& value) {
    if (!is_said_) {
      value_ = value;
      is_said_ = true;
    } else if (value_ && *value_ != value) {
      value_.reset();
    }
  }
  const std::optional<Value>& value() const { return value_; }

 private:
  std::optional<Value> value_;
  bool is_said_ = false;
};

// Maps that an ambiguous address must not lead through: the second claim to a key voids it.
template <class Key, class Value>
class UniqueMap {
 public:
  void add(const Key& key, const Value& value) { map_[key].add(value); }
  std::optional<Value> find(const Key& key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? std::nullopt : found->second.value();
  }

 private:
  std::map<Key, Agreed<Value>> map_;
};

// Edges are many, and most hosts and containers have several: what is looked up for each is found
// without a copy of an id. The report outlives this.
class Resolver {
 public:
  explicit Resolver(const Report& report) : report_(report) {
    for (const auto& [name, host] : report.hosts()) {
      index_addresses(host);
      index_servers(host);
    }
    std::sort(asked_.begin(), asked_.end());
  }

  Edges resolve() {
    for (const auto& [name, host] : report_.hosts()) {
      for (const auto& [key, facts] : host.flows) {
        if (key.direction == Direction::Outbound) {
          told_.emplace_back(outbound_edge(host, key), outward(facts));
        }
      }
    }
    for (const auto& [key, facts] : told_) {
      reported_.push_back(coarse(key));
    }
    std::sort(reported_.begin(), reported_.end());
    for (const auto& [name, host] : report_.hosts()) {
      for (const auto& [key, facts] : host.flows) {
        if (key.direction == Direction::Inbound) {
          add_inbound(host, key, facts);
        }
      }
    }
    return sum();
  }

 private:
  using ContainerAt = std::pair<PeerName, std::string_view>;  // Its id.
  struct Target {
    Party party;
    Ip address;  // As the server sees it, if not translated.
    std::uint16_t port = 0;
    bool translated = false;
  };
  using Scoped = std::pair<PeerName, Ip>;
  using Service = std::tuple<PeerName, std::string_view, Transport, std::uint16_t>;
  using Published = std::tuple<PeerName, Transport, std::uint16_t>;
  // Both ends, whichever their processes.
  using End = std::tuple<Party::Kind, PeerName, std::string_view>;
  using Coarse = std::tuple<End, End, Transport>;
  using Place = std::tuple<PeerName, std::uint64_t, Ip, Transport, std::uint16_t>;
  using Inside = std::tuple<PeerName, std::uint64_t, Ip, Ip, Transport, std::uint16_t>;
  using Answerer = std::pair<std::string_view, std::uint32_t>;  // Container, process.
  // Who serves, to all clients and to each.
  struct Servers {
    Agreed<std::uint32_t> of_all;
    std::map<Ip, Agreed<std::uint32_t>> of_client;
  };
  struct Answering {
    Agreed<Answerer> who;
    Agreed<std::string_view> container;  // Perhaps several processes of it.

    void add(const Answerer& answerer) {
      who.add(answerer);
      container.add(answerer.first);
    }
  };
  struct Answers {
    Answering to_all;
    std::map<Ip, Answering> to_client;
  };

  static Party local_party(const HostReport& host, const FlowKey& key) {
    return {.kind = Party::Kind::Known,
            .host = host.origin,
            .container = key.container,
            .pid = key.pid};
  }

  Edges sum() {
    std::move(told_by_servers_.begin(), told_by_servers_.end(), std::back_inserter(told_));
    std::sort(
        told_.begin(), told_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Edges edges;
    for (auto& [key, facts] : told_) {
      edges.try_emplace(edges.end(), std::move(key))->second += facts;
    }
    return edges;
  }

  static Coarse coarse(const EdgeKey& key) {
    return {{key.from.kind, key.from.host, key.from.container},
            {key.to.kind, key.to.host, key.to.container},
            key.transport};
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
      const ContainerAt ref{host.origin, container.id};
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
        asked_.push_back(from_inside(host.origin, key, key.remote, key.local));
        continue;
      }
      if (key.pid != 0) {
        Servers& servers = servers_[{host.origin, key.container, key.transport, key.port}];
        servers.of_all.add(key.pid);
        servers.of_client[key.remote].add(key.pid);
      }
      if (key.pid != 0 || !key.container.empty()) {
        note_answering(host, key);
      }
    }
  }

  // A socket for datagrams that is bound to no address answers at all of its namespace's.
  void note_answering(const HostReport& host, const FlowKey& key) {
    const auto note = [&](const Ip& address) {
      Answers& answers = answering_[at_address(host.origin, key, address)];
      answers.to_all.add({key.container, key.pid});
      answers.to_client[key.remote].add({key.container, key.pid});
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
    const auto exact = found->second.to_client.find(from);
    const Answering& answering =
        exact == found->second.to_client.end() ? found->second.to_all : exact->second;
    if (answering.who.value()) {
      return answering.who.value();
    }
    // Several processes of one container, as where a server forks.
    const auto& container = answering.container.value();
    return container ? std::optional(Answerer(*container, 0)) : std::nullopt;
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
    const auto exact = found->second.of_client.find(from);
    const Agreed<std::uint32_t>& pid =
        exact == found->second.of_client.end() ? found->second.of_all : exact->second;
    return pid.value().value_or(0);
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
      return {.kind = Party::Kind::Known,
              .host = container->first,
              .container = std::string(container->second)};
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
        target.party = {.kind = Party::Kind::Known,
                        .host = mapped->first.first,
                        .container = std::string(mapped->first.second)};
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
            .to = std::move(target.party),
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
    const bool is_told = std::binary_search(
        asked_.begin(), asked_.end(), from_inside(host.origin, key, key.local, key.remote));
    const auto is_reported = [&] {
      return std::binary_search(reported_.begin(), reported_.end(), coarse(edge));
    };
    if (!is_outside && (may_be_masked || is_told || is_reported())) {
      return;
    }
    told_by_servers_.emplace_back(std::move(edge), inward(facts));
  }

  const Report& report_;
  UniqueMap<Scoped, ContainerAt> local_;  // By address on their host.
  UniqueMap<Ip, ContainerAt> global_;     // Those on the overlay, by address anywhere.
  UniqueMap<Ip, PeerName> host_of_;
  UniqueMap<Published, std::pair<ContainerAt, std::uint16_t>> published_;
  std::set<Scoped> own_;     // Addresses of hosts.
  std::set<Cidr> networks_;  // Attached to some host, or the overlay.
  std::map<Service, Servers> servers_;
  std::map<Place, Answers> answering_;
  std::vector<Inside> asked_;  // Outbound flows, ascending.
  std::set<ContainerAt> on_host_network_;
  std::vector<std::pair<EdgeKey, EdgeFacts>> told_;  // By clients' hosts.
  std::vector<std::pair<EdgeKey, EdgeFacts>> told_by_servers_;
  std::vector<Coarse> reported_;  // Of told_, ascending.
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
