#include "sys/bulk/udp_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "sys/netlink/netdev_kernel.h"

// Since Linux 4.18 and 5.0; missing from older headers.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace weft::sys {
namespace {

// UDP_MAX_SEGMENTS of Linux 4.18 … 6.8.
constexpr std::size_t kSegmentsMax = 64;
constexpr std::size_t kMessagesMax = 64;
// Three super-datagrams.
constexpr std::size_t kSendArena = 3U << 16U;
constexpr std::size_t kReceiveBuffer = 1U << 16U;
constexpr std::size_t kReceiveMax = 16;
// Super-datagrams are read few at a time, so that they are still in the cache when they are opened.
constexpr std::size_t kReceiveBulk = 2;
constexpr std::size_t kBulkSize = 8192;
// 4 ms at 10 Gbit/s each way: bursts while the thread does not run. Counted with the kernel's
// overhead, so about half of it is datagrams.
constexpr int kSocketBuffer = 8 << 20;

using Control = std::array<char, CMSG_SPACE(sizeof(int))>;

template <class Value>
bool set_option(int descriptor, int level, int name, Value value) {
  return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

void set_buffer(int descriptor, int forced, int name) {
  // The forced one ignores net.core's limit and needs CAP_NET_ADMIN.
  if (!set_option(descriptor, SOL_SOCKET, forced, kSocketBuffer)) {
    (void)set_option(descriptor, SOL_SOCKET, name, kSocketBuffer);
  }
}

struct Outgoing {
  SocketAddress to;
  std::size_t segment_size = 0;
  std::size_t segment_count = 0;
  bool closed = false;  // A shorter datagram ended it.
};

}  // namespace

struct UdpSocket::Buffers {
  alignas(64) std::array<std::uint8_t, kSendArena> send_arena;
  std::array<Outgoing, kMessagesMax> outgoing;
  std::array<iovec, kMessagesMax> send_parts;
  std::array<mmsghdr, kMessagesMax> send_messages;
  alignas(cmsghdr) std::array<Control, kMessagesMax> send_control;

  // Not touched until it is needed.
  std::unique_ptr<std::uint8_t[]> receive_arena =
      std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveMax * kReceiveBuffer);
  std::array<SocketAddress, kReceiveMax> from;
  std::array<iovec, kReceiveMax> receive_parts;
  std::array<mmsghdr, kReceiveMax> receive_messages;
  alignas(cmsghdr) std::array<Control, kReceiveMax> receive_control;
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(const Ip& host, std::uint16_t port) {
  return open(host, port, Port::Exclusive);
}

// The first is bound alone, so that a port in use is noticed although it is shared afterwards; it
// has place 0 of the group and the second place 1.
Result<UdpSocket::Lanes> UdpSocket::open_lanes(const Ip& host, std::uint16_t port) {
  Lanes lanes;
  lanes.bulk = WEFT_TRY(open(host, port, Port::Exclusive));
  std::array<sock_filter, 2> program{
      sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, 1},  // The second octet of the payload …
      sock_filter{BPF_RET | BPF_A, 0, 0, 0},           // … is the place.
  };
  const sock_fprog whole{.len = program.size(), .filter = program.data()};
  if (!set_option(lanes.bulk->descriptor_, SOL_SOCKET, SO_REUSEPORT, 1)) {
    return lanes;
  }
  Result<std::unique_ptr<UdpSocket>> express = open(host, port, Port::Shared);
  if (express.ok()
      && set_option(express.value()->descriptor_, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, whole)) {
    lanes.express = std::move(express).value();
  } else {
    (void)set_option(lanes.bulk->descriptor_, SOL_SOCKET, SO_REUSEPORT, 0);
  }
  return lanes;
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(const Ip& host, std::uint16_t port, Port kind) {
  const bool want_v6 = host.is_unspecified() || !host.is_v4();
  constexpr int kType = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int descriptor = want_v6 ? ::socket(AF_INET6, kType, 0) : -1;
  const bool is_v6 = descriptor >= 0;
  if (!is_v6) {
    descriptor = ::socket(AF_INET, kType, 0);
  }
  if (descriptor < 0) {
    const int error = errno;
    return os_error("UDP socket", error);
  }
  std::unique_ptr<UdpSocket> socket(new UdpSocket(descriptor, is_v6));
  if (is_v6) {
    (void)set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    (void)set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
  }
  if (kind == Port::Shared && !set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)) {
    const int error = errno;
    return os_error("SO_REUSEPORT", error);
  }
  (void)set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  (void)set_option(descriptor, SOL_UDP, UDP_GRO, 1);  // Without it datagrams come one by one.
  set_buffer(descriptor, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(descriptor, SO_SNDBUFFORCE, SO_SNDBUF);
  SocketAddress own;
  if (is_v6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    if (!host.is_unspecified()) {
      std::memcpy(&address.sin6_addr, host.v6().octets().data(), sizeof address.sin6_addr);
    }
    own.size = sizeof address;
    std::memcpy(own.bytes.data(), &address, sizeof address);
  } else {
    own = socket->address_of({host.is_v4() ? host : Ip(Ipv4()), port});
  }
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(own.bytes.data()), own.size) < 0) {
    const int error = errno;
    return os_error("UDP port " + std::to_string(port), error);
  }
  return socket;
}

