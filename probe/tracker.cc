#include "probe/tracker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "probe/container_id.h"
#include "probe/mask.h"
#include "probe/rate.h"

namespace weft::probe {
namespace {

// Connections outlive their listener for as long as a server takes to restart, or to drain.
constexpr std::chrono::seconds kListenerMemory(60);

// An edge whose connections have all ended stays this long: a look sooner than usual would take it
// off the screen before anybody has seen it. Below the time between two looks, so that it goes with
// the next.
constexpr std::chrono::milliseconds kShownFor(900);

// Datagrams have no end: who has said nothing for so long talks no more, as with connection
// tracking (sys/netlink/conntrack.cc).
constexpr std::chrono::seconds kTalkMemory(5);

// Kinds of them that are remembered, as many as a report has flows (probe/report/report.h); those
// beyond are shown while they talk.
constexpr std::size_t kTalksMax = 8192;

// Linux's default net.ipv4.ip_local_port_range begins here.
constexpr std::uint16_t kEphemeralMin = 32768;

template <class Observed>  // A socket, connections of a kind, or a track as its client sees it.
Traffic traffic_of(const Observed& observed) {
  return {.sent = observed.bytes_sent,
          .received = observed.bytes_received,
          .packets_sent = observed.packets_sent,
          .packets_received = observed.packets_received};
}

Traffic traffic_of(const ObservedTrack& track, Direction direction) {
  const Traffic of_client = traffic_of(track);
  return direction == Direction::Outbound ? of_client : of_client.reversed();
}

// Of which connections it is one, whoever it belongs to.
FlowKey kind_of(const FlowKey& key) {
  FlowKey kind = key;
  kind.pid = 0;
  kind.container.clear();
  return kind;
}

// The same of datagrams: a socket need not know its own address.
FlowKey talk_of(const FlowKey& key) {
  FlowKey talk = kind_of(key);
  talk.local = Ip();
  return talk;
}

// A kernel thread has neither arguments nor memory.
bool is_kernel_thread(const ObservedProcess& process) {
  return process.command.empty() && process.rss_bytes == 0;
}

}  // namespace

HostReport Tracker::digest(const Sample& sample) {
  HostReport report;
  elapsed_ = has_previous_ ? sample.at - previous_at_ : Duration::zero();
  note_containers(sample, report);
  note_listeners(sample);
  digest_host(sample, report);
  digest_processes(sample, report);
  digest_flows(sample, report);
  report.sources = sample.sources;
  has_previous_ = true;
  previous_at_ = sample.at;
  enforce_limits(report);
  return report;
}

// Namespaces are known by who is in them; where two containers share one, the first by id stands
// for it. The host's own belongs to nobody. A container that no engine told of has no more than its
// id, and a name.
void Tracker::note_containers(const Sample& sample, HostReport& out) {
  container_of_pid_.clear();
  container_of_netns_.clear();
  std::map<std::string, ContainerFacts> known;
  for (const ContainerFacts& container : sample.containers) {
    known.emplace(container.id, container);
  }
  pids_.clear();
  for (const ObservedProcess& process : sample.processes) {
    pids_.insert(process.pid);
    auto found = container_of(process, sample.host.name);
    if (!found) {
      continue;
    }
    const std::string& id = found->id;
    if (!known.contains(id)) {
      ContainerFacts container;
      container.id = id;
      container.name = std::move(found->name);
      known.emplace(id, std::move(container));
    }
    container_of_pid_.emplace(process.pid, id);
    if (process.netns != 0 && process.netns != sample.host_netns) {
      std::string& holder = container_of_netns_.try_emplace(process.netns, id).first->second;
      holder = std::min(holder, id);
    }
  }
  for (auto& [id, container] : known) {
    out.containers.push_back(std::move(container));
  }
}

void Tracker::note_listeners(const Sample& sample) {
  for (const NamespaceSockets& ns : sample.namespaces) {
    for (const ObservedSocket& socket : ns.sockets) {
      if (socket.listening) {
        Server& server = listeners_[Listener(ns.netns, socket.transport, socket.local.port)];
        server.seen = sample.at;
        if (const auto owner = sample.owners.find(socket.inode); owner != sample.owners.end()) {
          server.pid = owner->second;
        }
      }
    }
  }
  std::erase_if(listeners_,
                [&](const auto& item) { return sample.at - item.second.seen > kListenerMemory; });
}

void Tracker::digest_host(const Sample& sample, HostReport& out) {
  const ObservedHost& host = sample.host;
  out.host.name = host.name;
  out.host.kernel = host.kernel;
  out.host.os = host.os;
  out.host.uptime = host.uptime;
  out.host.load1 = host.load1;
  out.host.forks = host.forks;
  out.host.forks_per_second = per_second(host.forks - std::min(host.forks, forks_), elapsed_);
  forks_ = host.forks;
  out.host.cpu_count = host.cpu_count;
  out.host.usage.cpu_percent = percent_of(host.cpu_busy - host_cpu_, elapsed_);
  out.host.usage.memory_bytes =
      host.memory_total_bytes - std::min(host.memory_total_bytes, host.memory_available_bytes);
  out.host.memory_total_bytes = host.memory_total_bytes;
  std::set<Cidr> networks;
  for (const Cidr& address : host.addresses) {
    networks.insert(address);
  }
  out.host.networks = {networks.begin(), networks.end()};
  host_cpu_ = host.cpu_busy;
}

// A process that was not there before has used all of its time since; one at rest is read now and
// then, and what it used is of all that time.
double Tracker::cpu_percent(const ObservedProcess& process,
                            TimePoint now,
                            const CpuTime* before) const {
  if (process.remembered) {
    return 0;
  }
  return before == nullptr ? percent_of(process.cpu, elapsed_)
                           : percent_of(process.cpu - before->used, now - before->at);
}

void Tracker::digest_processes(const Sample& sample, HostReport& out) {
  std::map<ProcessId, CpuTime> cpu;
  std::map<std::string, ContainerFacts*> containers;
  for (ContainerFacts& container : out.containers) {
    containers.emplace(container.id, &container);
  }
  for (const ObservedProcess& process : sample.processes) {
    if (is_kernel_thread(process)) {
      continue;
    }
    const ProcessId id(process.pid, process.started_ticks);
    const auto found_before = process_cpu_.find(id);
    const CpuTime* const before =
        found_before == process_cpu_.end() ? nullptr : &found_before->second;
    cpu.emplace(
        id, process.remembered && before != nullptr ? *before : CpuTime{sample.at, process.cpu});
    ProcessFacts facts;
    facts.pid = process.pid;
    facts.parent = process.parent;
    facts.name = process.name;
    facts.command = mask_command(process.command);
    facts.uid = process.uid;
    facts.thread_count = process.thread_count;
    facts.descriptor_count = process.descriptor_count;
    facts.descriptor_max = process.descriptor_max;
    facts.usage.memory_bytes = process.rss_bytes;
    facts.usage.cpu_percent = cpu_percent(process, sample.at, before);
    if (const auto found = container_of_pid_.find(process.pid); found != container_of_pid_.end()) {
      facts.container = found->second;
      ContainerFacts& container = *containers.at(found->second);
      container.usage.cpu_percent += facts.usage.cpu_percent;
      container.usage.memory_bytes += facts.usage.memory_bytes;
      ++container.process_count;
      container.descriptor_count += facts.descriptor_count;
    }
    out.processes.push_back(std::move(facts));
  }
  process_cpu_ = std::move(cpu);
  groups_.digest(sample, container_of_pid_, out.containers);
}

bool Tracker::is_server(std::uint64_t netns, const ObservedSocket& socket) const {
  if (socket.opened != Opened::Unknown) {
    return socket.opened == Opened::There;
  }
  const bool serves = listeners_.contains(Listener(netns, socket.transport, socket.local.port));
  const bool peer_serves =
      listeners_.contains(Listener(netns, socket.transport, socket.remote.port));
  const bool is_local = socket.local.address == socket.remote.address;
  if (serves && !(is_local && peer_serves)) {
    return true;
  }
  return !serves && !(is_local && peer_serves) && socket.local.port < kEphemeralMin
         && socket.remote.port >= kEphemeralMin;
}

FlowKey Tracker::key_of(const Sample& sample,
                        std::uint64_t netns,
                        const ObservedSocket& socket) const {
  FlowKey key;
  key.transport = socket.transport;
  key.netns = netns;
  key.direction = is_server(netns, socket) ? Direction::Inbound : Direction::Outbound;
  key.port = key.direction == Direction::Inbound ? socket.local.port : socket.remote.port;
  key.local = socket.local.address;
  key.remote = socket.remote.address;
  if (const auto owner = sample.owners.find(socket.inode);
      socket.inode != 0 && owner != sample.owners.end()) {
    key.pid = owner->second;
  } else if (socket.opened == Opened::There) {
    key.pid = server_of(key);
  }
  name_container(key);
  return unwrapped(std::move(key));
}

// A process that is gone when we look is nobody that could be shown. On the host's network, which
// tells nothing, its parent tells which container it was of.
FlowKey Tracker::key_of(const ObservedConnections& connections) const {
  FlowKey key;
  key.transport = connections.transport;
  key.netns = connections.netns;
  key.direction =
      connections.opening.opened == Opened::Here ? Direction::Outbound : Direction::Inbound;
  key.port = connections.port;
  key.local = connections.local;
  key.remote = connections.remote;
  key.pid = connections.opening.pid != 0 ? connections.opening.pid : server_of(key);
  if (!pids_.contains(key.pid)) {
    key.pid = 0;
  }
  name_container(key);
  const auto parent = container_of_pid_.find(connections.opening.parent);
  if (key.pid == 0 && key.container.empty() && parent != container_of_pid_.end()) {
    key.container = parent->second;
  }
  return unwrapped(std::move(key));
}

std::uint32_t Tracker::server_of(const FlowKey& key) const {
  const auto server = listeners_.find(Listener(key.netns, key.transport, key.port));
  return server == listeners_.end() ? 0 : server->second.pid;
}

void Tracker::name_container(FlowKey& key) const {
  const auto by_pid = container_of_pid_.find(key.pid);
  const auto by_netns = container_of_netns_.find(key.netns);
  if (by_pid != container_of_pid_.end()) {
    key.container = by_pid->second;
  } else if (by_netns != container_of_netns_.end()) {
    key.container = by_netns->second;
  }
}

void Tracker::sum_sockets(const Sample& sample, Sums& sums) {
  std::map<std::uint64_t, Told> told;
  for (const NamespaceSockets& ns : sample.namespaces) {
    for (const ObservedSocket& socket : ns.sockets) {
      if (socket.listening) {
        continue;
      }
      const FlowKey key = key_of(sample, ns.netns, socket);
      Sum& sum = sums[key];
      ++sum.facts.count;
      sum.facts.retransmits += socket.retransmits;
      sum.facts.rtt_us = std::max(sum.facts.rtt_us, socket.rtt_us);
      if (socket.inode == 0) {
        continue;
      }
      const bool is_counted = socket.opened != Opened::Unknown;
      const Traffic now = traffic_of(socket);
      const auto before = told_.find(socket.inode);
      const Traffic base = before == told_.end() ? Traffic{} : before->second.traffic;
      if (has_previous_) {
        sum.traffic.add_since(base, now);
      }
      if (has_previous_ && !is_counted && before == told_.end()) {
        ++sum.facts.opened;
      }
      told.emplace(socket.inode, Told{now, kind_of(key), is_counted});
    }
  }
  gone_.clear();
  for (const auto& [inode, last] : told_) {
    if (last.counted && !told.contains(inode)) {
      Past& past = gone_[last.kind];
      ++past.count;
      past.traffic.add(last.traffic);
    }
  }
  told_ = std::move(told);
}

// BPF is read before the sockets are: one that ends in between is gone at this look, and counted at
// the next. What has been shown and has ended is shown no more.
void Tracker::sum_ended(const Sample& sample, Sums& sums) {
  std::set<std::uint64_t> namespaces;
  for (const NamespaceSockets& ns : sample.namespaces) {
    namespaces.insert(ns.netns);
  }
  std::map<FlowKey, Past> ahead = std::exchange(ahead_, {});
  for (const ObservedConnections& connections : sample.connections) {
    if (connections.transport == Transport::Udp || !namespaces.contains(connections.netns)) {
      continue;
    }
    const FlowKey key = key_of(connections);
    Traffic ended = traffic_of(connections);
    std::uint64_t unseen = connections.closed;
    for (Past* const past : {&ahead[kind_of(key)], &gone_[kind_of(key)]}) {
      ended.take_from(past->traffic);
      const std::uint64_t seen = std::min(unseen, past->count);
      unseen -= seen;
      past->count -= seen;
    }
    const bool is_seen = sums.contains(key);
    if (connections.closed + connections.failed == 0 && !is_seen) {
      totals_[key].opened += connections.opened;  // Open, with a process that we know better.
      continue;
    }
    Sum& sum = sums[key];
    sum.facts.count += unseen;
    sum.facts.opened += connections.opened;
    sum.facts.failed += connections.failed;
    sum.facts.retransmits += connections.retransmits;
    sum.facts.rtt_us = std::max(sum.facts.rtt_us, connections.rtt_us);
    sum.traffic.add(ended);
  }
  ahead_ = std::move(gone_);
}

// The only one that its network namespace has, where the socket is bound to none.
Ip Tracker::own_address(const FlowKey& key) const {
  if (!key.local.is_unspecified()) {
    return key.local;
  }
  if (key.remote.is_loopback()) {
    return key.remote;
  }
  const auto found = address_of_.find({key.netns, key.remote.is_v4()});
  return found == address_of_.end() || !found->second ? key.local : *found->second;
}

void Tracker::sum_datagrams(const Sample& sample, Sums& sums) {
  std::set<std::uint64_t> namespaces;
  for (const NamespaceSockets& ns : sample.namespaces) {
    namespaces.insert(ns.netns);
  }
  for (const ObservedConnections& talk : sample.connections) {
    const std::uint64_t said = talk.opened + talk.closed;
    if (talk.transport != Transport::Udp || !namespaces.contains(talk.netns)
        || said + talk.bytes_sent + talk.bytes_received == 0) {
      continue;
    }
    ObservedConnections addressed = talk;
    addressed.local = own_address(key_of(talk));
    const FlowKey key = key_of(addressed);
    Sum& sum = sums[key];
    sum.traffic.add(traffic_of(talk));
    // A connected socket may have been counted as one.
    sum.facts.opened = std::max(sum.facts.opened, talk.opened);
    sum.facts.count = std::max(sum.facts.count, talk.closed);
    if (said > 0 && (talks_.size() < kTalksMax || talks_.contains(key))) {
      talks_[key] = {.at = sample.at, .count = sum.facts.count};
    }
  }
  std::erase_if(talks_, [&](const auto& item) {
    const auto& [key, talk] = item;
    return sample.at - talk.at > kTalkMemory || !namespaces.contains(key.netns)
           || (key.pid != 0 && !pids_.contains(key.pid));
  });
  for (const auto& [key, talk] : talks_) {
    Sum& sum = sums[key];
    sum.facts.count = std::max(sum.facts.count, talk.count);
  }
}

void Tracker::add_totals(TimePoint now, const Sums& sums, HostReport& out) {
  for (const auto& [key, sum] : sums) {
    Total& total = totals_[key];
    total.active = now;
    total.opened += sum.facts.opened;
    total.failed += sum.facts.failed;
    total.traffic.add(sum.traffic);
  }
  std::erase_if(totals_, [now](const auto& item) { return now - item.second.active > kShownFor; });
  for (const auto& [key, total] : totals_) {
    FlowFacts& facts = out.flows[key];
    facts.opened = total.opened;
    facts.failed = total.failed;
    facts.sent = total.traffic.sent;
    facts.received = total.traffic.received;
    facts.packets_sent = total.traffic.packets_sent;
    facts.packets_received = total.traffic.packets_received;
  }
}

// Connection tracking ----------------------------------------------------------------------------

// Whose the addresses of this host are, and who answers in place of whom is asked.
void Tracker::note_tracks(const Sample& sample) {
  std::map<std::string, std::uint64_t> netns_of;
  for (const auto& [netns, container] : container_of_netns_) {
    netns_of.emplace(container, netns);
  }
  places_.clear();
  address_of_.clear();
  std::set<std::pair<Transport, std::uint16_t>> published;
  for (const ContainerFacts& container : sample.containers) {
    for (const PortMapping& port : container.ports) {
      published.emplace(port.transport, port.outside.port);
    }
    const auto netns = netns_of.find(container.id);
    if (netns == netns_of.end()) {
      continue;  // It does not run, or has another's network.
    }
    for (const Ip& address : container.addresses) {
      const auto [place, is_new] = places_.try_emplace(address, Place{container.id, netns->second});
      if (!is_new) {
        place->second.reset();
      }
      const auto [own, is_only] =
          address_of_.try_emplace({netns->second, address.is_v4()}, address);
      if (!is_only) {
        own->second.reset();
      }
    }
  }
  for (const Cidr& address : sample.host.addresses) {
    places_.try_emplace(address.address(), Place{"", sample.host_netns});
  }
  servers_.clear();
  for (const ObservedTrack& track : sample.tracks) {
    if (track.asked == track.server || published.contains({track.transport, track.asked.port})) {
      continue;
    }
    const Asked asked(track.transport, track.client.address, track.asked.address, track.asked.port);
    const auto [server, is_new] = servers_.try_emplace(asked, track.server);
    if (!is_new && server->second != track.server) {
      server->second.reset();  // Spread over several: what was asked is all that is common.
    }
  }
}

FlowKey Tracker::unwrapped(FlowKey key) const {
  const auto server = servers_.find(Asked(key.transport, key.local, key.remote, key.port));
  if (key.direction == Direction::Outbound && server != servers_.end() && server->second) {
    key.remote = server->second->address;
    key.port = server->second->port;
  }
  return key;
}

void Tracker::sum_track(const FlowKey& key, const ObservedTrack& track, Sum& sum) const {
  const TrackId id(track.client, track.server, key.direction);
  const Traffic now = traffic_of(track, key.direction);
  const auto before = tracked_.find(id);
  const Traffic base = before == tracked_.end() ? Traffic{} : before->second;
  if (has_previous_) {
    sum.traffic.add_since(base, now);
  }
}

// Both ends may be on this host: then each has its flow, as with sockets.
void Tracker::sum_tracks(const Sample& sample, Sums& sums) {
  std::map<FlowKey, FlowKey> known;
  for (const auto& [key, sum] : sums) {
    if (key.transport == Transport::Udp) {
      known.emplace(talk_of(key), key);
    }
  }
  std::map<TrackId, Traffic> tracked;
  for (const ObservedTrack& track : sample.tracks) {
    if (track.transport != Transport::Udp) {
      continue;
    }
    for (const Direction direction : {Direction::Outbound, Direction::Inbound}) {
      const bool is_client = direction == Direction::Outbound;
      const Ip& local = is_client ? track.client.address : track.server.address;
      const auto place = places_.find(local);
      if (place == places_.end() || !place->second) {
        continue;
      }
      FlowKey key;
      key.transport = Transport::Udp;
      key.direction = direction;
      key.netns = place->second->netns;
      key.container = place->second->container;
      key.local = local;
      key.remote = is_client ? track.asked.address : track.client.address;
      key.port = is_client ? track.asked.port : track.server.port;
      key.pid = is_client ? 0 : server_of(key);
      key = unwrapped(std::move(key));
      const TrackId id(track.client, track.server, direction);
      // What sockets and BPF tell is told better, but for octets that BPF does not know.
      const auto told = known.find(talk_of(key));
      Sum& sum = sums[told == known.end() ? key : told->second];
      if (told == known.end()) {
        ++sum.facts.count;
        sum.facts.opened += has_previous_ && !tracked_.contains(id) ? 1U : 0U;
      }
      if (told == known.end() || !sample.counts_octets_of_datagrams) {
        sum_track(key, track, sum);
      }
      tracked.emplace(id, traffic_of(track, direction));
    }
  }
  tracked_ = std::move(tracked);
}

void Tracker::digest_flows(const Sample& sample, HostReport& out) {
  Sums sums;
  note_tracks(sample);
  sum_sockets(sample, sums);
  sum_ended(sample, sums);
  sum_datagrams(sample, sums);
  sum_tracks(sample, sums);
  for (auto& [key, sum] : sums) {
    sum.facts.sent_per_second = per_second(sum.traffic.sent, elapsed_);
    sum.facts.received_per_second = per_second(sum.traffic.received, elapsed_);
    out.flows.emplace(key, sum.facts);
  }
  add_totals(sample.at, sums, out);
}

}  // namespace weft::probe
