// Connections that a policy has stopped: read from the packets that the kernel logged, counted, and
// told with measure.
// Pure. Inputs are total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/time.h"

namespace weft::policy {

struct BlockedConnection {
  enum class Protocol : std::uint8_t { Tcp, Udp, Sctp };

  Protocol protocol = Protocol::Tcp;
  Endpoint source;
  Endpoint destination;

  // "TCP connection from 10.32.0.2:40000 to 10.32.0.3:80 blocked by Weave NPC.", as weave-npc says
  // and what reads its logs looks for.
  std::string to_string() const;

  friend bool operator==(const BlockedConnection&, const BlockedConnection&) = default;
};

// From its IP header on. Nothing for what begins no connection: other protocols, TCP but for the
// first SYN, fragments but for the first.
std::optional<BlockedConnection> read_blocked(ByteView packet);

class BlockedCounts {
 public:
  // By protocol and port of the destination, as weave-npc counts. One who tries all ports shall not
  // make a series of each: further ones are counted without a port.
  static constexpr std::size_t kSeriesMax = 1'024;
  // What a person could read; the rest is in the counters.
  static constexpr std::uint32_t kLinesPerSecond = 20;

  using Key = std::pair<BlockedConnection::Protocol, std::optional<std::uint16_t>>;

  // True if it is to be logged.
  bool count(TimePoint now, const BlockedConnection& connection);
  const std::map<Key, std::uint64_t>& counts() const { return counts_; }
  std::uint64_t unlogged() const { return unlogged_; }

 private:
  std::map<Key, std::uint64_t> counts_;
  TimePoint second_{};  // The one whose lines are counted.
  std::uint32_t lines_ = 0;
  std::uint64_t unlogged_ = 0;
};

}  // namespace weft::policy
