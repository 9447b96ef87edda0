// One look at a host: what the sources gave at one moment, not yet understood. The shell
// (probe/io/sampler.h) takes it, the tracker (probe/tracker.h) makes a report of it. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/observed.h"
#include "base/time.h"
#include "probe/report/report.h"

namespace weft::probe {

// A host with more network namespaces is looked at as far as this goes: each costs four dumps.
inline constexpr std::size_t kNamespacesMax = 1024;

struct NamespaceSockets {
  std::uint64_t netns = 0;
  std::vector<ObservedSocket> sockets;

  friend bool operator==(const NamespaceSockets&, const NamespaceSockets&) = default;
};

struct Sample {
  TimePoint at{};
  Duration cost{};  // CPU time that looking took, but for connection tracking.
  ObservedHost host;
  std::uint64_t host_netns = 0;
  std::vector<ObservedProcess> processes;         // By pid.
  std::vector<NamespaceSockets> namespaces;       //
  std::map<std::uint64_t, std::uint32_t> owners;  // Process of a socket's inode.
  // What opened and closed since the look before, as the kernel counted it; empty without BPF.
  std::vector<ObservedConnections> connections;
  bool counts_octets_of_datagrams = false;  // In connections.
  std::vector<ObservedTrack> tracks;        // In the host's network namespace.
  std::vector<ContainerFacts> containers;   // By id; without usage and process count.
  // Containers' own, by path (group_of_container() of probe/container_id.h).
  std::map<std::string, ObservedGroup, std::less<>> groups;
  std::vector<SourceFacts> sources;

  friend bool operator==(const Sample&, const Sample&) = default;
};

}  // namespace weft::probe
