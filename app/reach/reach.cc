#include "app/reach/reach.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "app/facts.h"
#include "app/reach/subject.h"

namespace weft::app {

namespace json = boost::json;

namespace {

using probe::Direction;
using probe::FlowKey;
using probe::HostReport;
using probe::PathFacts;

// Between two hosts there may be as many as flows; the busiest are told, the others counted.
constexpr std::size_t kConnectionsMax = 256;
// Of one connection, as where a client has an address in each of many networks.
constexpr std::size_t kAddressesMax = 16;

// What carries a connection. Between hosts it is the overlay only if both ends call each other by
// addresses of it: a published port is asked for past it.
enum class Carrier : std::uint8_t { Host, Overlay, Underlay, Unknown };

std::string_view text_of(Carrier carrier) {
  switch (carrier) {
    case Carrier::Host:
      return "host";
    case Carrier::Overlay:
      return "overlay";
    case Carrier::Underlay:
      return "underlay";
    case Carrier::Unknown:
      break;
  }
  return "unknown";
}

// As the one that reports it saw them.
struct AddressPair {
  Ip client;
  Ip server;

  friend auto operator<=>(const AddressPair&, const AddressPair&) = default;
};

struct Connection {
  EdgeKey key;
  EdgeFacts facts;
  bool forth = true;  // Opened by `from`.
  std::set<AddressPair> addresses{};
  Carrier carrier = Carrier::Unknown;
};

// The flows of one end, by what an edge says of it.
class FlowIndex {
 public:
  explicit FlowIndex(const Subject& subject) {
    for (const auto& [key, facts] : subject.host->flows) {
      const Party party{.kind = Party::Kind::Known,
                        .host = subject.host->origin,
                        .container = key.container,
                        .pid = key.pid};
      if (subject.has(party)) {
        flows_[{party, key.direction, key.transport, key.port}].push_back(&key);
      }
    }
  }

  // Those of `end` with one of the addresses `others`.
  std::set<AddressPair> find(const EdgeKey& edge,
                             Direction direction,
                             const std::set<Ip>& others) const {
    const bool is_client = direction == Direction::Outbound;
    std::set<AddressPair> pairs;
    const auto found =
        flows_.find({is_client ? edge.from : edge.to, direction, edge.transport, edge.port});
    if (found == flows_.end()) {
      return pairs;
    }
    for (const FlowKey* key : found->second) {
      if (pairs.size() < kAddressesMax
          && (others.contains(key->remote) || key->remote.is_loopback())) {
        pairs.insert(is_client ? AddressPair{.client = key->local, .server = key->remote}
                               : AddressPair{.client = key->remote, .server = key->local});
      }
    }
    return pairs;
  }

 private:
  using Key = std::tuple<Party, Direction, Transport, std::uint16_t>;
  std::map<Key, std::vector<const FlowKey*>> flows_;
};

// The addresses that hosts give to what they have on the overlay.
std::set<Ip> endpoints_of(const HostReport& host) {
  std::set<Ip> all;
  for (const probe::EndpointFacts& endpoint : host.overlay.endpoints) {
    all.insert(endpoint.addresses.begin(), endpoint.addresses.end());
  }
  return all;
}

bool is_in_range(const HostReport& host, const Ip& address) {
  const auto range = Cidr::parse(host.overlay.range);
  return range.ok() && range.value().is_v4() == address.is_v4() && range.value().contains(address);
}

// All that is known between two, the busiest first.
class Between {
 public:
  Between(const Scene& scene, const Subject& from, const Subject& to)
      : scene_(scene),
        from_(from),
        to_(to),
        from_flows_(from),
        to_flows_(to) {
    for (const auto* host : {from.host, to.host}) {
      endpoints_.merge(endpoints_of(*host));
    }
    for (const auto& [key, facts] : scene.edges) {
      const bool is_forth = from.has(key.from) && to.has(key.to);
      if (is_forth || (to.has(key.from) && from.has(key.to))) {
        connections_.push_back({.key = key, .facts = facts, .forth = is_forth});
      }
    }
    const auto volume = [](const Connection& one) {
      return std::pair(one.facts.sent + one.facts.received, one.facts.count);
    };
    std::stable_sort(
        connections_.begin(), connections_.end(), [&](const Connection& a, const Connection& b) {
          return volume(a) > volume(b);
        });
    left_out_ = connections_.size() - std::min(connections_.size(), kConnectionsMax);
    connections_.resize(connections_.size() - left_out_);
    for (Connection& connection : connections_) {
      add_addresses(connection);
    }
  }

  const std::vector<Connection>& connections() const { return connections_; }
  std::size_t left_out() const { return left_out_; }

