// Who talks to whom in the whole cluster: the flows that hosts report, resolved to the processes,
// containers and hosts at both ends. Pure; made anew from a Report whenever that changed.
//
// An outbound flow names its own end exactly and the other by address. The address is looked up
// from the reporter's point of view: in its own network namespace, among its own containers, among
// the overlay's, through published ports, among hosts, and is otherwise the Internet's. Inbound
// flows add which process answered, and edges whose other end nobody reports.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include "probe/report/report.h"

namespace weft::app {

// One end of a connection, as exactly as it is known.
struct Party {
  enum class Kind : std::uint8_t { Known, Internet, LocalNetwork };
  Kind kind = Kind::Known;
  // Of one on the Internet that was asked: what it is called, if that is known.
  std::string name{};
  // Of a known party:
  PeerName host{};
  std::string container{};  // Empty: none.
  std::uint32_t pid = 0;    // 0: unknown.

  friend auto operator<=>(const Party&, const Party&) = default;
  friend bool operator==(const Party&, const Party&) = default;
};

struct EdgeKey {
  Party from;  // Who opened the connection.
  Party to;
  Transport transport = Transport::Tcp;
  std::uint16_t port = 0;  // The one that serves, as the client named it.

  friend auto operator<=>(const EdgeKey&, const EdgeKey&) = default;
  friend bool operator==(const EdgeKey&, const EdgeKey&) = default;
};

// Away from `from`.
using EdgeFacts = probe::FlowFacts;
using Edges = std::map<EdgeKey, EdgeFacts>;

Edges resolve_edges(const probe::Report& report);

}  // namespace weft::app
