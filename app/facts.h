// What is said of one host, container, process or peer: a report's facts as a node, and what people
// call it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/view.h"
#include "probe/report/report.h"

namespace weft::app {

std::string port_label(std::uint16_t port, Transport transport);  // "80/tcp".
bool is_up(const probe::ContainerFacts& container);               // Running, if only to be paused.
std::string host_label(const probe::HostReport& host);
std::string peer_label(const probe::Report& report, PeerName peer);  // Its name if it is not told.
std::string container_label(const probe::ContainerFacts& container);
std::string network_names(const probe::ContainerFacts& container);  // In order.
std::string process_label(const probe::ProcessFacts& process);
// Nothing if the host has none of this id.
const probe::ContainerFacts* find_container(const probe::HostReport& host, const std::string& id);

// The service of a swarm that a container is a task of, as the engine's labels say.
struct Service {
  std::string id;     // Of its node.
  std::string label;  // Its name, without that of its stack.
  std::string stack;  // Empty: it is of none.
};
std::optional<Service> service_of(const probe::ContainerFacts& container);

// What a container's and a process's nodes are children of, without making them.
std::vector<Parent> parents_of(const probe::HostReport& host,
                               const probe::ContainerFacts& container);
std::vector<Parent> parents_of(const probe::HostReport& host, const probe::ProcessFacts& process);

Node host_node(const probe::HostReport& host);
Node container_node(const probe::HostReport& host, const probe::ContainerFacts& container);
Node process_node(const probe::HostReport& host, const probe::ProcessFacts& process);
Node peer_node(const probe::HostReport& host, const probe::Report& report);
std::string peer_id(PeerName peer);

// Adds one more to a node that stands for several.
void add_member(Node& group, const Node& member, const std::string& id, const std::string& label);

}  // namespace weft::app
