#include "agent/http/weave_text.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "agent/cli/status_text.h"
#include "agent/report.h"
#include "router/channel.h"

namespace weft::agent {
namespace {

using router::ConnectionState;

std::string line(std::string_view label, std::string_view value) {
  return fmt::format("{:>15}: {}\n", label, value);
}

std::string peer_label(PeerName name, const std::string& nickname) {
  return fmt::format("{}({})", name.to_string(), nickname);
}

std::string nickname_of(const AgentStatus& status, PeerName name) {
  for (const router::PeerStatus& peer : status.peers) {
    if (peer.name == name) {
      return peer.nickname;
    }
  }
  return "";
}

std::string connections_summary(const AgentStatus& status) {
  std::string counts;
  for (const std::string_view state : {"established", "pending", "failed", "connecting"}) {
    const auto count = std::count_if(
        status.connections.begin(), status.connections.end(), [state](const auto& one) {
          return weave_state(one.state) == state;
        });
    if (count > 0) {
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, state);
    }
  }
  return fmt::format(
      "{}{}", status.connections.size(), counts.empty() ? "" : fmt::format(" ({})", counts));
}

std::string peers_summary(const AgentStatus& status) {
  std::size_t established = 0;
  for (const router::PeerStatus& peer : status.peers) {
    established += peer.neighbours.size();
  }
  return fmt::format(
      "{}{}",
      status.peers.size(),
      established == 0 ? "" : fmt::format(" (with {} established connections)", established));
}

std::string ipam_words(const ipam::AllocatorStatus& ipam) {
  using State = ipam::AllocatorStatus::State;
  switch (ipam.state) {
    case State::Idle:
      return "idle";
    case State::AwaitingConsensus:
      return fmt::format("awaiting consensus ({})", ipam.detail);
    case State::Priming:
      return "priming";
    case State::Ready:
      return "ready";
    case State::WaitingForSpace:
      return "waiting for IP(s) to become available";
    case State::Suspended:
      return "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead";
  }
  return "";
}

template <class Items>
std::string joined(const Items& items) {
  std::string text;
  for (const auto& item : items) {
    text += (text.empty() ? "" : ", ") + item.to_string();
  }
  return text.empty() ? "none" : text;
}

std::string router_text(const AgentStatus& status) {
  const router::VersionRange versions;
  const router::PeerStatus self =
      status.peers.empty() ? router::PeerStatus() : status.peers.front();
  std::string text = line("Service", "router");
  text += line("Protocol",
               versions.lowest == versions.highest
                   ? fmt::format("weft {}", versions.lowest)
                   : fmt::format("weft {}..{}", versions.lowest, versions.highest));
  text += line("Name", peer_label(self.name, self.nickname));
  text += line("Encryption", status.password_set ? "enabled" : "disabled");
  text += line("PeerDiscovery", status.discovery ? "enabled" : "disabled");
  text += line("Targets", fmt::format("{}", status.targets.size()));
  text += line("Connections", connections_summary(status));
  text += line("Peers", peers_summary(status));
  text += line("TrustedSubnets", joined(status.trusted_subnets));
  return text;
}

std::string summary(const AgentStatus& status) {
  std::string text =
      line("Version", fmt::format("{} (version check update disabled)", status.version));
  text += "\n" + router_text(status);
  if (status.ipam.has_range()) {
    text += "\n" + line("Service", "ipam") + line("Status", ipam_words(status.ipam));
    text += line("Range", status.ipam.range.to_string());
    text += line("DefaultSubnet", status.ipam.default_subnet.to_string());
  }
  if (status.dns) {
    text += "\n" + line("Service", "dns") + line("Domain", status.dns->domain.to_string());
    text += line("Upstream", joined(status.dns->upstream));
    text += line("TTL", fmt::format("{}", status.dns->ttl_seconds));
    text += line("Entries", fmt::format("{}", status.dns->names.size()));
  }
  if (!status.proxy_addresses.empty()) {
    text += "\n" + line("Service", "proxy")
            + line("Address", fmt::format("{}", fmt::join(status.proxy_addresses, ", ")));
  }
  if (status.docker) {
    text +=
        "\n" + line("Service", "plugin (legacy)") + line("DriverName", status.docker->swarm_driver);
  }
  return text;
}

std::string connections(const AgentStatus& status) {
  std::string text;
  for (const router::ConnectionStatus& connection : status.connections) {
    std::string info = weave_info(status, connection);
    if (connection.state == ConnectionState::Established && connection.peer) {
      info += fmt::format("{} mtu={}",
                          is_encrypted(status, connection) ? " encrypted=true" : "",
                          status.datapath.mtu);
    }
    text += fmt::format("{} {:<21} {:<11} {}\n",
                        connection.outbound ? "->" : "<-",
                        connection.address,
                        weave_state(connection.state),
                        info);
  }
  return text;
}

// The address of a connection is known to those two that have it.
std::string peers(const AgentStatus& status) {
  std::string text;
  for (const router::PeerStatus& peer : status.peers) {
    text += peer_label(peer.name, peer.nickname) + "\n";
    for (const PeerName neighbour : peer.neighbours) {
      const auto own = std::find_if(
          status.connections.begin(), status.connections.end(), [&](const auto& connection) {
            return peer.self && connection.peer == neighbour
                   && connection.state == ConnectionState::Established;
          });
      const bool is_own = own != status.connections.end();
      text += fmt::format("   {} {:<21} {:<37} established\n",
                          is_own && !own->outbound ? "<-" : "->",
                          is_own ? own->address : "",
                          peer_label(neighbour, nickname_of(status, neighbour)));
    }
  }
  return text;
}

}  // namespace

std::string weave_status_text(const AgentStatus& status, StatusPart part) {
  switch (part) {
    case StatusPart::Summary:
      return summary(status);
    case StatusPart::Connections:
      return connections(status);
    case StatusPart::Peers:
      return peers(status);
    case StatusPart::Ipam:
    case StatusPart::Targets:
    case StatusPart::Dns:
    case StatusPart::Paths:
      return status_text(part_of(to_json(status), part), part).value();  // As weft prints them.
  }
  return "";
}

}  // namespace weft::agent
