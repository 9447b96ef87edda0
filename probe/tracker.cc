#include "probe/tracker.h"

#include <algorithm>
#include <chrono>

#include "probe/engine_json.h"
#include "probe/mask.h"

namespace weft::probe {
namespace {

// Connections outlive their listener for as long as a server takes to restart, or to drain.
constexpr std::chrono::seconds kListenerMemory(60);

// Linux's default net.ipv4.ip_local_port_range begins here.
constexpr std::uint16_t kEphemeralMin = 32768;

std::uint64_t per_second(std::uint64_t amount, Duration elapsed) {
  if (elapsed <= Duration::zero()) {
    return 0;
  }
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return static_cast<std::uint64_t>(static_cast<double>(amount) / seconds);
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
// for it. The host's own belongs to nobody. A container that only its cgroup shows (containerd,
// Podman, LXC without an engine we ask) has no more than its id.
void Tracker::note_containers(const Sample& sample, HostReport& out) {
  container_of_pid_.clear();
  container_of_netns_.clear();
  std::map<std::string, ContainerFacts> known;
  for (const ContainerFacts& container : sample.containers) {
    known.emplace(container.id, container);
  }
  for (const ObservedProcess& process : sample.processes) {
    const std::string id = container_of_cgroup(process.cgroup);
    if (id.empty()) {
      continue;
    }
    if (!known.contains(id)) {
      constexpr std::size_t kShortId = 12;
      ContainerFacts container;
      container.id = id;
      container.name = id.substr(0, kShortId);
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
        listeners_[Listener(ns.netns, socket.transport, socket.local.port)] = sample.at;
      }
    }
  }
  std::erase_if(listeners_,
                [&](const auto& item) { return sample.at - item.second > kListenerMemory; });
}

void Tracker::digest_host(const Sample& sample, HostReport& out) {
  const ObservedHost& host = sample.host;
  out.host.name = host.name;
  out.host.kernel = host.kernel;
  out.host.os = host.os;
  out.host.uptime = host.uptime;
  out.host.load1 = host.load1;
  out.host.cpu_count = host.cpu_count;
  out.host.usage.cpu_percent = percent_of(host.cpu_busy, host_cpu_);
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

double Tracker::percent_of(Duration cpu, Duration before) const {
  if (elapsed_ <= Duration::zero() || cpu < before) {
    return 0;
  }
  constexpr double kPercent = 100;
  return kPercent * static_cast<double>((cpu - before).count())
         / static_cast<double>(elapsed_.count());
}

void Tracker::digest_processes(const Sample& sample, HostReport& out) {
  std::map<ProcessId, Duration> cpu;
  std::map<std::string, ContainerFacts*> containers;
  for (ContainerFacts& container : out.containers) {
    containers.emplace(container.id, &container);
  }
  for (const ObservedProcess& process : sample.processes) {
    if (is_kernel_thread(process)) {
      continue;
    }
    const ProcessId id(process.pid, process.started_ticks);
    const auto before = process_cpu_.find(id);
    cpu.emplace(id, process.cpu);
    ProcessFacts facts;
    facts.pid = process.pid;
    facts.parent = process.parent;
    facts.name = process.name;
    facts.command = mask_command(process.command);
    facts.uid = process.uid;
    facts.thread_count = process.thread_count;
    facts.usage.memory_bytes = process.rss_bytes;
    // A process that was not there before has used all of its time since.
    facts.usage.cpu_percent =
        percent_of(process.cpu, before == process_cpu_.end() ? Duration::zero() : before->second);
    if (const auto found = container_of_pid_.find(process.pid); found != container_of_pid_.end()) {
      facts.container = found->second;
      ContainerFacts& container = *containers.at(found->second);
      container.usage.cpu_percent += facts.usage.cpu_percent;
      container.usage.memory_bytes += facts.usage.memory_bytes;
      ++container.process_count;
    }
    out.processes.push_back(std::move(facts));
  }
  process_cpu_ = std::move(cpu);
}

bool Tracker::is_server(std::uint64_t netns, const ObservedSocket& socket) const {
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
  }
  const auto by_pid = container_of_pid_.find(key.pid);
  const auto by_netns = container_of_netns_.find(netns);
  if (by_pid != container_of_pid_.end()) {
    key.container = by_pid->second;
  } else if (by_netns != container_of_netns_.end()) {
    key.container = by_netns->second;
  }
  return key;
}

void Tracker::digest_flows(const Sample& sample, HostReport& out) {
  struct Sum {
    FlowFacts facts;
    Traffic traffic;
  };
  std::map<FlowKey, Sum> sums;
  std::map<std::uint64_t, Traffic> traffic;
  for (const NamespaceSockets& ns : sample.namespaces) {
    for (const ObservedSocket& socket : ns.sockets) {
      if (socket.listening) {
        continue;
      }
      Sum& sum = sums[key_of(sample, ns.netns, socket)];
      ++sum.facts.count;
      sum.facts.retransmits += socket.retransmits;
      sum.facts.rtt_us = std::max(sum.facts.rtt_us, socket.rtt_us);
      if (socket.inode == 0) {
        continue;
      }
      const Traffic now{socket.bytes_sent, socket.bytes_received};
      const auto before = traffic_.find(socket.inode);
      const Traffic base = before == traffic_.end() ? Traffic{} : before->second;
      if (has_previous_ && now.sent >= base.sent && now.received >= base.received) {
        sum.traffic.sent += now.sent - base.sent;
        sum.traffic.received += now.received - base.received;
      }
      traffic.emplace(socket.inode, now);
    }
  }
  traffic_ = std::move(traffic);
  for (auto& [key, sum] : sums) {
    sum.facts.sent_per_second = per_second(sum.traffic.sent, elapsed_);
    sum.facts.received_per_second = per_second(sum.traffic.received, elapsed_);
    out.flows.emplace(key, sum.facts);
  }
}

}  // namespace weft::probe
