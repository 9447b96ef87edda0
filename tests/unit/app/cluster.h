// A small cluster as its hosts report it: two hosts, a web container on one that asks a database on
// the other, a published port, clients from outside.
#pragma once

#include <string>

#include "probe/report/report.h"

namespace weft::app {

inline const PeerName kHost1(0x7a0102030401);
inline const PeerName kHost2(0x7a0102030402);
inline const std::string kWeb(64, 'a');
inline const std::string kDb(64, 'b');

inline Ip ip(const char* text) {
  return Ip::parse(text).value();
}

inline probe::HostReport empty_host(PeerName name,
                                    const std::string& hostname,
                                    const char* address) {
  probe::HostReport host;
  host.origin = name;
  host.sequence = 1;
  host.interval = std::chrono::seconds(1);
  host.host.name = hostname;
  host.host.kernel = "6.1.0";
  host.host.os = "Debian GNU/Linux 12 (bookworm)";
  host.host.version = "0.1.0";
  host.host.uptime = std::chrono::hours(2);
  host.host.load1 = 0.5;
  host.host.forks = 700;
  host.host.forks_per_second = 12;
  host.host.cpu_count = 2;
  host.host.usage = {.cpu_percent = 50, .memory_bytes = 1U << 30U};
  host.host.memory_total_bytes = 4ULL << 30U;
  host.host.networks = {Cidr::parse(std::string(address) + "/24").value(),
                        Cidr::parse("172.17.0.1/16").value()};
  host.overlay.nickname = hostname;
  host.overlay.datapath = "bpf";
  host.overlay.range = "10.32.0.0/12";
  host.overlay.mtu = 1450;
  host.sources = {{.name = "procfs", .working = true, .detail = "processes, CPU, memory"}};
  return host;
}

inline void add_container(probe::HostReport& host,
                          const std::string& id,
                          const std::string& name,
                          const std::string& image,
                          const char* address) {
  probe::ContainerFacts container;
  container.id = id;
  container.name = name;
  container.hostname = name;
  container.image = image;
  container.command = name + " --serve";
  container.status = "Up 2 minutes";
  container.created_unix = 1'700'000'000;
  container.usage = {.cpu_percent = 10, .memory_bytes = 50U << 20U};
  container.process_count = 1;
  container.descriptor_count = 12;
  container.addresses = {ip(address)};
  container.networks = {"weft-net"};
  container.labels = {{"tier", name}};
  host.containers.push_back(container);
  host.overlay.endpoints.push_back({.mac = Mac(), .addresses = {ip(address)}});
  const auto pid = static_cast<std::uint32_t>(100 + host.processes.size());
  host.processes.push_back({.pid = pid,
                            .parent = 1,
                            .name = name + "d",
                            .command = name + "d --serve",
                            .container = id,
                            .uid = 0,
                            .thread_count = 4,
                            .descriptor_count = 12,
                            .descriptor_max = 1024,
                            .usage = container.usage});
}

inline probe::FlowKey flow(probe::Direction direction,
                           const std::string& container,
                           std::uint32_t pid,
                           const char* local,
                           const char* remote,
                           std::uint16_t port) {
  return {.transport = Transport::Tcp,
          .direction = direction,
          .netns = container.empty() ? 1U : 2U,
          .container = container,
          .pid = pid,
          .local = ip(local),
          .remote = ip(remote),
          .port = port};
}

inline probe::Report cluster() {
  using enum probe::Direction;
  probe::HostReport one = empty_host(kHost1, "h1.example.org", "192.0.2.1");
  add_container(one, kWeb, "web", "registry.example.org:5000/shop/web:2", "10.32.0.1");
  one.containers[0].ports = {{.outside = {ip("0.0.0.0"), 8080}, .inside = 80}};
  one.flows[flow(Outbound, kWeb, 100, "10.32.0.1", "10.40.0.1", 5432)] = {
      .count = 4,
      .sent_per_second = 100,
      .received_per_second = 900,
      .retransmits = 1,
      .rtt_us = 300,
      .packets_sent = 12,
      .packets_received = 9};
  one.flows[flow(Inbound, kWeb, 100, "10.32.0.1", "198.51.100.7", 80)] = {.count = 2};
  one.flows[flow(Outbound, kWeb, 100, "10.32.0.1", "203.0.113.9", 443)] = {.count = 1};
  one.overlay.links = {{.address = "192.0.2.2:6783",
                        .peer = kHost2.number(),
                        .outbound = true,
                        .authenticated = true,
                        .state = "established",
                        .reason = ""}};
  probe::HostReport two = empty_host(kHost2, "h2.example.org", "192.0.2.2");
  add_container(two, kDb, "db", "postgres:16", "10.40.0.1");
  two.flows[flow(Inbound, kDb, 100, "10.40.0.1", "10.32.0.1", 5432)] = {.count = 4};
  two.overlay.links = {{.address = "192.0.2.1:50000",
                        .peer = kHost1.number(),
                        .outbound = false,
                        .authenticated = true,
                        .state = "established",
                        .reason = ""}};
  probe::Report report;
  report.merge(one);
  report.merge(two);
  return report;
}

}  // namespace weft::app
