// What one host says about itself (HostReport), and what a cluster says (Report).
//
// Every fact has one author: the host it is about. A Report keeps the newest HostReport of each
// host, so merging is commutative, associative and idempotent, and there is nothing to expire but
// whole hosts. Connections are aggregated where they are seen: ten thousand sockets from one
// process to one port are one Flow, and ephemeral ports never leave the host.
//
// Values without invariants but for the limits below, which decode_report() enforces and
// enforce_limits() establishes. Used by probe (writes) and app (reads).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/observed.h"
#include "base/peer_name.h"
#include "base/time.h"

namespace weft::probe {

// What a host with 500 containers and 4,000 processes has, with room; together they fit one gossip
// payload (base/gossip.h) at the sizes that were measured, and encode_report() cuts the rest.
inline constexpr std::size_t kProcessesMax = 8192;
inline constexpr std::size_t kContainersMax = 2048;
inline constexpr std::size_t kFlowsMax = 8192;
inline constexpr std::size_t kLinksMax = 256;  // router::Mesh::Options::links_max, rounded up.
inline constexpr std::size_t kPathsMax = 256;  // As links: what a report costs is told by both.
inline constexpr std::size_t kEndpointsMax = 2048;  // Ports of a Linux bridge, twice.
inline constexpr std::size_t kListMax = 64;         // Addresses, ports, labels of one thing.
inline constexpr std::size_t kTextMax = 512;        // Bytes of a name or a command line.
// Of addresses: what a host's containers ask outside their cluster at a time, with room.
inline constexpr std::size_t kNamesMax = 1024;
// As many peers as a mesh has (router::Mesh::Options::peers_max).
inline constexpr std::size_t kHostsMax = 4096;

struct Usage {
  double cpu_percent = 0;  // Of one CPU.
  std::uint64_t memory_bytes = 0;

  friend bool operator==(const Usage&, const Usage&) = default;
};

struct HostFacts {
  std::string name;
  std::string kernel;
  std::string os;
  std::string version;  // Of the agent.
  Duration uptime{};
  double load1 = 0;
  std::uint64_t forks = 0;  // Processes and threads begun since boot; 0 if unknown.
  std::uint64_t forks_per_second = 0;
  std::uint32_t cpu_count = 0;
  Usage usage;
  std::uint64_t memory_total_bytes = 0;
  std::vector<Cidr> networks;

  friend bool operator==(const HostFacts&, const HostFacts&) = default;
};

// The host address that leads to a container's port. An unspecified address means all of the
// host's.
struct PortMapping {
  Endpoint outside;
  std::uint16_t inside = 0;
  Transport transport = Transport::Tcp;

  friend auto operator<=>(const PortMapping&, const PortMapping&) = default;
  friend bool operator==(const PortMapping&, const PortMapping&) = default;
};

enum class ContainerState : std::uint8_t { Created, Running, Paused, Restarting, Exited, Dead };

// What only a container's control group tells.
struct GroupFacts {
  bool counts_cpu = false;     // Usage of the group; else the sum over the container's processes.
  bool counts_memory = false;  // The same.
  std::uint64_t memory_limit_bytes = 0;  // 0 if there is none.
  double throttled_percent = 0;          // Of one CPU, as usage is.
  std::uint64_t disk_read_bytes = 0;     // Since the group was made.
  std::uint64_t disk_written_bytes = 0;
  std::uint64_t disk_read_per_second = 0;
  std::uint64_t disk_written_per_second = 0;

  friend bool operator==(const GroupFacts&, const GroupFacts&) = default;
};

struct ContainerFacts {
  std::string id;  // The runtime's, whole.
  std::string name;
  std::string image;
  std::string image_id;
  std::string command;
  std::string hostname;
  std::string status;  // For people: "Up 3 minutes".
  ContainerState state = ContainerState::Running;
  std::int64_t created_unix = 0;  // Seconds.
  bool host_network = false;
  Usage usage;
  GroupFacts group;
  std::uint32_t process_count = 0;
  std::uint64_t descriptor_count = 0;  // Of its processes.
  std::vector<Ip> addresses;
  std::vector<PortMapping> ports;
  std::vector<std::string> networks;
  std::map<std::string, std::string> labels;

  friend bool operator==(const ContainerFacts&, const ContainerFacts&) = default;
};

struct ProcessFacts {
  std::uint32_t pid = 0;
  std::uint32_t parent = 0;
  std::string name{};
  std::string command{};    // Secrets masked (probe/mask.h).
  std::string container{};  // Its id; empty if in none.
  std::uint32_t uid = 0;
  std::uint32_t thread_count = 0;
  std::uint32_t descriptor_count = 0;
  std::uint32_t descriptor_max = 0;  // 0 if unknown.
  Usage usage{};

