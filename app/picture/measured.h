// What is measured of hosts, containers and processes, as the metrics of their nodes. Pure.
#pragma once

#include <string>
#include <vector>

#include "app/view.h"
#include "probe/report/report.h"

namespace weft::app {

std::vector<Metric> host_metrics(const probe::HostFacts& host);
std::vector<Metric> container_metrics(const probe::HostFacts& host,
                                      const probe::ContainerFacts& container);
std::vector<Metric> process_metrics(const probe::HostFacts& host,
                                    const probe::ProcessFacts& process);

// Where a container's CPU and memory are from, for people.
std::string usage_source(const probe::GroupFacts& group);

}  // namespace weft::app
