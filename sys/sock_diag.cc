#include "sys/sock_diag.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// include/net/tcp_states.h: the kernel has no header for user space that names them.
enum State : std::uint8_t {
  kEstablished = 1,
  kTimeWait = 6,
  kClose = 7,
  kCloseWait = 8,
  kLastAck = 9,
  kListen = 10,
  kClosing = 11,
};
constexpr std::uint32_t kAllStates = 0xfff;

// The other end has sent its FIN, which the kernel counts as an octet: it takes a sequence number.
bool has_fin(std::uint8_t state) {
  return state == kCloseWait || state == kLastAck || state == kClosing;
}

// TIME_WAIT lasts TCP_TIMEWAIT_LEN, 60 s (include/net/tcp.h). Those in their first seconds are how
// a look now and then learns of connections that came and went between two of them.
constexpr std::uint32_t kTimeWaitMs = 60'000;
constexpr std::uint32_t kRecentMs = 3'000;

// The kernel fills messages of up to this size (NLMSG_GOODSIZE with room).
constexpr std::size_t kBufferSize = 32 * 1024;

Error failure(std::string_view doing) {
  const int error = errno;
  const bool is_denied = error == EPERM || error == EACCES;
  const bool is_gone = error == ENOENT || error == ESRCH;
  return Error{is_denied ? Errc::Denied
               : is_gone ? Errc::NotFound
                         : Errc::Os,
               fmt::format("{}: {}", doing, std::strerror(error)),
               error};
}

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Ip to_ip(std::uint8_t family, const __be32 (&words)[4]) {
  std::array<std::uint8_t, 16> octets{};
  static_assert(sizeof words == sizeof octets);
  std::memcpy(octets.data(), words, sizeof words);
  constexpr std::size_t kV4Size = 4;
  if (family == AF_INET) {
    return Ip::from_bytes(ByteView(octets).first(kV4Size)).value();
  }
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets.begin())) {
    return Ip::from_bytes(ByteView(octets).last(kV4Size)).value();
  }
  return Ipv6(octets);
}

// Older kernels have a shorter tcp_info: what is not there stays zero.
int on_attribute(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == INET_DIAG_INFO) {
    const std::size_t size = mnl_attr_get_payload_len(attribute);
    std::memcpy(data, mnl_attr_get_payload(attribute), std::min(size, sizeof(tcp_info)));
  }
  return MNL_CB_OK;
}

tcp_info info_of(const nlmsghdr* message) {
  tcp_info info{};
  mnl_attr_parse(message, sizeof(inet_diag_msg), on_attribute, &info);
  return info;
}

struct Dump {
  Transport transport = Transport::Tcp;
  SocketSource::Wanted wanted = SocketSource::Wanted::Recent;
  std::vector<ObservedSocket>* out = nullptr;
};

int on_message(const nlmsghdr* message, void* data) {
  const Dump& dump = *static_cast<const Dump*>(data);
  if (mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg)) {
    return MNL_CB_OK;
  }
  const auto* diag = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(message));
  ObservedSocket socket;
  socket.transport = dump.transport;
  socket.local = {to_ip(diag->idiag_family, diag->id.idiag_src), ntohs(diag->id.idiag_sport)};
  socket.remote = {to_ip(diag->idiag_family, diag->id.idiag_dst), ntohs(diag->id.idiag_dport)};
  socket.inode = diag->idiag_inode;
  constexpr unsigned kHalf = 32;
  socket.cookie =
      diag->id.idiag_cookie[0] | static_cast<std::uint64_t>(diag->id.idiag_cookie[1]) << kHalf;
  const bool is_tcp = dump.transport == Transport::Tcp;
  socket.listening = diag->idiag_state == (is_tcp ? kListen : kClose);
  if (!socket.listening && socket.remote.port == 0) {
    return MNL_CB_OK;  // Never connected, or no longer.
  }
  const bool is_old =
      diag->idiag_state == kTimeWait && diag->idiag_expires + kRecentMs < kTimeWaitMs;
  if (is_tcp && (is_old || diag->idiag_state == kClose)) {
    return MNL_CB_OK;
  }
  if (is_tcp && !socket.listening) {
    const tcp_info info = info_of(message);
    socket.bytes_sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    socket.bytes_received = info.tcpi_bytes_received;
    if (has_fin(diag->idiag_state) && socket.bytes_received > 0) {
      --socket.bytes_received;
    }
    socket.packets_sent = info.tcpi_segs_out;
    socket.packets_received = info.tcpi_segs_in;
    socket.rtt_us = info.tcpi_rtt;
    socket.retransmits = info.tcpi_total_retrans;
  }
  dump.out->push_back(socket);
  return MNL_CB_OK;
}

Result<Ok> dump_into(mnl_socket* socket, std::uint8_t family, Dump dump) {
  std::vector<char> buffer(kBufferSize);
  nlmsghdr* const message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* const request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
  request->sdiag_family = family;
  request->sdiag_protocol = static_cast<std::uint8_t>(dump.transport);
  request->idiag_states =
      dump.wanted == SocketSource::Wanted::Live ? kAllStates & ~(1U << kTimeWait) : kAllStates;
  request->idiag_ext =
      dump.transport == Transport::Tcp ? 1U << (static_cast<unsigned>(INET_DIAG_INFO) - 1U) : 0;
  if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0) {
    return failure("ask for sockets");
  }
  const unsigned port = mnl_socket_get_portid(socket);
  int outcome = MNL_CB_OK;
  while (outcome > MNL_CB_STOP) {
    const ssize_t size = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (size < 0) {
      return failure("receive sockets");
    }
    outcome = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, port, on_message, &dump);
  }
  if (outcome < 0 && errno != ENOENT) {  // ENOENT: a kernel without this protocol's diag module.
    return failure("list sockets");
  }
  return Ok{};
}

Result<std::vector<ObservedSocket>> dump_here(SocketSource::Wanted wanted) {
  const Socket socket(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC));
  if (!socket) {
    return failure("open a sock_diag socket");
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return failure("bind a sock_diag socket");
  }
  std::vector<ObservedSocket> out;
  for (const Transport transport : {Transport::Tcp, Transport::Udp}) {
    for (const int family : {AF_INET, AF_INET6}) {
      WEFT_TRY(
          dump_into(socket.get(), static_cast<std::uint8_t>(family), {transport, wanted, &out}));
    }
  }
  return out;
}

class SockDiag final : public SocketSource {
 public:
  explicit SockDiag(HostPaths host)
      : host_(std::move(host)),
        home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {}

  Result<std::vector<ObservedSocket>> sockets(std::uint32_t pid, Wanted wanted) override {
    if (pid == 0) {
      return dump_here(wanted);
    }
    const Descriptor other(::open(host_.of_process(pid, "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (other.get() < 0) {
      return failure(fmt::format("network namespace of process {}", pid));
    }
    if (::setns(other.get(), CLONE_NEWNET) != 0) {
      return failure(fmt::format("enter the network namespace of process {}", pid));
    }
    auto sockets = dump_here(wanted);
    // Going on in somebody else's namespace would be worse than not going on.
    WEFT_ASSERT(::setns(home_.get(), CLONE_NEWNET) == 0);
    return sockets;
  }

 private:
  HostPaths host_;
  Descriptor home_;  // Of the thread that made this.
};

}  // namespace

std::unique_ptr<SocketSource> open_sock_diag(const HostPaths& host) {
  return std::make_unique<SockDiag>(host);
}

std::uint64_t own_netns() {
  struct stat status {};
  return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

}  // namespace weft::sys
