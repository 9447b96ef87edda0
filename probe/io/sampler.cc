#include "probe/io/sampler.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "probe/container_id.h"
#include "probe/engine_json.h"

namespace weft::probe {
namespace {

// The engine is asked when containers come or go, which their cgroups tell at no cost to it, and
// otherwise this often, for what they do not tell: new names, networks, containers that have ended.
constexpr std::chrono::seconds kEngineEvery(10);

// A socket nobody seems to hold (one in flight between processes) is sought again after this many
// looks, not at each.
constexpr std::uint64_t kSeekAgainLooks = 8;

// Of quiet namespaces one in so many is looked into.
constexpr std::size_t kQuietShare = 20;

// Connection tracking is read this often at least.
constexpr std::chrono::seconds kTrackPauseMax(60);

// An engine that is busy starting containers answers late; one that hangs must not stop the probe.
constexpr int kEngineTimeoutSeconds = 2;

constexpr std::string_view kEngineName = "docker";

}  // namespace

Sampler::Engine engine_at(const std::string& socket) {
  return [socket](const std::string& target) {
    return sys::http_call(socket, "GET", target, "", kEngineTimeoutSeconds);
  };
}

Duration track_pause(Duration cost) {
  // A fifth of the CPU that all looks may take. Thousands of connections a second fill the table
  // with what has ended: reading it then takes a quarter of a second, and a connection behind a
  // translation is shown late.
  constexpr int kShare = 500;
  // A dump that takes less is no more than one of the looks' own steps.
  constexpr std::chrono::milliseconds kCheap(1);
  return cost < kCheap ? Duration::zero() : std::min<Duration>(cost * kShare, kTrackPauseMax);
}

Sampler::Sampler(const sys::Clock& clock, Sources sources)
    : clock_(clock),
      sources_(std::move(sources)) {}

Result<Sample> Sampler::take() {
  const Duration cpu_before = sys::thread_cpu_time();
  ++look_;
  Sample sample;
  sample.at = clock_.now();
  start_groups();
  sample.host = WEFT_TRY(sources_.processes->host());
  sample.processes = WEFT_TRY(sources_.processes->processes());
  sample.host_netns = sys::own_netns();
  sample.sources.push_back({.name = "procfs", .working = true, .detail = "processes, CPU, memory"});
  sample_groups(sample);
  sample_connections(sample);
  sample_sockets(sample);
  sample_tracks(sample);
  attribute(sample);
  sample_containers(sample);
  sample.cost = sys::thread_cpu_time() - cpu_before - tracks_cost_;
  return sample;
}

void Sampler::rest() {
  if (sources_.connections) {
    sources_.connections->stop();
  }
  sources_.groups->stop();
  groups_state_ = {};
  connections_state_ = {};
  openings_.clear();
  tracks_due_ = {};
  are_tracks_old_ = true;
  quiet_.clear();
}

int Sampler::news_descriptor() const {
  return is_counting() ? sources_.connections->news_descriptor() : -1;
}

void Sampler::clear_news() {
  sources_.connections->clear_news();
}

// Which hierarchies there are is found out at the first look after a rest, before processes are
// read: it decides how the paths of their groups are told.
void Sampler::start_groups() {
  if (groups_state_.name.empty()) {
    auto started = sources_.groups->start();
    groups_state_ = {.name = "cgroup",
                     .working = started.ok(),
                     .detail = started.ok() ? std::move(started).value() : started.error().what};
  }
}

// Containers without a control group of their own are summed up from their processes, as are those
// whose is not counted.
void Sampler::sample_groups(Sample& sample) {
  sample.sources.push_back(groups_state_);
  if (!groups_state_.working) {
    return;
  }
  std::set<std::string> paths;
  for (const ObservedProcess& process : sample.processes) {
    if (const auto path = group_of_container(process.cgroup); !path.empty()) {
      paths.emplace(path);
    }
  }
  sample.groups = sources_.groups->groups(paths);
  const auto without = [&](auto is_missing) {
    return paths.size() - sample.groups.size()
           + static_cast<std::size_t>(
               std::count_if(sample.groups.begin(), sample.groups.end(), [&](const auto& item) {
                 return is_missing(item.second);
               }));
  };
  const std::size_t without_cpu = without([](const ObservedGroup& group) { return !group.cpu; });
  const std::size_t without_memory =
      without([](const ObservedGroup& group) { return !group.memory_bytes; });
  if (without_cpu + without_memory > 0) {
    sample.sources.back().detail +=
        fmt::format("; sums over processes: CPU of {}, memory of {}", without_cpu, without_memory);
  }
}

// Whether BPF can be had is found out at the first look after a rest, and said with each.
void Sampler::sample_connections(Sample& sample) {
  if (connections_state_.name.empty()) {
    connections_state_.name = "bpf";
    connections_state_.detail = "not wanted (--no-bpf)";
    if (sources_.connections) {
      const auto started = sources_.connections->start();
      connections_state_.working = started.ok();
      connections_state_.detail = started.ok() ? what_is_counted() : started.error().what;
    }
  }
  SourceFacts state = connections_state_;
  if (is_counting()) {
    auto taken = sources_.connections->take();
    if (taken.ok()) {
      sample.connections = std::move(taken).value();
      sample.counts_octets_of_datagrams = sources_.connections->counts_octets_of_datagrams();
    } else {
      state = {.name = state.name, .working = false, .detail = taken.error().what};
    }
    if (const std::uint64_t lost = sources_.connections->lost(); lost > 0) {
      state.detail += fmt::format("; {} kinds of them found no room", lost);
    }
  }
  sample.sources.push_back(std::move(state));
}

std::string Sampler::what_is_counted() const {
  const std::string_view missing = sources_.connections->datagrams_missing();
  if (!missing.empty()) {
    return fmt::format("TCP connections as they open and close; no UDP: {}", missing);
  }
  return fmt::format("TCP connections as they open and close, UDP that is said{}",
                     sources_.connections->counts_octets_of_datagrams()
                         ? ""
                         : ", without octets (they need --udp-octets and Linux 6.3)");
}

// Where BPF sees all that talks and nobody has begun to since the table was read, there is nothing
// new in it.
bool Sampler::may_tracks_differ(const Sample& sample) const {
  return !is_counting() || !sources_.connections->datagrams_missing().empty()
         || sample.at - tracks_at_ >= kTrackPauseMax
         || std::any_of(sample.connections.begin(), sample.connections.end(), [](const auto& one) {
              return one.opened + one.closed + one.failed > 0;
            });
}

void Sampler::sample_tracks(Sample& sample) {
  tracks_cost_ = {};
  are_tracks_old_ = are_tracks_old_ || may_tracks_differ(sample);
  if (are_tracks_old_ && sample.at >= tracks_due_) {
    are_tracks_old_ = false;
    const Duration before = sys::thread_cpu_time();
    auto tracks = sources_.tracks->tracks();
    const Duration cost = sys::thread_cpu_time() - before;
    const Duration pause = track_pause(cost);
    tracks_at_ = sample.at;
    tracks_due_ = sample.at + pause;
    tracks_cost_ = pause > Duration::zero() ? cost : Duration::zero();
    tracks_state_ = {.name = "conntrack",
                     .working = tracks.ok(),
                     .detail = tracks.ok() ? "UDP, translated addresses" : tracks.error().what};
    tracks_ = tracks.ok() ? std::move(tracks).value() : std::vector<ObservedTrack>();
  }
  sample.tracks = tracks_;
  sample.sources.push_back(tracks_state_);
}

// What BPF counts from its start on, sock_diag need not remember for a while after it has ended.
void Sampler::learn_opening(ObservedSocket& socket) {
  if (socket.transport != Transport::Tcp || socket.listening || socket.inode == 0) {
    return;
  }
  const auto known = old_openings_.find(socket.inode);
  const ObservedOpening opening =
      known != old_openings_.end()
          ? known->second
          : sources_.connections->opening_of(socket.cookie).value_or(ObservedOpening{});
  openings_.emplace(socket.inode, opening);
  socket.opened = opening.opened;
}

// Of namespaces in which nothing was connected and BPF has seen nothing since, the sockets are
// those of that look: a host of many idle containers is as cheap as one of few. One in kQuietShare
// is looked into all the same, the longest left alone first, for listeners that are new.
std::set<std::uint64_t> Sampler::quiet_namespaces(const Sample& sample) {
  if (!is_counting() || !sources_.connections->datagrams_missing().empty()) {
    quiet_.clear();
    return {};
  }
  for (const ObservedConnections& connections : sample.connections) {
    quiet_.erase(connections.netns);
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> oldest_first;
  for (const auto& [netns, quiet] : quiet_) {
    oldest_first.emplace_back(quiet.look, netns);
  }
  std::sort(oldest_first.begin(), oldest_first.end());
  const std::size_t due = (oldest_first.size() + kQuietShare - 1) / kQuietShare;
  std::set<std::uint64_t> quiet;
  for (std::size_t i = due; i < oldest_first.size(); ++i) {
    quiet.insert(oldest_first[i].second);
  }
  return quiet;
}

void Sampler::sample_sockets(Sample& sample) {
  using Wanted = sys::SocketSource::Wanted;
  const Wanted wanted = is_counting() ? Wanted::Live : Wanted::Recent;
  old_openings_ = std::exchange(openings_, {});
  std::map<std::uint64_t, std::uint32_t> namespaces{{sample.host_netns, 0}};
  std::size_t skipped = 0;
  for (const ObservedProcess& process : sample.processes) {
    if (process.netns == 0 || namespaces.contains(process.netns)) {
      continue;
    }
    if (namespaces.size() == kNamespacesMax) {
      ++skipped;
      continue;
    }
    namespaces.emplace(process.netns, process.pid);
  }
  SourceFacts state{.name = "sock_diag", .working = true, .detail = "connections, once a look"};
  const std::set<std::uint64_t> quiet = quiet_namespaces(sample);
  std::map<std::uint64_t, Quiet> still_quiet;
  for (const auto& [netns, pid] : namespaces) {
    if (quiet.contains(netns)) {
      const Quiet& known = still_quiet.emplace(netns, std::move(quiet_[netns])).first->second;
      sample.namespaces.push_back({.netns = netns, .sockets = known.sockets});
      continue;
    }
    auto sockets = sources_.sockets->sockets(pid, wanted);
    if (sockets.ok()) {
      const bool is_quiet = std::all_of(sockets.value().begin(),
                                        sockets.value().end(),
                                        [](const ObservedSocket& one) { return one.listening; });
      if (is_quiet && netns != sample.host_netns) {
        still_quiet.emplace(netns, Quiet{.look = look_, .sockets = sockets.value()});
      }
      if (is_counting()) {
        std::for_each(sockets.value().begin(), sockets.value().end(), [this](auto& socket) {
          learn_opening(socket);
        });
      }
      sample.namespaces.push_back({.netns = netns, .sockets = std::move(sockets).value()});
    } else if (sockets.error().code != Errc::NotFound) {
      state.working = false;
      state.detail = sockets.error().what;
    }
  }
  quiet_ = std::move(still_quiet);
  if (skipped > 0) {
    state.detail = fmt::format("processes in more than {} network namespaces", kNamespacesMax);
  }
  sample.sources.push_back(std::move(state));
}

// Descriptors are walked only when there are sockets not known from an earlier look, and only those
// of processes in the sockets' namespaces. What BPF has seen opening is in no hurry: who connected
// is known, and who listens stands for who accepted until the connection has lasted for a look.
void Sampler::attribute(Sample& sample) {
  std::map<std::uint64_t, std::set<std::uint32_t>> pids_of_netns;
  for (const ObservedProcess& process : sample.processes) {
    pids_of_netns[process.netns].insert(process.pid);
  }
  std::map<std::uint64_t, std::uint64_t> ownerless;
  std::set<std::uint64_t> wanted;
  std::set<std::uint32_t> pids;
  for (const NamespaceSockets& ns : sample.namespaces) {
    for (const ObservedSocket& socket : ns.sockets) {
      const bool is_bound_udp = socket.listening && socket.transport == Transport::Udp;
      if (is_bound_udp || socket.inode == 0) {
        continue;
      }
      const auto opening = openings_.find(socket.inode);
      if (socket.opened == Opened::Here) {
        sample.owners.emplace(socket.inode, opening->second.pid);
        continue;
      }
      if (const auto owner = owners_.find(socket.inode); owner != owners_.end()) {
        sample.owners.emplace(*owner);
        continue;
      }
      if (socket.opened == Opened::There && !old_openings_.contains(socket.inode)) {
        continue;
      }
      const auto sought = ownerless_.find(socket.inode);
      if (sought != ownerless_.end() && look_ - sought->second < kSeekAgainLooks) {
        ownerless.emplace(*sought);
        continue;
      }
      ownerless.emplace(socket.inode, look_);
      wanted.insert(socket.inode);
      pids.insert(pids_of_netns[ns.netns].begin(), pids_of_netns[ns.netns].end());
    }
  }
  if (!wanted.empty()) {
    for (const auto& [inode, pid] : sources_.processes->owners_of(wanted, pids)) {
      sample.owners.emplace(inode, pid);
      ownerless.erase(inode);
    }
  }
  owners_ = sample.owners;
  ownerless_ = std::move(ownerless);
}

// True if containers came or went since the engine was last asked, or if what it said of one does
// not fit whether it has processes: the engine is a little behind the kernel.
bool Sampler::is_engine_due(TimePoint now, const std::set<std::string>& ids) const {
  const bool is_first = engine_state_.name.empty();
  if (is_first || ids != seen_ids_ || now - engine_asked_ >= kEngineEvery) {
    return true;
  }
  return std::any_of(containers_.begin(), containers_.end(), [&](const ContainerFacts& container) {
    const bool is_up =
        container.state == ContainerState::Running || container.state == ContainerState::Paused;
    return ids.contains(container.id) ? !is_up : is_up && lived_.contains(container.id);
  });
}

void Sampler::sample_containers(Sample& sample) {
  if (!sources_.engine) {
    sample.sources.push_back(
        {.name = std::string(kEngineName), .working = false, .detail = "not asked (--no-docker)"});
    return;
  }
  std::set<std::string> ids;
  for (const ObservedProcess& process : sample.processes) {
    ids.emplace(container_of_cgroup(process.cgroup));
  }
  if (is_engine_due(sample.at, ids)) {
    engine_asked_ = sample.at;
    auto containers = ask_engine();
    engine_state_ = {
        .name = std::string(kEngineName),
        .working = containers.ok(),
        .detail = containers.ok() ? "containers, images, networks" : containers.error().what};
    containers_ = containers.ok() ? std::move(containers).value() : std::vector<ContainerFacts>();
    std::erase_if(lived_, [this](const std::string& id) { return !hostnames_.contains(id); });
    seen_ids_ = std::move(ids);
    lived_.insert(seen_ids_.begin(), seen_ids_.end());
  }
  sample.containers = containers_;
  sample.sources.push_back(engine_state_);
}

Result<std::vector<ContainerFacts>> Sampler::ask_engine() {
  const sys::HttpResponse list = WEFT_TRY(sources_.engine("/containers/json?all=1"));
  if (list.status != 200) {
    return Error{Errc::Unavailable, fmt::format("the engine answered {}", list.status)};
  }
  std::vector<ContainerFacts> containers = WEFT_TRY(parse_container_list(list.body));
  std::map<std::string, std::string> hostnames;
  for (ContainerFacts& container : containers) {
    const auto known = hostnames_.find(container.id);
    if (known != hostnames_.end()) {
      container.hostname = known->second;
    } else if (const auto answer = sources_.engine("/containers/" + container.id + "/json");
               answer.ok()) {
      container.hostname = parse_container_hostname(answer.value().body).value_or("");
    }
    hostnames.emplace(container.id, container.hostname);
  }
  hostnames_ = std::move(hostnames);
  return containers;
}

}  // namespace weft::probe
