// Takes samples: asks the sources (processes, control groups, sockets, a Docker engine) and puts
// together what they say, and which of them do not work. Blocking; lives on the probe's own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "probe/sample.h"
#include "sys/bpf/connections.h"
#include "sys/cgroup/groups.h"
#include "sys/clock.h"
#include "sys/http_server.h"
#include "sys/netlink/conntrack.h"
#include "sys/procfs.h"
#include "sys/sock_diag.h"

namespace weft::probe {

// How long the kernel's table of tracked connections is left alone after reading it took so much
// CPU.
Duration track_pause(Duration cost);

class Sampler {
 public:
  // Asks the engine for a path and gives its answer. Empty: there is no engine to ask.
  using Engine = std::function<Result<sys::HttpResponse>(const std::string& target)>;
  struct Sources {
    std::unique_ptr<sys::ProcessSource> processes;
    std::unique_ptr<sys::GroupSource> groups;
    std::unique_ptr<sys::SocketSource> sockets;
    std::unique_ptr<sys::ConnectionSource> connections;  // Nothing: BPF is not wanted (--no-bpf).
    std::unique_ptr<sys::TrackSource> tracks;
    Engine engine;
  };

  Sampler(const sys::Clock& clock, Sources sources);

  // Fails only if there are no processes to be seen; another source that fails is named in the
  // sample's sources.
  Result<Sample> take();
  // Nobody looks: counts no connections until the next take().
  void rest();

  // Readable when a look is worth while before its time (sys/bpf/connections.h); -1 if nothing
  // tells.
  int news_descriptor() const;
  void clear_news();

 private:
  std::string what_is_counted() const;
  void start_groups();
  void sample_groups(Sample& sample);
  void sample_connections(Sample& sample);
  bool may_tracks_differ(const Sample& sample) const;
  void sample_tracks(Sample& sample);
  bool is_counting() const { return connections_state_.working; }
  void learn_opening(ObservedSocket& socket);
  void sample_sockets(Sample& sample);
  std::set<std::uint64_t> quiet_namespaces(const Sample& sample);
  void attribute(Sample& sample);
  void sample_containers(Sample& sample);
  bool is_engine_due(TimePoint now, const std::set<std::string>& ids) const;
  Result<std::vector<ContainerFacts>> ask_engine();

  const sys::Clock& clock_;
  Sources sources_;
  std::uint64_t look_ = 0;
  std::map<std::uint64_t, std::uint32_t> owners_;          // Process of a socket's inode.
  std::map<std::uint64_t, std::uint64_t> ownerless_;       // The look at which an inode was sought.
  std::map<std::uint64_t, ObservedOpening> openings_;      // Of sockets seen, by inode.
  std::map<std::uint64_t, ObservedOpening> old_openings_;  // Of the look before.
  // Namespaces in which nothing was connected when they were looked into.
  struct Quiet {
    std::uint64_t look = 0;
    std::vector<ObservedSocket> sockets;
  };
  std::map<std::uint64_t, Quiet> quiet_;
  SourceFacts groups_state_;
  SourceFacts connections_state_;
  std::set<std::string> seen_ids_;  // Containers that processes were in when the engine was asked.
  std::set<std::string> lived_;     // The same, of all times, as long as the engine knows them.
  std::vector<ContainerFacts> containers_;
  std::map<std::string, std::string> hostnames_;  // Of containers, by id.
  TimePoint engine_asked_{};
  std::vector<ObservedTrack> tracks_;  // As last read.
  SourceFacts tracks_state_;
  bool are_tracks_old_ = true;
  TimePoint tracks_at_{};
  TimePoint tracks_due_{};
  Duration tracks_cost_{};  // Of the present look, what has a budget of its own.
  SourceFacts engine_state_;
};

// An Engine at this Unix socket.
Sampler::Engine engine_at(const std::string& socket);

}  // namespace weft::probe
