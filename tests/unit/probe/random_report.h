// Reports as a cluster might make them, drawn from a seed. Every one is within the limits.
#pragma once

#include <string>

#include <fmt/format.h>

#include "base/rng.h"
#include "probe/report/report.h"

namespace weft::probe {

inline GroupFacts random_group(Rng& rng) {
  if (rng.chance(50)) {
    return {};
  }
  return {.counts_cpu = true,
          .counts_memory = rng.chance(50),
          .memory_limit_bytes = rng.next() >> 30,
          .throttled_percent = static_cast<double>(rng.below(100)),
          .disk_read_bytes = rng.next() >> 20,
          .disk_written_bytes = rng.next() >> 20,
          .disk_read_per_second = rng.below(1000),
          .disk_written_per_second = rng.below(1000)};
}

inline HostReport random_report(Rng& rng, PeerName origin) {
  HostReport report;
  report.origin = origin;
  report.incarnation = Incarnation(rng.below(2));
  report.sequence = rng.below(4);
  report.interval = std::chrono::seconds(1);
  report.host.name = fmt::format("host{}", origin.number());
  report.host.forks = rng.below(1000);
  report.host.forks_per_second = rng.below(100);
  report.host.cpu_count = rng.below(8) + 1;
  report.host.networks = {
      Cidr(Ip(Ipv4(0xc0000200 + static_cast<std::uint32_t>(origin.number()))), 24)};
  for (std::uint32_t i = 0; i < rng.below(4); ++i) {
    ContainerFacts container;
    container.id = fmt::format("{:064x}", origin.number() * 100 + i);
    container.name = fmt::format("c{}", i);
    container.image = rng.chance(50) ? "nginx:1.25" : "registry:5000/team/db";
    container.usage = {.cpu_percent = static_cast<double>(rng.below(100)),
                       .memory_bytes = rng.next() >> 30};
    container.group = random_group(rng);
    container.addresses = {
        Ip(Ipv4(0x0a200000 + static_cast<std::uint32_t>(origin.number() * 256 + i)))};
    container.labels = {{"tier", rng.chance(50) ? "front" : "back"}};
    container.descriptor_count = rng.below(100);
    report.containers.push_back(container);
    ProcessFacts process;
    process.pid = 100 + i;
    process.name = "server";
    process.container = container.id;
    process.descriptor_count = rng.below(100);
    process.descriptor_max = 1024;
    report.processes.push_back(process);
    report.overlay.endpoints.push_back({.mac = Mac(), .addresses = container.addresses});
    FlowKey key;
    key.container = container.id;
    key.pid = process.pid;
    key.direction = rng.chance(50) ? Direction::Inbound : Direction::Outbound;
    key.local = container.addresses.front();
    key.remote = Ip(Ipv4(0x0a200000 + rng.below(1024)));
    key.port = static_cast<std::uint16_t>(rng.below(3) + 80);
    report.flows[key] = {.count = rng.below(9) + 1,
                         .sent_per_second = rng.below(1000),
                         .opened = rng.below(1000),
                         .failed = rng.below(3),
                         .sent = rng.below(100000),
                         .received = rng.below(100000)};
  }
  for (std::uint32_t i = 0; i < rng.below(3); ++i) {
    report.overlay.paths.push_back({.peer = PeerName(rng.below(8)),
                                    .way = rng.chance(50) ? "sealed" : "relay",
                                    .via = PeerName(rng.below(8)),
                                    .encrypted = rng.chance(50),
                                    .lost = rng.chance(50),
                                    .rtt_us = rng.below(1000),
                                    .mtu = rng.below(9000),
                                    .carried = {.sent_per_second = rng.below(1000),
                                                .received_per_second = rng.below(1000),
                                                .sent = rng.next() >> 20,
                                                .received = rng.next() >> 20,
                                                .packets_sent = rng.below(1000),
                                                .packets_received = rng.below(1000)}});
  }
  for (const auto& [key, facts] : report.flows) {
    if (rng.chance(50)) {
      report.names[key.remote] = rng.chance(50) ? "s3.amazonaws.com" : "example.org";
    }
  }
  report.sources = {{.name = "procfs", .working = true, .detail = "fine"}};
  return report;
}

}  // namespace weft::probe
