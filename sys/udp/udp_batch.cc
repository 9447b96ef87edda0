#include "sys/udp/udp_batch.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

namespace weft::sys {

namespace {

// An in6_pktinfo, the larger of the two, and its header.
constexpr std::size_t kControlMax = CMSG_SPACE(sizeof(in6_pktinfo));
static_assert(sizeof(sockaddr_in6) + kControlMax <= UdpReturnPath::kSizeMax);

// Bursts of a hundred clients wait in the kernel rather than be lost.
constexpr int kBufferSize = 1 << 20;

Error os_error(const Endpoint& listen, std::string_view doing) {
  const int error = errno;
  return Error{Errc::Os,
               fmt::format("UDP {}: {}: {}", listen.to_string(), doing, std::strerror(error)),
               error};
}

sockaddr_storage to_sockaddr(const Endpoint& endpoint, socklen_t& size) {
  sockaddr_storage storage{};
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    v4.sin_addr.s_addr = htonl(endpoint.address.v4().number());
    std::memcpy(&storage, &v4, size = sizeof(v4));
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.v6().octets().data(), sizeof(v6.sin6_addr));
    std::memcpy(&storage, &v6, size = sizeof(v6));
  }
  return storage;
}

Endpoint from_sockaddr(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof(v4));
    return {Ipv4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &storage, sizeof(v6));
  Ipv6::Octets octets;
  std::memcpy(octets.data(), &v6.sin6_addr, octets.size());
  return {Ipv6(octets), ntohs(v6.sin6_port)};
}

// What recvmsg() says about where a datagram arrived, as sendmsg() takes it: from that address, by
// whatever interface the route names.
void forget_interface(msghdr& header) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    const std::size_t at = part->cmsg_level == IPPROTO_IP ? offsetof(in_pktinfo, ipi_ifindex)
                                                          : offsetof(in6_pktinfo, ipi6_ifindex);
    const unsigned none = 0;
    std::memcpy(CMSG_DATA(part) + at, &none, sizeof(none));
  }
}

}  // namespace

class KernelUdpBatch final : public UdpBatch {
 public:
  KernelUdpBatch(int socket, const Options& options)
      : socket_(socket),
        options_(options),
        in_(options.batch),
        out_(options.batch),
        addresses_(options.batch),
        controls_(options.batch),
        in_vectors_(options.batch),
        out_vectors_(options.batch),
        datagrams_(options.batch * options.datagram_max),
        answers_(options.batch * options.answer_max) {}

  ~KernelUdpBatch() override { ::close(socket_); }

  Endpoint local() const override {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    const int got = ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    WEFT_ASSERT(got == 0);
    return from_sockaddr(address);
  }

  std::size_t receive() override {
    prepare();
    while (!closed_) {
      const int count = ::recvmmsg(
          socket_, in_.data(), static_cast<unsigned>(in_.size()), MSG_WAITFORONE, nullptr);
      // A shut socket delivers a datagram of nothing from nobody.
      if (count > 0 && !closed_) {
        count_ = static_cast<std::size_t>(count);
        return count_;
      }
      // Anything else is an ICMP error about an earlier answer, or a signal.
    }
    return 0;
  }

