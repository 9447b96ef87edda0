#include "sys/netlink/nflog.h"

#include <array>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include "sys/lifetime.h"
#include "sys/netlink/netlink.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;

// IPv6, some extension headers, and TCP's first 20 octets.
constexpr std::uint32_t kHeadMax = 128;
constexpr std::size_t kReceiveMax = 64 * 1024;
// Packets handled before others of the strand get their turn: a flood must not starve the rest.
constexpr int kReadsPerTurn = 16;

}  // namespace

class Nflog::Impl {
 public:
  Impl(const asio::any_io_executor& executor, OnPacket on_packet)
      : on_packet_(std::move(on_packet)),
        file_(executor) {}

  ~Impl() {
    (void)file_.release();  // libmnl closes it.
    if (socket_ != nullptr) {
      mnl_socket_close(socket_);
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<Ok> listen(std::uint16_t group) {
    socket_ = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
      return os_error("listen to NFLOG", errno);
    }
    file_.assign(mnl_socket_get_fd(socket_));
    nfulnl_msg_config_cmd bind{};
    bind.command = NFULNL_CFG_CMD_BIND;
    const Result<Ok> bound = configure(group, NFULA_CFG_CMD, &bind, sizeof bind);
    if (!bound.ok()) {
      const bool is_taken = bound.error().os == EBUSY;
      return is_taken ? Error{Errc::Conflict, "another program listens to this group of NFLOG"}
                      : bound.error();
    }
    nfulnl_msg_config_mode mode{};
    mode.copy_mode = NFULNL_COPY_PACKET;
    mode.copy_range = htonl(kHeadMax);
    WEFT_TRY(configure(group, NFULA_CFG_MODE, &mode, sizeof mode));
    wait();
    return Ok{};
  }

  std::uint64_t overruns() const { return overruns_; }

 private:
  // The kernel answers within send.
  Result<Ok> configure(std::uint16_t group,
                       std::uint16_t type,
                       const void* data,
                       std::size_t size) {
    constexpr const char* kDoing = "listen to NFLOG";
    std::array<char, 128> buffer{};  // Headers and a few octets.
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* const header =
        static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(group);
    mnl_attr_put(message, type, size, data);
    if (mnl_socket_sendto(socket_, message, message->nlmsg_len) < 0) {
      return os_error(kDoing, errno);
    }
    while (true) {
      const ssize_t got = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
      if (got < 0) {
        return os_error(kDoing, errno);
      }
      const auto* const answer = reinterpret_cast<const nlmsghdr*>(buffer_.data());
      if (answer->nlmsg_type == NLMSG_ERROR) {
        const auto* const error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
        return error->error == 0 ? Result<Ok>(Ok{}) : os_error(kDoing, -error->error);
      }
      // A packet, as soon as the group is bound: the kernel sends more where it came from.
    }
  }

  void wait() {
    file_.async_wait(asio::posix::stream_descriptor::wait_read,
                     lifetime_.guard([this](const boost::system::error_code& error) {
                       if (!error) {
                         drain();
                         wait();
                       }
                     }));
  }

  void drain() {
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
      const ssize_t got =
          ::recv(file_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got < 0 && errno == ENOBUFS) {
        ++overruns_;
        continue;
      }
      if (got <= 0) {
        return;
      }
      int size = static_cast<int>(got);
      const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
      for (; mnl_nlmsg_ok(message, size); message = mnl_nlmsg_next(message, &size)) {
        read(message);
      }
    }
  }

  void read(const nlmsghdr* message) {
    constexpr unsigned kPacket = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
    if (message->nlmsg_type != kPacket) {
      return;
    }
    const ByteView head = NetlinkAttributes(message, sizeof(nfgenmsg)).bytes(NFULA_PAYLOAD);
    if (!head.empty()) {
      on_packet_(head);
    }
  }

  const OnPacket on_packet_;
  mnl_socket* socket_ = nullptr;
  asio::posix::stream_descriptor file_;
  alignas(nlmsghdr) std::array<char, kReceiveMax> buffer_{};
  std::uint64_t overruns_ = 0;
  Lifetime lifetime_;
};

Nflog::Nflog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Nflog::~Nflog() = default;

std::uint64_t Nflog::overruns() const {
  return impl_->overruns();
}

Result<std::unique_ptr<Nflog>> Nflog::listen(asio::any_io_executor executor,
                                             std::uint16_t group,
                                             OnPacket on_packet) {
  auto impl = std::make_unique<Impl>(executor, std::move(on_packet));
  WEFT_TRY(impl->listen(group));
  return std::unique_ptr<Nflog>(new Nflog(std::move(impl)));
}

}  // namespace weft::sys