UdpSocket::UdpSocket(int descriptor, bool is_v6)
    : descriptor_(descriptor),
      is_v6_(is_v6),
      receive_count_(kReceiveMax),
      buffers_(std::make_unique<Buffers>()) {
  Buffers& own = *buffers_;
  for (std::size_t i = 0; i < kReceiveMax; ++i) {
    own.receive_parts.at(i) = {own.receive_arena.get() + i * kReceiveBuffer, kReceiveBuffer};
    msghdr& header = own.receive_messages.at(i).msg_hdr;
    header = {};
    header.msg_name = own.from.at(i).bytes.data();
    header.msg_iov = &own.receive_parts.at(i);
    header.msg_iovlen = 1;
    header.msg_control = own.receive_control.at(i).data();
  }
}

UdpSocket::~UdpSocket() {
  ::close(descriptor_);
}

SocketAddress UdpSocket::address_of(const Endpoint& endpoint) const {
  SocketAddress result;
  if (!is_v6_) {
    if (!endpoint.address.is_v4()) {
      return result;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(endpoint.address.v4().number());
    result.size = sizeof address;
    std::memcpy(result.bytes.data(), &address, sizeof address);
    return result;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  const Bytes octets = endpoint.address.bytes();
  std::uint8_t* out = address.sin6_addr.s6_addr;
  if (endpoint.address.is_v4()) {
    out[10] = out[11] = 0xff;  // Mapped (RFC 4291, 2.5.5.2).
    std::memcpy(out + 12, octets.data(), octets.size());
  } else {
    std::memcpy(out, octets.data(), octets.size());
  }
  result.size = sizeof address;
  std::memcpy(result.bytes.data(), &address, sizeof address);
  return result;
}

Endpoint UdpSocket::endpoint_of(const SocketAddress& address) {
  if (address.size == sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, address.bytes.data(), sizeof v4);
    return {Ipv4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, address.bytes.data(), sizeof v6);
  const ByteView octets(v6.sin6_addr.s6_addr, 16);
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
  return {Ip::from_bytes(mapped ? octets.last(4) : octets).value(), ntohs(v6.sin6_port)};
}

std::uint8_t* UdpSocket::append(const SocketAddress& to, std::size_t size) {
  WEFT_ASSERT(size > 0);
  WEFT_ASSERT(size <= kDatagramMax);
  WEFT_ASSERT(to.size > 0);
  Buffers& own = *buffers_;
  if (used_ + size > own.send_arena.size()) {
    return nullptr;
  }
  std::uint8_t* at = own.send_arena.data() + used_;
  if (message_count_ > 0) {
    Outgoing& last = own.outgoing[message_count_ - 1];
    iovec& part = own.send_parts[message_count_ - 1];
    if (!last.closed && size <= last.segment_size && last.segment_count < kSegmentsMax
        && part.iov_len + size <= kDatagramMax && last.to == to) {
      ++last.segment_count;
      last.closed = size < last.segment_size;
      part.iov_len += size;
      used_ += size;
      return at;
    }
    if (message_count_ == kMessagesMax) {
      return nullptr;
    }
  }
  own.outgoing[message_count_] = {.to = to, .segment_size = size, .segment_count = 1};
  own.send_parts[message_count_] = {at, size};
  ++message_count_;
  used_ += size;
  return at;
}

UdpSocket::Sent UdpSocket::flush() {
  Buffers& own = *buffers_;
  for (std::size_t i = 0; i < message_count_; ++i) {
    msghdr& header = own.send_messages[i].msg_hdr;
    header = {};
    header.msg_name = own.outgoing[i].to.bytes.data();
    header.msg_namelen = own.outgoing[i].to.size;
    header.msg_iov = &own.send_parts[i];
    header.msg_iovlen = 1;
    if (own.outgoing[i].segment_count > 1) {
      header.msg_control = own.send_control[i].data();
      header.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
      cmsghdr* control = CMSG_FIRSTHDR(&header);
      control->cmsg_level = SOL_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      const auto size = static_cast<std::uint16_t>(own.outgoing[i].segment_size);
      std::memcpy(CMSG_DATA(control), &size, sizeof size);
    }
  }
  Sent sent;
  std::size_t next = 0;
  while (next < message_count_) {
    const std::size_t segments = own.outgoing[next].segment_count;
    if (!segmentation_ && segments > 1) {
      const std::uint64_t done = send_one_by_one(next++);
      sent.datagrams += done;
      sent.failed += segments - done;
      continue;
    }
    const int done = ::sendmmsg(descriptor_,
                                &own.send_messages[next],
                                static_cast<unsigned>(message_count_ - next),
                                MSG_DONTWAIT);
    if (done > 0) {
      for (const std::size_t end = next + static_cast<std::size_t>(done); next < end; ++next) {
        sent.datagrams += own.outgoing[next].segment_count;
      }
      continue;
    }
    // EIO: the device cannot do checksums; EINVAL: the kernel knows no UDP_SEGMENT.
    if (segments > 1 && (errno == EIO || errno == EINVAL)) {
      segmentation_ = false;
      continue;
    }
    sent.failed += segments;
    ++next;
  }
  message_count_ = 0;
  used_ = 0;
  return sent;
}

std::uint64_t UdpSocket::send_one_by_one(std::size_t message) {
  Buffers& own = *buffers_;
  const iovec& whole = own.send_parts[message];
  const Outgoing& outgoing = own.outgoing[message];
  const auto* bytes = static_cast<const std::uint8_t*>(whole.iov_base);
  std::uint64_t done = 0;
  for (std::size_t at = 0; at < whole.iov_len; at += outgoing.segment_size) {
    const std::size_t size = std::min(outgoing.segment_size, whole.iov_len - at);
    const ssize_t written = ::sendto(descriptor_,
                                     bytes + at,
                                     size,
                                     MSG_DONTWAIT,
                                     reinterpret_cast<const sockaddr*>(outgoing.to.bytes.data()),
                                     outgoing.to.size);
    done += written >= 0 ? 1 : 0;
  }
  return done;
}

std::size_t UdpSocket::receive() {
  Buffers& own = *buffers_;
  for (std::size_t i = 0; i < receive_count_; ++i) {
    msghdr& header = own.receive_messages[i].msg_hdr;
    header.msg_namelen = sizeof own.from[i].bytes;
    header.msg_controllen = sizeof own.receive_control[i];
  }
  const int count = ::recvmmsg(descriptor_,
                               own.receive_messages.data(),
                               static_cast<unsigned>(receive_count_),
                               MSG_DONTWAIT,
                               nullptr);
  is_drained_ = count < static_cast<int>(receive_count_);
  if (count <= 0) {
    return 0;
  }
  const bool bulk = own.receive_messages[0].msg_len > kBulkSize;
  receive_count_ = bulk ? kReceiveBulk : kReceiveMax;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    own.from[i].size = own.receive_messages[i].msg_hdr.msg_namelen;
  }
  return static_cast<std::size_t>(count);
}

UdpSocket::Received UdpSocket::received(std::size_t index) const {
  Buffers& own = *buffers_;
  msghdr& header = own.receive_messages[index].msg_hdr;
  const std::size_t size = own.receive_messages[index].msg_len;
  std::size_t datagram_size = size;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
      int value = 0;
      std::memcpy(&value, CMSG_DATA(control), sizeof value);
      datagram_size = value > 0 ? static_cast<std::size_t>(value) : size;
    }
  }
  const auto* bytes = own.receive_arena.get() + index * kReceiveBuffer;
  return {own.from[index], {bytes, size}, datagram_size};
}

}  // namespace weft::sys
