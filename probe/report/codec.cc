#include "probe/report/codec.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/gossip.h"
#include "proto/probe.pb.h"

namespace weft::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Error invalid(std::string what) {
  return Error{Errc::Invalid, std::move(what)};
}

template <class Items>
Result<Ok> check_count(const Items& items, std::size_t max, std::string_view what) {
  if (static_cast<std::size_t>(items.size()) > max) {
    return invalid(fmt::format("{} {} (at most {})", items.size(), what, max));
  }
  return Ok{};
}

Result<std::string> text(const std::string& in) {
  if (in.size() > kTextMax) {
    return invalid(fmt::format("text of {} bytes (at most {})", in.size(), kTextMax));
  }
  return in;
}

Result<Ip> address(const std::string& octets) {
  return Ip::from_bytes(as_bytes(octets));
}

Result<std::uint16_t> port(std::uint32_t number) {
  if (number > std::numeric_limits<std::uint16_t>::max()) {
    return invalid(fmt::format("port {}", number));
  }
  return static_cast<std::uint16_t>(number);
}

Result<Transport> transport(std::uint32_t number) {
  if (number == static_cast<std::uint32_t>(Transport::Tcp)) {
    return Transport::Tcp;
  }
  if (number == static_cast<std::uint32_t>(Transport::Udp)) {
    return Transport::Udp;
  }
  return invalid(fmt::format("transport {} (expected 6 or 17)", number));
}

Result<PeerName> peer(std::uint64_t number) {
  constexpr std::uint64_t kPeerNumberMax = (std::uint64_t{1} << 48U) - 1;
  if (number > kPeerNumberMax) {
    return invalid(fmt::format("peer name {:x} exceeds 48 bits", number));
  }
  return PeerName(number);
}

Usage usage(const wire::probe::Usage& in) {
  return {.cpu_percent = in.cpu() / kHundredths, .memory_bytes = in.memory()};
}

template <class Octets>
Result<std::vector<Ip>> addresses(const Octets& in) {
  WEFT_TRY(check_count(in, kListMax, "addresses"));
  std::vector<Ip> out;
  for (const std::string& octets : in) {
    out.push_back(WEFT_TRY(address(octets)));
  }
  return out;
}

Result<HostFacts> host(const wire::probe::Host& in) {
  HostFacts out;
  out.name = WEFT_TRY(text(in.name()));
  out.kernel = WEFT_TRY(text(in.kernel()));
  out.os = WEFT_TRY(text(in.os()));
  out.version = WEFT_TRY(text(in.version()));
  constexpr std::uint64_t kUptimeMax = std::uint64_t{1} << 32U;  // 136 years; no overflow below.
  out.uptime = seconds(std::min(in.uptime_s(), kUptimeMax));
  out.load1 = in.load1_hundredths() / kHundredths;
  out.forks = in.forks();
  out.forks_per_second = in.forks_per_second();
  out.cpu_count = in.cpu_count();
  out.usage = usage(in.usage());
  out.memory_total_bytes = in.memory_total();
  WEFT_TRY(check_count(in.networks(), kListMax, "networks"));
  for (const auto& item : in.networks()) {
    const Ip ip = WEFT_TRY(address(item.address()));
    if (item.prefix() > ip.bits()) {
      return invalid(fmt::format("prefix length {} of {} bits", item.prefix(), ip.bits()));
    }
    out.networks.emplace_back(ip, static_cast<std::uint8_t>(item.prefix()));
  }
  return out;
}

Result<std::vector<PortMapping>> ports(const wire::probe::Container& in) {
  WEFT_TRY(check_count(in.ports(), kListMax, "ports"));
  std::vector<PortMapping> out;
  for (const auto& item : in.ports()) {
    PortMapping mapping;
    mapping.outside.address = WEFT_TRY(address(item.address()));
    mapping.outside.port = WEFT_TRY(port(item.outside()));
    mapping.inside = WEFT_TRY(port(item.inside()));
    mapping.transport = WEFT_TRY(transport(item.transport()));
    out.push_back(mapping);
  }
  return out;
}

GroupFacts group(const wire::probe::Group& in) {
  return {.counts_cpu = in.counts_cpu(),
          .counts_memory = in.counts_memory(),
          .memory_limit_bytes = in.memory_limit(),
          .throttled_percent = in.throttled() / kHundredths,
          .disk_read_bytes = in.disk_read(),
          .disk_written_bytes = in.disk_written(),
          .disk_read_per_second = in.disk_read_per_second(),
          .disk_written_per_second = in.disk_written_per_second()};
}

