// What is said of one host, container, process or peer: a report's facts as a node. Pure; used by
// topology.cc only.
#pragma once

#include <string>

#include "app/view.h"
#include "probe/report/report.h"

namespace weft::app {

Node host_node(const probe::HostReport& host);
Node container_node(const probe::HostReport& host, const probe::ContainerFacts& container);
Node process_node(const probe::HostReport& host, const probe::ProcessFacts& process);
Node peer_node(const probe::HostReport& host, const probe::Report& report);
std::string peer_id(PeerName peer);

// Adds one more to a node that stands for several.
void add_member(Node& group, const Node& member, const std::string& id, const std::string& label);

}  // namespace weft::app
