// Sends Ethernet frames to peers in VXLAN (RFC 7348) from an ordinary UDP socket: the frames that
// the agent floods. Receivers see no difference from the kernel's own VXLAN.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::router {

class VxlanSender {
 public:
  struct Options {
    std::uint32_t vni = 0;
    std::uint16_t port = 0;  // Where peers listen.
  };

  static Result<std::unique_ptr<VxlanSender>> open(const boost::asio::any_io_executor& executor,
                                                   Options options);

  // Never waits: what the socket cannot take now is dropped and counted, as by a full queue.
  void send(ByteView frame, const std::vector<Ip>& peers);
  // In one packet or not at all: to find out whether the path carries it.
  void send_whole(ByteView frame, const Ip& peer);
  std::uint64_t dropped() const { return dropped_; }

 private:
  using Socket = boost::asio::ip::udp::socket;
  VxlanSender(Options options, Socket v4, std::optional<Socket> v6);
  Socket* socket_for(const Ip& peer);

  Options options_;
  Socket v4_;
  std::optional<Socket> v6_;  // Nothing on hosts without IPv6.
  std::uint64_t dropped_ = 0;
};

}  // namespace weft::router