Result<ContainerFacts> container(const wire::probe::Container& in) {
  ContainerFacts out;
  out.id = WEFT_TRY(text(in.id()));
  out.name = WEFT_TRY(text(in.name()));
  out.image = WEFT_TRY(text(in.image()));
  out.image_id = WEFT_TRY(text(in.image_id()));
  out.command = WEFT_TRY(text(in.command()));
  out.hostname = WEFT_TRY(text(in.hostname()));
  out.status = WEFT_TRY(text(in.status()));
  if (in.state() > static_cast<std::uint32_t>(ContainerState::Dead)) {
    return invalid(fmt::format("container state {}", in.state()));
  }
  out.state = static_cast<ContainerState>(in.state());
  out.created_unix = in.created();
  out.host_network = in.host_network();
  out.usage = usage(in.usage());
  out.group = group(in.group());
  out.process_count = in.process_count();
  out.descriptor_count = in.descriptors();
  out.addresses = WEFT_TRY(addresses(in.addresses()));
  out.ports = WEFT_TRY(ports(in));
  WEFT_TRY(check_count(in.networks(), kListMax, "networks"));
  for (const std::string& name : in.networks()) {
    out.networks.push_back(WEFT_TRY(text(name)));
  }
  WEFT_TRY(check_count(in.labels(), kListMax, "labels"));
  for (const auto& label : in.labels()) {
    std::string value = WEFT_TRY(text(label.value()));
    out.labels.insert_or_assign(WEFT_TRY(text(label.key())), std::move(value));
  }
  return out;
}

Result<std::string> container_at(const HostReport& report, std::uint32_t position) {
  if (position > report.containers.size()) {
    return invalid(fmt::format("container {} of {}", position, report.containers.size()));
  }
  return position == 0 ? std::string() : report.containers[position - 1].id;
}

Result<ProcessFacts> process(const HostReport& report, const wire::probe::Process& in) {
  ProcessFacts out;
  out.pid = in.pid();
  out.parent = in.parent();
  out.name = WEFT_TRY(text(in.name()));
  out.command = WEFT_TRY(text(in.command()));
  out.container = WEFT_TRY(container_at(report, in.container()));
  out.uid = in.uid();
  out.thread_count = in.threads();
  out.descriptor_count = in.descriptors();
  out.descriptor_max = in.descriptors_max();
  out.usage = usage(in.usage());
  return out;
}

Result<FlowKey> flow_key(const HostReport& report, const wire::probe::Flow& in) {
  FlowKey key;
  key.transport = WEFT_TRY(transport(in.transport()));
  if (in.direction() != static_cast<std::uint32_t>(Direction::Outbound)
      && in.direction() != static_cast<std::uint32_t>(Direction::Inbound)) {
    return invalid(fmt::format("direction {}", in.direction()));
  }
  key.direction = static_cast<Direction>(in.direction());
  key.netns = in.netns();
  key.container = WEFT_TRY(container_at(report, in.container()));
  key.pid = in.pid();
  key.local = WEFT_TRY(address(in.local()));
  key.remote = WEFT_TRY(address(in.remote()));
  key.port = WEFT_TRY(port(in.port()));
  return key;
}

template <class Carrier>
FlowFacts carried(const Carrier& in) {
  return {.sent_per_second = in.sent(),
          .received_per_second = in.received(),
          .sent = in.sent_total(),
          .received = in.received_total(),
          .packets_sent = in.packets_sent(),
          .packets_received = in.packets_received()};
}

Result<LinkFacts> link(const wire::probe::Link& in) {
  LinkFacts out;
  out.address = WEFT_TRY(text(in.address()));
  out.peer = (WEFT_TRY(peer(in.peer()))).number();
  out.outbound = in.outbound();
  out.authenticated = in.authenticated();
  out.state = WEFT_TRY(text(in.state()));
  out.reason = WEFT_TRY(text(in.reason()));
  out.rtt_us = in.rtt_us();
  out.loss_percent = in.loss() / kHundredths;
  return out;
}

Result<PathFacts> path(const wire::probe::Path& in) {
  PathFacts out;
  out.peer = WEFT_TRY(peer(in.peer()));
  out.way = WEFT_TRY(text(in.way()));
  out.via = WEFT_TRY(peer(in.via()));
  out.encrypted = in.encrypted();
  out.lost = in.lost();
  out.rtt_us = in.rtt_us();
  out.mtu = in.mtu();
  out.carried = carried(in);
  return out;
}

Result<OverlayFacts> overlay(const wire::probe::Overlay& in) {
  OverlayFacts out;
  out.nickname = WEFT_TRY(text(in.nickname()));
  out.datapath = WEFT_TRY(text(in.datapath()));
  out.encrypted = in.encrypted();
  out.range = WEFT_TRY(text(in.range()));
  out.mtu = in.mtu();
  out.controls = in.controls();
  out.host_shell = in.host_shell();
  WEFT_TRY(check_count(in.links(), kLinksMax, "links"));
  for (const auto& item : in.links()) {
    out.links.push_back(WEFT_TRY(link(item)));
  }
  WEFT_TRY(check_count(in.paths(), kPathsMax, "paths"));
  for (const auto& item : in.paths()) {
    out.paths.push_back(WEFT_TRY(path(item)));
  }
  WEFT_TRY(check_count(in.endpoints(), kEndpointsMax, "endpoints"));
  for (const auto& item : in.endpoints()) {
    EndpointFacts endpoint;
    endpoint.mac = WEFT_TRY(Mac::from_bytes(as_bytes(item.mac())));
    endpoint.addresses = WEFT_TRY(addresses(item.addresses()));
    out.endpoints.push_back(std::move(endpoint));
  }
  return out;
}

