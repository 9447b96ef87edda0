#include "app/picture/measured.h"

#include <algorithm>

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::GroupFacts;
using probe::HostFacts;
using probe::ProcessFacts;

constexpr double kWhole = 100;

double cpus_of(const HostFacts& host) {
  return std::max<double>(1, host.cpu_count);
}

Metric cpu(std::string_view id, double value, double max) {
  return {.id = id, .label = "CPU", .format = "percent", .value = value, .max = max, .priority = 1};
}

Metric memory(std::string_view id, std::uint64_t value, std::uint64_t max) {
  return {.id = id,
          .label = "Memory",
          .format = "filesize",
          .value = static_cast<double>(value),
          .max = static_cast<double>(max),
          .priority = 2};
}

Metric open_files(std::uint64_t value, std::uint64_t max) {
  return {.id = "open_files_count",
          .label = "Open files",
          .format = "integer",
          .value = static_cast<double>(value),
          .max = static_cast<double>(max),
          .priority = 3};
}

}  // namespace

std::vector<Metric> host_metrics(const HostFacts& host) {
  const double cpus = cpus_of(host);
  std::vector<Metric> metrics{
      cpu("host_cpu_usage_percent", host.usage.cpu_percent / cpus, kWhole),
      memory("host_mem_usage_bytes", host.usage.memory_bytes, host.memory_total_bytes),
      {.id = "load1",
       .label = "Load (1m)",
       .format = "",
       .value = host.load1,
       .max = cpus,
       .priority = 3}};
  if (host.forks > 0) {
    metrics.push_back({.id = "weft_forks_per_second",
                       .label = "Forks/s",
                       .format = "integer",
                       .value = static_cast<double>(host.forks_per_second),
                       .max = 0,
                       .priority = 4});
  }
  return metrics;
}

// What never happened to a container is not shown of it.
std::vector<Metric> container_metrics(const HostFacts& host, const ContainerFacts& container) {
  const GroupFacts& group = container.group;
  const double all_cpus = kWhole * cpus_of(host);
  const bool is_limited =
      group.memory_limit_bytes > 0 && group.memory_limit_bytes < host.memory_total_bytes;
  std::vector<Metric> metrics{
      cpu("docker_cpu_total_usage", container.usage.cpu_percent, all_cpus),
      memory("docker_memory_usage",
             container.usage.memory_bytes,
             is_limited ? group.memory_limit_bytes : host.memory_total_bytes),
      open_files(container.descriptor_count, 0)};
  const auto add_some = [&](Metric metric, bool is_some) {
    if (is_some) {
      metric.priority = static_cast<double>(metrics.size() + 1);
      metrics.push_back(metric);
    }
  };
  add_some({.id = "weft_cpu_throttled",
            .label = "CPU throttled",
            .format = "percent",
            .value = group.throttled_percent,
            .max = all_cpus},
           group.throttled_percent > 0);
  add_some({.id = "weft_disk_read",
            .label = "Disk read/s",
            .format = "filesize",
            .value = static_cast<double>(group.disk_read_per_second)},
           group.disk_read_bytes > 0);
  add_some({.id = "weft_disk_written",
            .label = "Disk written/s",
            .format = "filesize",
            .value = static_cast<double>(group.disk_written_per_second)},
           group.disk_written_bytes > 0);
  return metrics;
}

std::vector<Metric> process_metrics(const HostFacts& host, const ProcessFacts& process) {
  return {cpu("process_cpu_usage_percent", process.usage.cpu_percent, kWhole * cpus_of(host)),
          memory("process_memory_usage_bytes", process.usage.memory_bytes, host.memory_total_bytes),
          open_files(process.descriptor_count, process.descriptor_max)};
}

std::string usage_source(const GroupFacts& group) {
  return group.counts_cpu && group.counts_memory ? "cgroup"
         : group.counts_cpu                      ? "cgroup, memory of its processes"
         : group.counts_memory                   ? "cgroup, CPU of its processes"
                                                 : "its processes";
}

}  // namespace weft::app
