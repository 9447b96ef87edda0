// Messages of probes as bytes; codec.cc reads them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include <google/protobuf/message_lite.h>

#include "probe/report/codec.h"
#include "proto/probe.pb.h"

namespace weft::probe {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::uint32_t to_hundredths(double value) {
  constexpr double kMax = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp(std::round(value * kHundredths), 0.0, kMax));
}

std::uint32_t to_ms(Duration duration) {
  return static_cast<std::uint32_t>(duration_cast<milliseconds>(duration).count());
}

std::string to_octets(const Ip& address) {
  return std::string(as_text(address.bytes()));
}

void put(const Usage& usage, wire::probe::Usage& out) {
  out.set_cpu(to_hundredths(usage.cpu_percent));
  out.set_memory(usage.memory_bytes);
}

void put(const HostFacts& host, wire::probe::Host& out) {
  out.set_name(host.name);
  out.set_kernel(host.kernel);
  out.set_os(host.os);
  out.set_version(host.version);
  out.set_uptime_s(static_cast<std::uint64_t>(duration_cast<seconds>(host.uptime).count()));
  out.set_load1_hundredths(to_hundredths(host.load1));
  out.set_forks(host.forks);
  out.set_forks_per_second(host.forks_per_second);
  out.set_cpu_count(host.cpu_count);
  put(host.usage, *out.mutable_usage());
  out.set_memory_total(host.memory_total_bytes);
  for (const Cidr& network : host.networks) {
    auto& item = *out.add_networks();
    item.set_address(to_octets(network.address()));
    item.set_prefix(network.prefix());
  }
}

void put(const GroupFacts& group, wire::probe::Group& out) {
  out.set_counts_cpu(group.counts_cpu);
  out.set_counts_memory(group.counts_memory);
  out.set_memory_limit(group.memory_limit_bytes);
  out.set_throttled(to_hundredths(group.throttled_percent));
  out.set_disk_read(group.disk_read_bytes);
  out.set_disk_written(group.disk_written_bytes);
  out.set_disk_read_per_second(group.disk_read_per_second);
  out.set_disk_written_per_second(group.disk_written_per_second);
}

void put(const ContainerFacts& container, wire::probe::Container& out) {
  out.set_id(container.id);
  out.set_name(container.name);
  out.set_image(container.image);
  out.set_image_id(container.image_id);
  out.set_command(container.command);
  out.set_hostname(container.hostname);
  out.set_status(container.status);
  out.set_state(static_cast<std::uint32_t>(container.state));
  out.set_created(container.created_unix);
  out.set_host_network(container.host_network);
  put(container.usage, *out.mutable_usage());
  if (container.group != GroupFacts{}) {
    put(container.group, *out.mutable_group());
  }
  out.set_process_count(container.process_count);
  out.set_descriptors(container.descriptor_count);
  for (const Ip& address : container.addresses) {
    out.add_addresses(to_octets(address));
  }
  for (const PortMapping& port : container.ports) {
    auto& item = *out.add_ports();
    item.set_address(to_octets(port.outside.address));
    item.set_outside(port.outside.port);
    item.set_inside(port.inside);
    item.set_transport(static_cast<std::uint32_t>(port.transport));
  }
  for (const std::string& network : container.networks) {
    out.add_networks(network);
  }
  for (const auto& [key, value] : container.labels) {
    auto& item = *out.add_labels();
    item.set_key(key);
    item.set_value(value);
  }
}

// Where a container stands in the report, plus one; 0 if it is in none or was cut.
using Positions = std::map<std::string_view, std::uint32_t>;

std::uint32_t position_of(const Positions& positions, std::string_view id) {
  const auto found = positions.find(id);
  return found == positions.end() ? 0 : found->second;
}

void put(const ProcessFacts& process, const Positions& positions, wire::probe::Process& out) {
  out.set_pid(process.pid);
  out.set_parent(process.parent);
  out.set_name(process.name);
  out.set_command(process.command);
  out.set_container(position_of(positions, process.container));
  out.set_uid(process.uid);
  out.set_threads(process.thread_count);
  out.set_descriptors(process.descriptor_count);
  out.set_descriptors_max(process.descriptor_max);
  put(process.usage, *out.mutable_usage());
}

template <class Carrier>  // A flow, or a path.
void put_carried(const FlowFacts& facts, Carrier& out) {
  out.set_sent(facts.sent_per_second);
  out.set_received(facts.received_per_second);
  out.set_sent_total(facts.sent);
  out.set_received_total(facts.received);
  out.set_packets_sent(facts.packets_sent);
  out.set_packets_received(facts.packets_received);
}