Result<Ok> tables(const wire::probe::Report& in, HostReport& out) {
  WEFT_TRY(check_count(in.containers(), kContainersMax, "containers"));
  for (const auto& item : in.containers()) {
    out.containers.push_back(WEFT_TRY(container(item)));
    const std::size_t count = out.containers.size();
    if (count > 1 && out.containers[count - 2].id >= out.containers[count - 1].id) {
      return invalid("containers not in ascending order");
    }
  }
  WEFT_TRY(check_count(in.processes(), kProcessesMax, "processes"));
  for (const auto& item : in.processes()) {
    out.processes.push_back(WEFT_TRY(process(out, item)));
    const std::size_t count = out.processes.size();
    if (count > 1 && out.processes[count - 2].pid >= out.processes[count - 1].pid) {
      return invalid("processes not in ascending order");
    }
  }
  WEFT_TRY(check_count(in.flows(), kFlowsMax, "flows"));
  for (const auto& item : in.flows()) {
    FlowFacts facts = carried(item);
    facts.count = item.count();
    facts.retransmits = item.retransmits();
    facts.rtt_us = item.rtt_us();
    facts.opened = item.opened();
    facts.failed = item.failed();
    if (!out.flows.emplace(WEFT_TRY(flow_key(out, item)), facts).second) {
      return invalid("a flow stated twice");
    }
  }
  WEFT_TRY(check_count(in.names(), kNamesMax, "names"));
  for (const auto& item : in.names()) {
    const Ip named = WEFT_TRY(address(item.address()));
    if (!out.names.emplace(named, WEFT_TRY(text(item.name()))).second) {
      return invalid("an address named twice");
    }
  }
  return Ok{};
}

Result<HostReport> report(const wire::probe::Report& in) {
  HostReport out;
  out.origin = WEFT_TRY(peer(in.origin()));
  out.incarnation = Incarnation(in.incarnation());
  out.sequence = in.sequence();
  out.interval = milliseconds(in.interval_ms());
  out.host = WEFT_TRY(host(in.host()));
  WEFT_TRY(tables(in, out));
  out.overlay = WEFT_TRY(overlay(in.overlay()));
  WEFT_TRY(check_count(in.sources(), kListMax, "sources"));
  for (const auto& item : in.sources()) {
    SourceFacts source;
    source.name = WEFT_TRY(text(item.name()));
    source.working = item.working();
    source.detail = WEFT_TRY(text(item.detail()));
    out.sources.push_back(std::move(source));
  }
  out.folded = {.processes = in.folded_processes(),
                .containers = in.folded_containers(),
                .flows = in.folded_flows(),
                .others = in.folded_others()};
  return out;
}

Result<Watch> watch(const wire::probe::Watch& in) {
  const Watch out{.lease = milliseconds(in.lease_ms()), .interval = milliseconds(in.interval_ms())};
  if (out.lease > kLeaseMax) {
    return invalid(fmt::format("lease of {} ms", in.lease_ms()));
  }
  if (out.interval < kIntervalMin || out.interval > kIntervalMax) {
    return invalid(fmt::format("interval of {} ms", in.interval_ms()));
  }
  return out;
}

// Begun as the part with octets, since GCC 12 takes what the others leave of it for uninitialised.
template <class Part>
Result<Message> as_message(Result<Part> part) {
  if (!part.ok()) {
    return std::move(part).error();
  }
  Message message{ControlBytes{}};
  message = std::move(part).value();
  return message;
}

}  // namespace

Result<Message> decode_message(ByteView bytes) {
  if (bytes.size() > kGossipPayloadMax) {
    return invalid(fmt::format("message of {} bytes", bytes.size()));
  }
  wire::probe::Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid("no message of a probe");
  }
  switch (message.body_case()) {
    case wire::probe::Message::kWatch:
      return as_message(watch(message.watch()));
    case wire::probe::Message::kReport:
      return as_message(report(message.report()));
    case wire::probe::Message::kControl:
      return as_message(Result<ControlBytes>(ControlBytes{to_bytes(as_bytes(message.control()))}));
    case wire::probe::Message::BODY_NOT_SET:
      break;
  }
  return invalid("a message without a body");
}

}  // namespace weft::probe
