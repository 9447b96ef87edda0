// What an agent says about itself: typed parts from the services, made JSON in one place (the
// control API), and made text from that JSON by the CLI (agent/cli/status_text.h), so that text and
// --json never disagree. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "dns/io/dns_service.h"
#include "ipam/allocator.h"
#include "router/io/datapath_service.h"
#include "router/mesh.h"
#include "sys/http_server.h"

namespace weft::agent {

struct DockerStatus {
  std::string socket;
  std::string driver = "weft";  // What Docker calls it: the socket's name.
  std::string swarm_driver{};   // The same for networks of a swarm; empty: none.
  std::size_t network_count = 0;
  std::size_t port_count = 0;
};

// What the agent's process takes of the host.
struct ProcessUsage {
  double cpu_seconds = 0;
  double start_seconds = 0;  // Since 1970.
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0;
};

struct HttpStatus {
  std::string api;  // What is served there: control, weave, status or metrics.
  sys::HttpStats stats;
};

struct AgentStatus {
  std::string version;
  bool password_set = false;
  bool discovery = true;
  std::vector<router::PeerStatus> peers;  // Ourselves first.
  std::vector<router::ConnectionStatus> connections;
  std::vector<std::string> targets;
  std::vector<std::string> warnings;
  std::vector<Cidr> trusted_subnets{};
  std::uint16_t port = 0;
  std::size_t connections_max = 0;
  router::MeshStats mesh;
  ipam::AllocatorStatus ipam;
  std::optional<ipam::AllocatorStatus> ipam_v6;  // Of the IPv6 range, if there is one.
  router::DatapathStatus datapath;
  std::optional<dns::DnsStatus> dns;           // Nothing with --no-dns.
  std::optional<router::SealedStatus> sealed;  // Nothing if all goes in clear.
  std::optional<DockerStatus> docker;          // Nothing with --no-docker.
  std::optional<ProcessUsage> process{};       // Nothing where procfs does not say.
  std::vector<HttpStatus> http{};
  std::vector<std::string> proxy_addresses{};  // Of the Docker API proxy.
};

boost::json::object to_json(const AgentStatus& status);

std::string_view text_of(router::ConnectionState state);

// The parts of a status, as `weft status PART` and GET /status/PART name them.
enum class StatusPart : std::uint8_t { Summary, Peers, Connections, Ipam, Targets, Dns, Paths };
Result<StatusPart> parse_status_part(std::string_view name);

// That part of what to_json() made; the whole for Summary.
boost::json::value part_of(const boost::json::object& status, StatusPart part);

}  // namespace weft::agent
