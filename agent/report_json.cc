#include <algorithm>
#include <map>
#include <string>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "agent/dns/dns_api.h"
#include "agent/ipam/count_json.h"
#include "agent/report.h"
#include "router/channel.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

std::string nickname_of(const AgentStatus& status, PeerName name) {
  const auto found =
      std::find_if(status.peers.begin(), status.peers.end(), [&](const router::PeerStatus& peer) {
        return peer.name == name;
      });
  return found == status.peers.end() ? "" : found->nickname;
}

// The connection of our own with `peer`, if there is one.
const router::ConnectionStatus* connection_with(const AgentStatus& status, PeerName peer) {
  const auto found = std::find_if(
      status.connections.begin(),
      status.connections.end(),
      [&](const router::ConnectionStatus& connection) {
        return connection.peer == peer && connection.state == router::ConnectionState::Established;
      });
  return found == status.connections.end() ? nullptr : &*found;
}

json::array connections_of(const AgentStatus& status, const router::PeerStatus& peer) {
  json::array connections;
  for (const PeerName neighbour : peer.neighbours) {
    const auto* own = peer.self ? connection_with(status, neighbour) : nullptr;
    connections.push_back(json::object{{"Name", neighbour.to_string()},
                                       {"NickName", nickname_of(status, neighbour)},
                                       {"Address", own == nullptr ? "" : own->address},
                                       {"Outbound", own != nullptr && own->outbound},
                                       {"Established", true}});
  }
  return connections;
}

json::array peers(const AgentStatus& status) {
  json::array peers;
  for (const router::PeerStatus& peer : status.peers) {
    peers.push_back(json::object{{"Name", peer.name.to_string()},
                                 {"NickName", peer.nickname},
                                 {"UID", peer.incarnation.value()},
                                 {"ShortID", 0},
                                 {"Version", peer.incarnation.value()},
                                 {"Connections", connections_of(status, peer)}});
  }
  return peers;
}

json::array unicast_routes(const AgentStatus& status) {
  json::array routes;
  for (const router::PeerStatus& peer : status.peers) {
    if (peer.next_hop) {
      routes.push_back(
          json::object{{"Dest", peer.name.to_string()}, {"Via", peer.next_hop->to_string()}});
    }
  }
  return routes;
}

json::array connections(const AgentStatus& status) {
  json::array connections;
  for (const router::ConnectionStatus& connection : status.connections) {
    json::object attributes;
    if (connection.state == router::ConnectionState::Established) {
      attributes = {{"name", "fastdp"},
                    {"mtu", status.datapath.mtu},
                    {"encrypted", is_encrypted(status, connection)}};
    }
    connections.push_back(json::object{{"Address", connection.address},
                                       {"Outbound", connection.outbound},
                                       {"State", weave_state(connection.state)},
                                       {"Info", weave_info(status, connection)},
                                       {"Attrs", std::move(attributes)}});
  }
  return connections;
}

json::array trusted_subnets(const AgentStatus& status) {
  json::array subnets;
  for (const Cidr& subnet : status.trusted_subnets) {
    subnets.emplace_back(subnet.to_string());
  }
  return subnets;
}

json::object dns_part(const dns::DnsStatus& dns) {
  json::array upstream;
  for (const Endpoint& server : dns.upstream) {
    upstream.emplace_back(server.address.to_string());
  }
  return {{"Domain", dns.domain.to_string()},
          {"Upstream", std::move(upstream)},
          {"Address", dns.address ? dns.address->to_string() : ""},
          {"TTL", dns.ttl_seconds},
          {"Entries", names_json(dns)}};
}

json::object router_part(const AgentStatus& status) {
  const router::VersionRange versions;
  json::array targets(status.targets.begin(), status.targets.end());
  return {{"Protocol", "weft"},
          {"ProtocolMinVersion", versions.lowest},
          {"ProtocolMaxVersion", versions.highest},
          {"Encryption", status.password_set},
          {"PeerDiscovery", status.discovery},
          {"Name", status.peers.empty() ? "" : status.peers.front().name.to_string()},
          {"NickName", status.peers.empty() ? "" : status.peers.front().nickname},
          {"Port", status.port},
          {"Peers", peers(status)},
          {"UnicastRoutes", unicast_routes(status)},
          {"BroadcastRoutes", json::array()},
          {"Connections", connections(status)},
          {"TerminationCount", status.mesh.handshakes.terminated},
          {"Targets", std::move(targets)},
          {"OverlayDiagnostics", json::object()},
          {"TrustedSubnets", trusted_subnets(status)},
          {"Interface", fmt::format("{} (via {})", status.datapath.bridge, status.datapath.mode)},
          {"CaptureStats", json::object()},
          {"MACs", json::array()}};
}