  friend bool operator==(const ProcessFacts&, const ProcessFacts&) = default;
};

enum class Direction : std::uint8_t { Outbound = 1, Inbound = 2 };

// All connections between one local process and one remote address over one server port.
struct FlowKey {
  Transport transport = Transport::Tcp;
  Direction direction = Direction::Outbound;
  std::uint64_t netns = 0;  // Tells the loopback of one container from another's.
  std::string container;    // Whose network namespace it is; empty for the host's.
  std::uint32_t pid = 0;    // 0 if no process could be found.
  Ip local;
  Ip remote;
  std::uint16_t port = 0;  // The server's: remote if outbound, local if inbound.

  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

// What a flow carries, sent being away from its own end; or several flows together.
struct FlowFacts {
  std::uint64_t count = 0;  // Connections open now, and those closed in the last interval.
  std::uint64_t sent_per_second = 0;
  std::uint64_t received_per_second = 0;
  std::uint64_t retransmits = 0;  // Of the connections that count, since they opened.
  std::uint32_t rtt_us = 0;       // Of the slowest; 0 if unknown.
  // Since the flow is looked at. Connections that closed between two looks are among them if BPF
  // counts.
  std::uint64_t opened = 0;
  std::uint64_t failed = 0;  // Refused, or never answered.
  std::uint64_t sent = 0;    // Bytes.
  std::uint64_t received = 0;
  std::uint64_t packets_sent = 0;  // Segments of TCP, those without data included, and datagrams.
  std::uint64_t packets_received = 0;

  FlowFacts& operator+=(const FlowFacts& other);
  FlowFacts reversed() const;  // As the other end sees it.
  friend bool operator==(const FlowFacts&, const FlowFacts&) = default;
};

// A control connection of this host's agent.
struct LinkFacts {
  std::string address;
  std::uint64_t peer = 0;  // PeerName::number(); 0 while unknown.
  bool outbound = false;
  bool authenticated = false;
  std::string state;         // As `weft status connections` says it.
  std::string reason;        // Why it is not established.
  std::uint32_t rtt_us = 0;  // There and back, as heartbeats measure; 0 if unknown.
  double loss_percent = 0;   // Of heartbeats: TCP had to send something again.

  friend bool operator==(const LinkFacts&, const LinkFacts&) = default;
};

// How frames of the overlay travel to one peer, as this host's data path finds.
struct PathFacts {
  PeerName peer;
  std::string way;  // "clear", "sealed", "esp" or "relay".
  PeerName via;     // Of a relay.
  bool encrypted = false;
  bool lost = false;         // Nothing has answered yet since the path failed.
  std::uint32_t rtt_us = 0;  // There and back; 0 if unknown.
  std::uint32_t mtu = 0;     // Of the underlay; 0 if unknown.
  FlowFacts carried{};       // Octets and packets of frames to and from the peer, with BPF.

  friend bool operator==(const PathFacts&, const PathFacts&) = default;
};

// An interface on the overlay.
struct EndpointFacts {
  Mac mac;
  std::vector<Ip> addresses;

  friend bool operator==(const EndpointFacts&, const EndpointFacts&) = default;
};

struct OverlayFacts {
  std::string nickname{};
  std::string datapath{};  // "bpf" or "bridge".
  bool encrypted = false;
  std::string range{};
  std::uint32_t mtu = 0;
  bool controls = false;    // Whether this host performs controls (control/performer.h).
  bool host_shell = false;  // Shells of its own among them.
  std::vector<LinkFacts> links{};
  std::vector<PathFacts> paths{};
  std::vector<EndpointFacts> endpoints{};  // On this host.

  friend bool operator==(const OverlayFacts&, const OverlayFacts&) = default;
};

// One place facts come from, and how it fares: shown, so that nobody takes a gap for an absence.
struct SourceFacts {
  std::string name;
  bool working = false;
  std::string detail;

  friend bool operator==(const SourceFacts&, const SourceFacts&) = default;
};

// What the limits above left out.
struct FoldedCounts {
  std::uint64_t processes = 0;
  std::uint64_t containers = 0;
  std::uint64_t flows = 0;
  std::uint64_t others = 0;

  friend bool operator==(const FoldedCounts&, const FoldedCounts&) = default;
};

struct HostReport {
  PeerName origin;
  Incarnation incarnation;     // Of the agent; with the sequence number it orders a host's reports.
  std::uint64_t sequence = 0;  // Ascending within an incarnation.
  Duration interval{};         // Between two looks; longer than asked for when looking is dear.
  HostFacts host;
  std::vector<ContainerFacts> containers;  // By id.
  std::vector<ProcessFacts> processes;     // By pid.
  std::map<FlowKey, FlowFacts> flows;
  std::map<Ip, std::string> names;  // What those asked are called, as DNS answers here have it.
  OverlayFacts overlay;
  std::vector<SourceFacts> sources;
  FoldedCounts folded;

  bool is_newer_than(const HostReport& other) const;

  friend bool operator==(const HostReport&, const HostReport&) = default;
};

// Cuts every table to its limit and makes every text clean UTF-8 of at most kTextMax bytes. Keeps
// what people look for first: running containers, processes in containers, busy flows. Counts what
// it cut.
void enforce_limits(HostReport& report);

// The newest report of every host. Bounded: of more than kHostsMax hosts, those with the lowest
// names are kept, which is the same set in whatever order reports are merged.
class Report {
 public:
  // True if anything changed. Precondition: within the limits.
  bool merge(HostReport report);
  bool merge(const Report& other);
  bool forget(PeerName origin);

  const HostReport* find(PeerName origin) const;
  const std::map<PeerName, HostReport>& hosts() const { return hosts_; }
  std::uint64_t refused() const { return refused_; }

  // What was refused is no part of the value.
  friend bool operator==(const Report& a, const Report& b) { return a.hosts_ == b.hosts_; }

 private:
  std::map<PeerName, HostReport> hosts_;
  std::uint64_t refused_ = 0;
};

}  // namespace weft::probe
