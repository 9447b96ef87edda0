#include "policy/blocked.h"

#include <chrono>

#include <fmt/format.h>

namespace weft::policy {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kSctp = 132;

// What of a packet matters here.
struct Transport {
  std::uint8_t protocol = 0;
  Ip source;
  Ip destination;
  ByteView bytes{};
};

// RFC 791.
std::optional<Transport> read_v4(ByteView packet) {
  constexpr std::size_t kHeaderMin = 20;
  constexpr std::uint16_t kOffsetMask = 0x1fff;
  if (packet.size() < kHeaderMin) {
    return std::nullopt;
  }
  const std::size_t header = std::size_t{packet[0] & 0x0fU} * 4;
  const unsigned fragment = (unsigned{packet[6]} << 8U | packet[7]) & kOffsetMask;
  if (header < kHeaderMin || packet.size() < header || fragment != 0) {
    return std::nullopt;
  }
  return Transport{.protocol = packet[9],
                   .source = Ip::from_bytes(packet.subspan(12, 4)).value(),
                   .destination = Ip::from_bytes(packet.subspan(16, 4)).value(),
                   .bytes = packet.subspan(header)};
}

// RFC 8200. Of extension headers those that may come before a transport are passed over.
std::optional<Transport> read_v6(ByteView packet) {
  constexpr std::size_t kHeader = 40;
  constexpr std::size_t kExtensionMin = 8;
  constexpr std::uint8_t kFragment = 44;
  constexpr std::uint16_t kOffsetMask = 0xfff8;
  if (packet.size() < kHeader) {
    return std::nullopt;
  }
  Transport found{.protocol = packet[6],
                  .source = Ip::from_bytes(packet.subspan(8, 16)).value(),
                  .destination = Ip::from_bytes(packet.subspan(24, 16)).value(),
                  .bytes = packet.subspan(kHeader)};
  const auto is_extension = [](std::uint8_t protocol) {
    constexpr std::uint8_t kHopByHop = 0;
    constexpr std::uint8_t kRouting = 43;
    constexpr std::uint8_t kDestination = 60;
    return protocol == kHopByHop || protocol == kRouting || protocol == kDestination
           || protocol == kFragment;
  };
  while (is_extension(found.protocol)) {
    if (found.bytes.size() < kExtensionMin) {
      return std::nullopt;
    }
    const bool is_fragment = found.protocol == kFragment;
    const std::size_t size =
        is_fragment ? kExtensionMin : (std::size_t{found.bytes[1]} + 1) * kExtensionMin;
    const unsigned offset = (unsigned{found.bytes[2]} << 8U | found.bytes[3]) & kOffsetMask;
    if (found.bytes.size() < size || (is_fragment && offset != 0)) {
      return std::nullopt;
    }
    found.protocol = found.bytes[0];
    found.bytes = found.bytes.subspan(size);
  }
  return found;
}

std::optional<BlockedConnection::Protocol> protocol_of(const Transport& transport) {
  constexpr std::size_t kTcpFlags = 13;
  constexpr unsigned kSyn = 0x02;
  constexpr unsigned kAck = 0x10;
  switch (transport.protocol) {
    case kTcp:
      if (transport.bytes.size() <= kTcpFlags
          || (transport.bytes[kTcpFlags] & (kSyn | kAck)) != kSyn) {
        return std::nullopt;
      }
      return BlockedConnection::Protocol::Tcp;
    case kUdp:
      return BlockedConnection::Protocol::Udp;
    case kSctp:
      return BlockedConnection::Protocol::Sctp;
    default:
      return std::nullopt;
  }
}

std::string_view name_of(BlockedConnection::Protocol protocol) {
  switch (protocol) {
    case BlockedConnection::Protocol::Tcp:
      return "TCP";
    case BlockedConnection::Protocol::Udp:
      return "UDP";
    case BlockedConnection::Protocol::Sctp:
      return "SCTP";
  }
  return "";
}

}  // namespace

std::string BlockedConnection::to_string() const {
  return fmt::format("{} connection from {} to {} blocked by Weave NPC.",
                     name_of(protocol),
                     source.to_string(),
                     destination.to_string());
}

std::optional<BlockedConnection> read_blocked(ByteView packet) {
  constexpr std::size_t kPorts = 4;
  if (packet.empty()) {
    return std::nullopt;
  }
  const unsigned version = packet[0] >> 4U;
  const auto transport = version == 4   ? read_v4(packet)
                         : version == 6 ? read_v6(packet)
                                        : std::nullopt;
  if (!transport || transport->bytes.size() < kPorts) {
    return std::nullopt;
  }
  const auto protocol = protocol_of(*transport);
  if (!protocol) {
    return std::nullopt;
  }
  const auto port = [&transport](std::size_t at) {
    return static_cast<std::uint16_t>(unsigned{transport->bytes[at]} << 8U
                                      | transport->bytes[at + 1]);
  };
  return BlockedConnection{.protocol = *protocol,
                           .source = {transport->source, port(0)},
                           .destination = {transport->destination, port(2)}};
}

bool BlockedCounts::count(TimePoint now, const BlockedConnection& connection) {
  Key key(connection.protocol, connection.destination.port);
  if (counts_.size() >= kSeriesMax && !counts_.contains(key)) {
    key.second.reset();
  }
  ++counts_[key];
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesPerSecond) {
    ++unlogged_;
    return false;
  }
  ++lines_;
  return true;
}

}  // namespace weft::policy