// One for each entry of the ring, as Weave's rings had them.
json::array ring_entries(const AgentStatus& status) {
  std::map<PeerName, bool> reachable;
  for (const ipam::RangeStatus& range : status.ipam.ranges) {
    reachable[range.owner] = range.reachable;
  }
  json::array entries;
  for (const ipam::PieceStatus& piece : status.ipam.pieces) {
    entries.push_back(json::object{{"Token", piece.first.to_string()},
                                   {"Size", count_json(piece.address_count)},
                                   {"Peer", piece.owner.to_string()},
                                   {"Nickname", nickname_of(status, piece.owner)},
                                   {"IsKnownPeer", reachable[piece.owner]},
                                   {"Version", piece.version}});
  }
  return entries;
}

json::object ipam_part(const AgentStatus& status) {
  std::uint64_t used = 0;
  for (const ipam::RangeStatus& range : status.ipam.ranges) {
    used += range.used_count;
  }
  json::array claims;
  json::array allocates;
  for (const ipam::PendingStatus& pending : status.ipam.pending) {
    if (pending.is_claim) {
      claims.push_back(json::object{{"Ident", pending.owner}, {"CIDR", pending.cidr.to_string()}});
    } else {
      allocates.emplace_back(fmt::format("{} {}", pending.owner, pending.cidr.to_string()));
    }
  }
  json::value paxos;  // Null once there is a ring.
  if (const auto& election = status.ipam.election) {
    paxos = json::object{{"Elector", election->is_elector},
                         {"KnownNodes", election->known_count},
                         {"Quorum", election->quorum}};
  }
  return {{"Paxos", std::move(paxos)},
          {"Range", status.ipam.range.to_string()},
          {"RangeNumIPs", count_json(ipam::Span::of(status.ipam.range).size())},
          {"ActiveIPs", used},
          {"DefaultSubnet", status.ipam.default_subnet.to_string()},
          {"Entries", ring_entries(status)},
          {"PendingClaims", std::move(claims)},
          {"PendingAllocates", std::move(allocates)}};
}

}  // namespace

bool is_encrypted(const AgentStatus& status, const router::ConnectionStatus& connection) {
  const auto goes_clear = [&connection](const router::SealedPeerStatus& peer) {
    return peer.clear && peer.peer == connection.peer;
  };
  return connection.authenticated && status.sealed
         && std::none_of(status.sealed->peers.begin(), status.sealed->peers.end(), goes_clear);
}

std::string_view weave_state(router::ConnectionState state) {
  using enum router::ConnectionState;
  return text_of(state == Retrying ? Failed : state);
}

std::string weave_info(const AgentStatus& status, const router::ConnectionStatus& connection) {
  using enum router::ConnectionState;
  if (connection.state == Failed && connection.outbound) {
    return connection.reason + ", retry: never";
  }
  if (connection.state != Established || !connection.peer) {
    return connection.reason;
  }
  const std::string encryption =
      status.password_set
          ? fmt::format("{:<11} ", is_encrypted(status, connection) ? "encrypted" : "unencrypted")
          : "";
  return fmt::format(
      "{}{:<6} {}({})", encryption, "fastdp", connection.peer->to_string(), connection.nickname);
}

json::object to_report(const AgentStatus& status) {
  json::object report{{"Ready", true},
                      {"Version", status.version},
                      {"VersionCheck",
                       {{"Enabled", false},
                        {"Success", false},
                        {"NewVersion", ""},
                        {"NextCheckAt", "0001-01-01T00:00:00Z"}}},  // Go's time that is none.
                      {"Router", router_part(status)}};
  if (status.ipam.has_range()) {
    report["IPAM"] = ipam_part(status);
  }
  if (status.dns) {
    report["DNS"] = dns_part(*status.dns);
  }
  if (status.docker) {
    report["Plugin"] = {{"Config", {{"Socket", status.docker->socket}}},
                        {"DriverName", status.docker->swarm_driver},
                        {"MeshDriverName", status.docker->driver}};
  }
  if (!status.proxy_addresses.empty()) {
    report["Proxy"] = {
        {"Addresses", json::array(status.proxy_addresses.begin(), status.proxy_addresses.end())}};
  }
  report["Weft"] = to_json(status);
  return report;
}

}  // namespace weft::agent