 private:
  // The client's host knows both ends' addresses best; where it has told nothing, the server's.
  void add_addresses(Connection& connection) const {
    const EdgeKey& key = connection.key;
    const Subject client = subject_of(scene_.report, key.from);
    const Subject server = subject_of(scene_.report, key.to);
    std::set<Ip> servers = addresses_of(server);
    servers.merge(addresses_of({.host = server.host}));  // Published ports are asked for there.
    const FlowIndex& clients_flows = connection.forth ? from_flows_ : to_flows_;
    connection.addresses = clients_flows.find(key, Direction::Outbound, servers);
    if (connection.addresses.empty()) {
      const FlowIndex& servers_flows = connection.forth ? to_flows_ : from_flows_;
      connection.addresses = servers_flows.find(key, Direction::Inbound, addresses_of(client));
    }
    connection.carrier = carrier_of(connection);
  }

  Carrier carrier_of(const Connection& connection) const {
    if (from_.host == to_.host) {
      return Carrier::Host;
    }
    if (connection.addresses.empty()) {
      return Carrier::Unknown;
    }
    const bool all_inside = std::all_of(
        connection.addresses.begin(), connection.addresses.end(), [this](const AddressPair& pair) {
          return is_overlay(pair.client) && is_overlay(pair.server);
        });
    return all_inside ? Carrier::Overlay : Carrier::Underlay;
  }

  bool is_overlay(const Ip& address) const {
    return endpoints_.contains(address) || is_in_range(*from_.host, address);
  }

