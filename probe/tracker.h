// Makes a report of one look at a host, with the help of the look before: what became faster or
// slower, who serves and who asks, which process and which container a connection belongs to.
//
// Directions. A socket whose local port is listened on in its network namespace, or was within the
// last minute, is the server's end. Where nobody ever listened (an inherited socket), the end
// outside the ephemeral range is. Where BPF has seen a connection opening, nothing is guessed.
//
// Bytes. Of a socket that is there, what it carried since the look before; of one that has closed,
// what BPF counted at its end less what was told of it while it was there.
//
// NAT. Where connection tracking knows that another answers than was asked, the flow leads to who
// answers; ports that an engine publishes are left to the reader, who knows them for all hosts.
// UDP is known from BPF, where its processes send and receive, with octets from connection tracking
// where BPF does not know them; without BPF from connected sockets and connection tracking alone.
// Pure; remembers only what the next look needs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/time.h"
#include "probe/group_book.h"
#include "probe/report/report.h"
#include "probe/sample.h"
#include "probe/traffic.h"

namespace weft::probe {

class Tracker {
 public:
  // Fills everything of a report that a host's sources know. Precondition: looks come in the order
  // of their times.
  HostReport digest(const Sample& sample);

 private:
  using ProcessId = std::pair<std::uint32_t, std::uint64_t>;  // Pid, start.
  using Listener = std::tuple<std::uint64_t, Transport, std::uint16_t>;
  using TrackId = std::tuple<Endpoint, Endpoint, Direction>;   // Client, server, our end.
  using Asked = std::tuple<Transport, Ip, Ip, std::uint16_t>;  // Client, whom it asks, port.
  struct Place {                                               // Whose an address is, on this host.
    std::string container;                                     // Empty: the host's.
    std::uint64_t netns = 0;
  };
  // What has been told of connections that have ended.
  struct Past {
    std::uint64_t count = 0;
    Traffic traffic;
  };
  struct CpuTime {
    TimePoint at{};  // Of the look at which it was read.
    Duration used{};
  };
  struct Server {
    TimePoint seen{};
    std::uint32_t pid = 0;
  };
  // What was told of a socket at the last look.
  struct Told {
    Traffic traffic;
    FlowKey kind;          // Without a process.
    bool counted = false;  // BPF will tell of its end.
  };
  struct Talk {  // Datagrams of a kind.
    TimePoint at{};
    std::uint64_t count = 0;
  };
  struct Total {
    TimePoint active{};
    std::uint64_t opened = 0;
    std::uint64_t failed = 0;
    Traffic traffic;
  };
  struct Sum {
    FlowFacts facts;
    Traffic traffic;
  };
  using Sums = std::map<FlowKey, Sum>;

  void note_containers(const Sample& sample, HostReport& out);
  void note_listeners(const Sample& sample);
  void digest_host(const Sample& sample, HostReport& out);
  void digest_processes(const Sample& sample, HostReport& out);
  void digest_flows(const Sample& sample, HostReport& out);
  FlowKey key_of(const Sample& sample, std::uint64_t netns, const ObservedSocket& socket) const;
  FlowKey key_of(const ObservedConnections& connections) const;
  void name_container(FlowKey& key) const;
  std::uint32_t server_of(const FlowKey& key) const;
  void sum_sockets(const Sample& sample, Sums& sums);
  void sum_ended(const Sample& sample, Sums& sums);
  void sum_datagrams(const Sample& sample, Sums& sums);
  Ip own_address(const FlowKey& key) const;
  void note_tracks(const Sample& sample);
  void sum_tracks(const Sample& sample, Sums& sums);
  void sum_track(const FlowKey& key, const ObservedTrack& track, Sum& sum) const;
  FlowKey unwrapped(FlowKey key) const;
  void add_totals(TimePoint now, const Sums& sums, HostReport& out);
  bool is_server(std::uint64_t netns, const ObservedSocket& socket) const;
  double cpu_percent(const ObservedProcess& process, TimePoint now, const CpuTime* before) const;

  bool has_previous_ = false;
  TimePoint previous_at_{};
  Duration elapsed_{};
  Duration host_cpu_{};
  std::uint64_t forks_ = 0;
  std::map<ProcessId, CpuTime> process_cpu_;
  GroupBook groups_;
  std::map<std::uint64_t, Told> told_;  // By inode.
  // Of sockets that were gone at the last look, though their ends had not been counted yet.
  std::map<FlowKey, Past> ahead_;
  std::map<FlowKey, Total> totals_;
  std::map<Listener, Server> listeners_;
  std::map<TrackId, Traffic> tracked_;  // What was told of UDP at the last look.
  std::map<FlowKey, Talk> talks_;       // What BPF has told of UDP lately.

  // Of the present look.
  std::map<FlowKey, Past> gone_;  // What was told of sockets that are there no more.
  std::set<std::uint32_t> pids_;
  std::map<std::uint32_t, std::string> container_of_pid_;
  std::map<std::uint64_t, std::string> container_of_netns_;
  std::map<Asked, std::optional<Endpoint>> servers_;  // Behind a translation; nothing: several.
  std::map<Ip, std::optional<Place>> places_;         // Nothing: several have the address.
  // Of network namespaces, by family; nothing: several.
  std::map<std::pair<std::uint64_t, bool>, std::optional<Ip>> address_of_;
};

}  // namespace weft::probe
