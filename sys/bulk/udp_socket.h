// A UDP socket for bulk: many datagrams per system call both ways (sendmmsg, recvmmsg), and equal
// ones in a row as one super-datagram that the kernel cuts or puts together (UDP_SEGMENT, UDP_GRO:
// udp(7)). One socket for both address families where the host has IPv6.
//
// Non-blocking; used by one thread. No allocation after open().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/address.h"
#include "base/result.h"

namespace weft::sys {

// An Endpoint as the socket's system calls take it. Equal for equal endpoints of one socket.
struct SocketAddress {
  alignas(8) std::array<std::uint8_t, 28> bytes{};  // sockaddr_in or sockaddr_in6.
  std::uint32_t size = 0;

  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

class UdpSocket {
 public:
  // `host`: unspecified for all addresses. Fails with Errc::Os, such as for a port in use.
  static Result<std::unique_ptr<UdpSocket>> open(const Ip& host, std::uint16_t port);
  // Two that share the port: `express` hears datagrams whose second octet is 1, `bulk` all others.
  // Without `express` (the kernel has no SO_ATTACH_REUSEPORT_CBPF) it hears all.
  struct Lanes {
    std::unique_ptr<UdpSocket> bulk;
    std::unique_ptr<UdpSocket> express;
  };
  static Result<Lanes> open_lanes(const Ip& host, std::uint16_t port);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  int descriptor() const { return descriptor_; }
  // Of the socket's family; an address of the other that it cannot reach has size 0.
  SocketAddress address_of(const Endpoint& endpoint) const;
  static Endpoint endpoint_of(const SocketAddress& address);

  // Sending: append datagrams, then flush. --------------------------------------------------------

  // Where to write a datagram of `size` octets to `to`, which must have a size. Nothing if the
  // batch is full. Precondition: 0 < size <= kDatagramMax.
  std::uint8_t* append(const SocketAddress& to, std::size_t size);
  bool has_pending() const { return message_count_ > 0; }
  struct Sent {
    std::uint64_t datagrams = 0;
    std::uint64_t failed = 0;  // Refused by the kernel: no route, a full queue, too big.
  };
  Sent flush();

  // Receiving -------------------------------------------------------------------------------------

  struct Received {
    const SocketAddress& from;
    std::span<const std::uint8_t> bytes;
    std::size_t datagram_size;  // Each has this many octets, but for a shorter last one.
  };
  // How many there are; they are valid until the next call. 0: nothing waits.
  std::size_t receive();
  Received received(std::size_t index) const;
  // The last receive() took all there was: asking again would be a system call for nothing.
  bool is_drained() const { return is_drained_; }

  // 65,535 less IPv4 and UDP headers.
  static constexpr std::size_t kDatagramMax = 65507;

 private:
  struct Buffers;

  // Shared: others of this user may bind the same port.
  enum class Port : std::uint8_t { Exclusive, Shared };
  static Result<std::unique_ptr<UdpSocket>> open(const Ip& host, std::uint16_t port, Port kind);
  UdpSocket(int descriptor, bool is_v6);
  std::uint64_t send_one_by_one(std::size_t message);

  int descriptor_;
  bool is_v6_;
  bool segmentation_ = true;  // Off once the kernel or a device has refused it.
  std::size_t message_count_ = 0;
  std::size_t used_ = 0;
  std::size_t receive_count_;  // How many messages the next receive() asks for.
  bool is_drained_ = true;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace weft::sys
