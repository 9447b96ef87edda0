// Makes a report of one look at a host, with the help of the look before: what became faster or
// slower, who serves and who asks, which process and which container a connection belongs to.
//
// Directions. A socket whose local port is listened on in its network namespace, or was within the
// last minute, is the server's end. Where nobody ever listened (an inherited socket), the end
// outside the ephemeral range is. Pure; remembers only what the next look needs.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/time.h"
#include "probe/report/report.h"
#include "probe/sample.h"

namespace weft::probe {

class Tracker {
 public:
  // Fills everything of a report that a host's sources know. Precondition: looks come in the order
  // of their times.
  HostReport digest(const Sample& sample);

 private:
  using ProcessId = std::pair<std::uint32_t, std::uint64_t>;  // Pid, start.
  using Listener = std::tuple<std::uint64_t, Transport, std::uint16_t>;
  struct Traffic {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  void note_containers(const Sample& sample, HostReport& out);
  void note_listeners(const Sample& sample);
  void digest_host(const Sample& sample, HostReport& out);
  void digest_processes(const Sample& sample, HostReport& out);
  void digest_flows(const Sample& sample, HostReport& out);
  FlowKey key_of(const Sample& sample, std::uint64_t netns, const ObservedSocket& socket) const;
  bool is_server(std::uint64_t netns, const ObservedSocket& socket) const;
  double percent_of(Duration cpu, Duration before) const;

  bool has_previous_ = false;
  TimePoint previous_at_{};
  Duration elapsed_{};
  Duration host_cpu_{};
  std::map<ProcessId, Duration> process_cpu_;
  std::map<std::uint64_t, Traffic> traffic_;  // By inode.
  std::map<Listener, TimePoint> listeners_;   // When last seen.

  // Of the present look.
  std::map<std::uint32_t, std::string> container_of_pid_;
  std::map<std::uint64_t, std::string> container_of_netns_;
};

}  // namespace weft::probe