  ByteView datagram(std::size_t index) const override {
    const mmsghdr& header = in_[index];
    if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      return {};
    }
    return {datagrams_.data() + index * options_.datagram_max, header.msg_len};
  }

  std::span<std::uint8_t> answer(std::size_t index) override {
    return {answers_.data() + index * options_.answer_max, options_.answer_max};
  }

  void set_answer_size(std::size_t index, std::size_t size) override {
    WEFT_ASSERT(size <= options_.answer_max);
    out_vectors_[index].iov_len = size;
  }

  Ip client(std::size_t index) const override { return from_sockaddr(addresses_[index]).address; }

  UdpReturnPath return_path(std::size_t index) const override {
    const msghdr& header = in_[index].msg_hdr;
    UdpReturnPath path;
    path.peer_ = from_sockaddr(addresses_[index]);
    path.address_size_ = header.msg_namelen;
    path.control_size_ = header.msg_controllen;
    std::memcpy(path.octets_.data(), &addresses_[index], sizeof(sockaddr_in6));
    std::memcpy(path.octets_.data() + sizeof(sockaddr_in6),
                controls_[index].octets.data(),
                std::min<std::size_t>(header.msg_controllen, kControlMax));
    return path;
  }

  void send() override {
    std::size_t sending = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (out_vectors_[i].iov_len == 0) {
        continue;
      }
      msghdr& header = out_[sending++].msg_hdr;
      header = in_[i].msg_hdr;
      header.msg_iov = &out_vectors_[i];
      header.msg_flags = 0;
      forget_interface(header);
    }
    for (std::size_t sent = 0; sent < sending;) {
      const int count =
          ::sendmmsg(socket_, out_.data() + sent, static_cast<unsigned>(sending - sent), 0);
      sent += count > 0 ? static_cast<std::size_t>(count) : 1U;  // The first failed: go past it.
    }
    count_ = 0;
  }

  void send_to(const UdpReturnPath& to, ByteView answer) override {
    UdpReturnPath path = to;
    Control control{};
    std::memcpy(control.octets.data(), path.octets_.data() + sizeof(sockaddr_in6), kControlMax);
    iovec vector{.iov_base = const_cast<std::uint8_t*>(answer.data()),  // NOLINT: only read.
                 .iov_len = answer.size()};
    msghdr header{};
    header.msg_name = path.octets_.data();
    header.msg_namelen = static_cast<socklen_t>(path.address_size_);
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    if (path.control_size_ > 0) {
      header.msg_control = control.octets.data();
      header.msg_controllen = path.control_size_;
      forget_interface(header);
    }
    (void)::sendmsg(socket_, &header, MSG_DONTWAIT);  // Lost, as datagrams are.
  }

  void close() override {
    closed_ = true;
    // Fails, as the socket is not connected, and wakes the receiver all the same.
    (void)::shutdown(socket_, SHUT_RDWR);
  }

 private:
  struct Control {
    alignas(cmsghdr) std::array<std::uint8_t, kControlMax> octets;
  };

  void prepare() {
    for (std::size_t i = 0; i < in_.size(); ++i) {
      in_vectors_[i] = {.iov_base = datagrams_.data() + i * options_.datagram_max,
                        .iov_len = options_.datagram_max};
      out_vectors_[i] = {.iov_base = answers_.data() + i * options_.answer_max, .iov_len = 0};
      msghdr& header = in_[i].msg_hdr;
      header.msg_name = &addresses_[i];
      header.msg_namelen = sizeof(addresses_[i]);
      header.msg_iov = &in_vectors_[i];
      header.msg_iovlen = 1;
      header.msg_control = controls_[i].octets.data();
      header.msg_controllen = kControlMax;
      header.msg_flags = 0;
    }
    count_ = 0;
  }

  const int socket_;
  const Options options_;
  std::atomic<bool> closed_ = false;
  std::size_t count_ = 0;
  std::vector<mmsghdr> in_;
  std::vector<mmsghdr> out_;
  std::vector<sockaddr_storage> addresses_;
  std::vector<Control> controls_;
  std::vector<iovec> in_vectors_;
  std::vector<iovec> out_vectors_;
  Bytes datagrams_;
  Bytes answers_;
};

Result<std::unique_ptr<UdpBatch>> open_udp_batch(const UdpBatch::Options& options) {
  WEFT_ASSERT(options.batch > 0);
  const bool is_v4 = options.listen.address.is_v4();
  const int socket = ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  if (socket < 0) {
    return os_error(options.listen, "socket");
  }
  auto batch = std::make_unique<KernelUdpBatch>(socket, options);  // Owns the socket from here on.
  const int on = 1;
  const auto set = [socket](int level, int name, const int& value) {
    return ::setsockopt(socket, level, name, &value, sizeof(value)) == 0;
  };
  if (!set(SOL_SOCKET, SO_REUSEPORT, on) || (!is_v4 && !set(IPPROTO_IPV6, IPV6_V6ONLY, on))) {
    return os_error(options.listen, "option");
  }
  (void)set(SOL_SOCKET, SO_RCVBUF, kBufferSize);  // As much as the host allows.
  (void)set(SOL_SOCKET, SO_SNDBUF, kBufferSize);
  if (options.listen.address.is_unspecified()
      && !set(is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, on)) {
    return os_error(options.listen, "option");
  }
  socklen_t size = 0;
  sockaddr_storage address = to_sockaddr(options.listen, size);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return os_error(options.listen, "listen");
  }
  return std::unique_ptr<UdpBatch>(std::move(batch));
}

}  // namespace weft::sys