void put(const FlowKey& key,
         const FlowFacts& flow,
         const Positions& positions,
         wire::probe::Flow& out) {
  out.set_transport(static_cast<std::uint32_t>(key.transport));
  out.set_direction(static_cast<std::uint32_t>(key.direction));
  out.set_netns(key.netns);
  out.set_container(position_of(positions, key.container));
  out.set_pid(key.pid);
  out.set_local(to_octets(key.local));
  out.set_remote(to_octets(key.remote));
  out.set_port(key.port);
  out.set_count(flow.count);
  put_carried(flow, out);
  out.set_retransmits(flow.retransmits);
  out.set_rtt_us(flow.rtt_us);
  out.set_opened(flow.opened);
  out.set_failed(flow.failed);
}

void put(const OverlayFacts& overlay, wire::probe::Overlay& out) {
  out.set_nickname(overlay.nickname);
  out.set_datapath(overlay.datapath);
  out.set_encrypted(overlay.encrypted);
  out.set_range(overlay.range);
  out.set_mtu(overlay.mtu);
  out.set_controls(overlay.controls);
  out.set_host_shell(overlay.host_shell);
  for (const LinkFacts& link : overlay.links) {
    auto& item = *out.add_links();
    item.set_address(link.address);
    item.set_peer(link.peer);
    item.set_outbound(link.outbound);
    item.set_authenticated(link.authenticated);
    item.set_state(link.state);
    item.set_reason(link.reason);
    item.set_rtt_us(link.rtt_us);
    item.set_loss(to_hundredths(link.loss_percent));
  }
  for (const PathFacts& path : overlay.paths) {
    auto& item = *out.add_paths();
    item.set_peer(path.peer.number());
    item.set_way(path.way);
    item.set_via(path.via.number());
    item.set_encrypted(path.encrypted);
    item.set_lost(path.lost);
    item.set_rtt_us(path.rtt_us);
    item.set_mtu(path.mtu);
    put_carried(path.carried, item);
  }
  for (const EndpointFacts& endpoint : overlay.endpoints) {
    auto& item = *out.add_endpoints();
    const Mac::Octets& octets = endpoint.mac.octets();
    item.set_mac(std::string(octets.begin(), octets.end()));
    for (const Ip& address : endpoint.addresses) {
      item.add_addresses(to_octets(address));
    }
  }
}

void put(const HostReport& report, wire::probe::Report& out) {
  out.set_origin(report.origin.number());
  out.set_incarnation(report.incarnation.value());
  out.set_sequence(report.sequence);
  out.set_interval_ms(to_ms(report.interval));
  put(report.host, *out.mutable_host());
  Positions positions;
  for (const ContainerFacts& container : report.containers) {
    put(container, *out.add_containers());
    positions.emplace(container.id, static_cast<std::uint32_t>(positions.size() + 1));
  }
  for (const ProcessFacts& process : report.processes) {
    put(process, positions, *out.add_processes());
  }
  for (const auto& [key, flow] : report.flows) {
    put(key, flow, positions, *out.add_flows());
  }
  for (const auto& [address, name] : report.names) {
    auto& item = *out.add_names();
    item.set_address(to_octets(address));
    item.set_name(name);
  }
  put(report.overlay, *out.mutable_overlay());
  for (const SourceFacts& source : report.sources) {
    auto& item = *out.add_sources();
    item.set_name(source.name);
    item.set_working(source.working);
    item.set_detail(source.detail);
  }
  out.set_folded_processes(report.folded.processes);
  out.set_folded_containers(report.folded.containers);
  out.set_folded_flows(report.folded.flows);
  out.set_folded_others(report.folded.others);
}

Bytes serialize(const google::protobuf::MessageLite& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data());
  return bytes;
}

}  // namespace

Bytes encode_watch(const Watch& watch) {
  wire::probe::Message message;
  message.mutable_watch()->set_lease_ms(to_ms(watch.lease));
  message.mutable_watch()->set_interval_ms(to_ms(watch.interval));
  return serialize(message);
}

Bytes encode_control(ByteView bytes) {
  wire::probe::Message message;
  message.set_control(bytes.data(), bytes.size());
  return serialize(message);
}

Bytes encode_report(const HostReport& report) {
  wire::probe::Message message;
  put(report, *message.mutable_report());
  return serialize(message);
}

}  // namespace weft::probe