  const Scene& scene_;
  const Subject& from_;
  const Subject& to_;
  FlowIndex from_flows_;
  FlowIndex to_flows_;
  std::set<Ip> endpoints_;
  std::vector<Connection> connections_;
  std::size_t left_out_ = 0;
};

const PathFacts* find_path(const HostReport& from, const HostReport& to) {
  const auto& paths = from.overlay.paths;
  const auto found = std::find_if(
      paths.begin(), paths.end(), [&](const PathFacts& path) { return path.peer == to.origin; });
  return found == paths.end() ? nullptr : &*found;
}

json::value or_null(std::uint32_t number) {
  return number == 0 ? json::value(nullptr) : json::value(number);
}

json::array array_of(const std::set<Ip>& addresses) {
  json::array array;
  for (const Ip& address : addresses) {
    array.emplace_back(address.to_string());
  }
  return array;
}

json::object name_json(const Subject& subject) {
  return {{"id", id_of(subject)}, {"label", label_of(subject)}, {"topology", topology_of(subject)}};
}

json::object path_json(const PathFacts& path, const HostReport& from, const Scene& scene) {
  const bool is_relayed = path.way == "relay";
  return {{"from", host_id(from.origin)},
          {"to", host_id(path.peer)},
          {"path", path.way},
          {"relay",
           is_relayed ? json::value(peer_label(scene.report, path.via)) : json::value(nullptr)},
          {"encrypted", path.encrypted},
          {"lost", path.lost},
          {"rtt_us", or_null(path.rtt_us)},
          {"mtu", or_null(path.mtu)}};
}

// By weft: what connections encrypt themselves it does not see. Nothing: not known, or it is not
// asked for since nothing leaves the host.
std::optional<bool> is_encrypted(Carrier carrier, const PathFacts* path) {
  switch (carrier) {
    case Carrier::Underlay:
      return false;
    case Carrier::Overlay:
      return path == nullptr ? std::nullopt : std::optional(path->encrypted);
    case Carrier::Host:
    case Carrier::Unknown:
      break;
  }
  return std::nullopt;
}

json::value flag_json(std::optional<bool> flag) {
  return flag ? json::value(*flag) : json::value(nullptr);
}

json::object connection_json(const Connection& connection,
                             std::optional<bool> encrypted,
                             const Scene& scene) {
  std::set<Ip> clients;
  std::set<Ip> servers;
  for (const AddressPair& pair : connection.addresses) {
    clients.insert(pair.client);
    servers.insert(pair.server);
  }
  const EdgeFacts& facts = connection.facts;
  const bool is_tcp = connection.key.transport == Transport::Tcp;
  return {{"direction", connection.forth ? "forth" : "back"},
          {"port", fmt::format("{}/{}", connection.key.port, is_tcp ? "tcp" : "udp")},
          {"client", name_json(subject_of(scene.report, connection.key.from))},
          {"server", name_json(subject_of(scene.report, connection.key.to))},
          {"client_addresses", array_of(clients)},
          {"server_addresses", array_of(servers)},
          {"carrier", text_of(connection.carrier)},
          {"encrypted", flag_json(encrypted)},
          {"connections", facts.count},
          {"sent", facts.sent_per_second},
          {"received", facts.received_per_second},
          {"retransmits", facts.retransmits},
          {"rtt_us", or_null(facts.rtt_us)},
          {"opened", facts.opened},
          {"failed", facts.failed},
          {"sent_total", facts.sent},
          {"received_total", facts.received},
          {"packets_sent", facts.packets_sent},
          {"packets_received", facts.packets_received}};
}

// One of the two, with those of its processes that talk to the other.
json::object end_json(const Subject& subject, const Between& between, const Staleness& staleness) {
  std::set<std::uint32_t> pids;
  for (const Connection& connection : between.connections()) {
    for (const Party& party : {connection.key.from, connection.key.to}) {
      if (subject.has(party) && party.pid != 0) {
        pids.insert(party.pid);
      }
    }
  }
  json::array processes;
  for (const probe::ProcessFacts& process : subject.host->processes) {
    if (pids.contains(process.pid) || subject.process == &process) {
      processes.push_back(json::object{{"id", process_id(subject.host->origin, process.pid)},
                                       {"label", process_label(process)},
                                       {"pid", process.pid},
                                       {"command", process.command}});
    }
  }
  json::object end = name_json(subject);
  end["host"] = name_json({.host = subject.host});
  end["container"] =
      subject.container == nullptr
          ? json::value(nullptr)
          : json::value(name_json({.host = subject.host, .container = subject.container}));
  end["addresses"] = array_of(addresses_of(subject));
  end["processes"] = std::move(processes);
  end["stale"] = staleness(subject.host->origin);
  return end;
}

std::string plural(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string connections_sentence(const Between& between, const Subject& from, const Subject& to) {
  std::map<bool, EdgeFacts> sums;
  for (const Connection& connection : between.connections()) {
    sums[connection.forth] += connection.facts;
  }
  if (sums.empty()) {
    return fmt::format(
        "{} and {} have not talked while they were looked at.", label_of(from), label_of(to));
  }
  std::string text;
  for (const auto& [forth, facts] : sums) {
    const std::string way =
        fmt::format("from {} to {}", label_of(forth ? from : to), label_of(forth ? to : from));
    text = fmt::format("{} {}{}.{}{}",
                       plural(facts.count, "connection"),
                       way,
                       facts.failed == 0 ? "" : fmt::format(", {} failed", facts.failed),
                       text.empty() ? "" : " ",
                       text);
  }
  return text;
}

std::string path_sentence(const HostReport& from, const HostReport& to, const Scene& scene) {
  const std::string ends = fmt::format("from {} to {}", host_label(from), host_label(to));
  const PathFacts* const path = find_path(from, to);
  if (path == nullptr) {
    return fmt::format("No path of the overlay {} is known.", ends);
  }
  const std::string relay = path->way == "relay"
                                ? fmt::format("relayed by {}", peer_label(scene.report, path->via))
                                : path->way;
  return fmt::format("Frames of the overlay {} go {}{}{}.",
                     ends,
                     relay,
                     path->encrypted        ? ", encrypted"
                     : path->way == "clear" ? ""
                                            : ", unencrypted",
                     path->lost ? ", and nothing answers" : "");
}

std::string summary_of(const Between& between,
                       const Subject& from,
                       const Subject& to,
                       const Scene& scene) {
  std::string text = connections_sentence(between, from, to);
  if (from.host == to.host) {
    return fmt::format("{} Both are on {}: nothing leaves it.", text, host_label(*from.host));
  }
  text += " " + path_sentence(*from.host, *to.host, scene);
  text += " " + path_sentence(*to.host, *from.host, scene);
  const auto& connections = between.connections();
  if (std::any_of(connections.begin(), connections.end(), [](const Connection& connection) {
        return connection.carrier == Carrier::Underlay;
      })) {
    text += " Some connections go past the overlay, which encrypts nothing of them.";
  }
  return text;
}

Result<Subject> subject_at(const Choice& query,
                           const std::string& key,
                           const probe::Report& report) {
  const auto name = query.find(key);
  if (name == query.end() || name->second.empty()) {
    return Error{Errc::Invalid, key + " is missing: ?from=NODE&to=NODE"};
  }
  auto found = find_subject(report, name->second);
  if (!found.ok()) {
    return Error(found.error()).with_context(key);
  }
  return found;
}

}  // namespace

Result<json::object> reach_json(const Choice& query,
                                const Scene& scene,
                                const Staleness& staleness) {
  const Subject from = WEFT_TRY(subject_at(query, "from", scene.report));
  const Subject to = WEFT_TRY(subject_at(query, "to", scene.report));
  const Between between(scene, from, to);
  const PathFacts* const forth = find_path(*from.host, *to.host);
  const PathFacts* const back = find_path(*to.host, *from.host);
  json::array connections;
  for (const Connection& connection : between.connections()) {
    const PathFacts* const path = connection.forth ? forth : back;
    connections.push_back(
        connection_json(connection, is_encrypted(connection.carrier, path), scene));
  }
  json::array paths;
  if (from.host != to.host && forth != nullptr) {
    paths.push_back(path_json(*forth, *from.host, scene));
  }
  if (from.host != to.host && back != nullptr) {
    paths.push_back(path_json(*back, *to.host, scene));
  }
  return json::object{{"summary", summary_of(between, from, to, scene)},
                      {"from", end_json(from, between, staleness)},
                      {"to", end_json(to, between, staleness)},
                      {"same_host", from.host == to.host},
                      {"paths", std::move(paths)},
                      {"connections", std::move(connections)},
                      {"connections_left_out", between.left_out()}};
}

}  // namespace weft::app
