// A UDP socket that receives many datagrams with one system call and answers them with another
// (recvmmsg(2), sendmmsg(2)), for servers whose time goes into the kernel.
//
// One thread serves a socket. Several sockets may listen at one address (SO_REUSEPORT): the kernel
// spreads clients over them by their address and port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

// Whom an answer goes to, and the address it must come from: for answers that take their time.
class UdpReturnPath {
 public:
  // Larger than a sockaddr_in6 and an in6_pktinfo with its header; checked where it is filled.
  static constexpr std::size_t kSizeMax = 96;

  const Endpoint& peer() const { return peer_; }

 private:
  friend class KernelUdpBatch;
  Endpoint peer_;
  std::array<std::uint8_t, kSizeMax> octets_{};
  std::size_t address_size_ = 0;
  std::size_t control_size_ = 0;
};

class UdpBatch {
 public:
  struct Options {
    Endpoint listen;  // Port 0: chosen by the kernel.
    std::size_t batch = 64;
    std::size_t datagram_max = 0;  // Larger ones are dropped.
    std::size_t answer_max = 0;
  };

  UdpBatch() = default;
  UdpBatch(const UdpBatch&) = delete;
  UdpBatch& operator=(const UdpBatch&) = delete;
  virtual ~UdpBatch() = default;

  virtual Endpoint local() const = 0;

  // Waits for datagrams and takes what there is, up to a batch. 0 once close() was called.
  virtual std::size_t receive() = 0;
  virtual ByteView datagram(std::size_t index) const = 0;
  virtual std::span<std::uint8_t> answer(std::size_t index) = 0;
  virtual Ip client(std::size_t index) const = 0;
  virtual UdpReturnPath return_path(std::size_t index) const = 0;
  // 0, which is what it is after receive(), is no answer.
  virtual void set_answer_size(std::size_t index, std::size_t size) = 0;
  // Sends the answers; what the socket does not take is lost, as datagrams are.
  virtual void send() = 0;

  // From any thread: an answer that took its time. close() wakes the receiver for good.
  virtual void send_to(const UdpReturnPath& to, ByteView answer) = 0;
  virtual void close() = 0;
};

// Errc::Os with errno: EADDRINUSE, EADDRNOTAVAIL.
Result<std::unique_ptr<UdpBatch>> open_udp_batch(const UdpBatch::Options& options);

}  // namespace weft::sys
