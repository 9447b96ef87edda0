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
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "probe/report/report.h"

namespace weft::app {

// One end of a connection, as exactly as it is known.
struct Party {
  enum class Kind : std::uint8_t { Known, Internet, LocalNetwork };
  Kind kind = Kind::Known;
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

struct EdgeFacts {
  std::uint64_t count = 0;
  std::uint64_t sent_per_second = 0;      // From `from` to `to`.
  std::uint64_t received_per_second = 0;  // Back.
  std::uint64_t retransmits = 0;
  std::uint32_t rtt_us = 0;
  // Since the hosts are looked at.
  std::uint64_t opened = 0;
  std::uint64_t failed = 0;
  std::uint64_t sent = 0;  // Bytes.
  std::uint64_t received = 0;
  std::uint64_t packets_sent = 0;  // As of flows (probe/report/report.h).
  std::uint64_t packets_received = 0;

  EdgeFacts& operator+=(const EdgeFacts& other);
  friend bool operator==(const EdgeFacts&, const EdgeFacts&) = default;
};

using Edges = std::map<EdgeKey, EdgeFacts>;

Edges resolve_edges(const probe::Report& report);

}  // namespace weft::app
