#include "sys/network_watch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <linux/if_addr.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sys/lifetime.h"
#include "sys/netlink/netlink.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;

// What a tool does in several messages is over by then, and a second is not nearly over.
constexpr auto kGathering = std::chrono::milliseconds(200);

// What the kernel sends at once is far below; more news than fit the socket's buffer count as all.
constexpr std::size_t kReceiveMax = 64 * 1024;

// fe80::/10 (RFC 4291), and multicast, which has a route wherever there is IPv6.
bool is_link_local(ByteView address) {
  return address.size() == sizeof(in6_addr)
         && ((address[0] == 0xfe && (address[1] & 0xc0U) == 0x80) || address[0] == 0xff);
}

// Of a message with this header, which says something of the address in this attribute.
template <class Header>
bool is_news(const nlmsghdr* message, int attribute) {
  return nlmsg_valid_hdr(message, sizeof(Header)) != 0
         && !is_link_local(NetlinkAttributes(message, sizeof(Header)).bytes(attribute));
}

Result<int> open_socket(int protocol, unsigned group_bits) {
  const int file = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = group_bits;
  if (file >= 0 && ::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return file;
  }
  const int error = errno;
  if (file >= 0) {
    ::close(file);
  }
  return os_error("listen to netlink", error);
}

}  // namespace

class NetworkWatch::Impl {
 public:
  Impl(asio::any_io_executor executor, IsWatched is_watched, OnChange on_change)
      : timer_(executor),
        routing_(executor),
        firewall_(executor),
        is_watched_(std::move(is_watched)),
        on_change_(std::move(on_change)) {}

  Result<Ok> listen() {
    constexpr unsigned kGroups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
                                 | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE;
    const int routing = WEFT_TRY(open_socket(NETLINK_ROUTE, kGroups));
    routing_.assign(routing);
    const int firewall = WEFT_TRY(open_socket(NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1)));
    firewall_.assign(firewall);
    wait(routing_, [this](ByteView bytes) { read_routing(bytes); });
    wait(firewall_, [this](ByteView) { pending_.firewall = true; });
    return Ok{};
  }

 private:
  template <class OnBytes>
  void wait(asio::posix::stream_descriptor& socket, OnBytes on_bytes) {
    socket.async_wait(
        asio::posix::stream_descriptor::wait_read,
        lifetime_.guard([this, &socket, on_bytes](const boost::system::error_code& error) {
          if (!error) {
            drain(socket, on_bytes);
            tell_later();
            wait(socket, on_bytes);
          }
        }));
  }

  template <class OnBytes>
  void drain(asio::posix::stream_descriptor& socket, const OnBytes& on_bytes) {
    while (true) {
      const ssize_t size =
          ::recv(socket.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (size < 0 && errno == ENOBUFS) {
        pending_ = {.links = true, .routes = true, .firewall = true};  // We missed some.
        continue;
      }
      if (size <= 0) {
        return;
      }
      on_bytes(ByteView(buffer_.data(), static_cast<std::size_t>(size)));
    }
  }

  void read_routing(ByteView bytes) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
    auto left = static_cast<int>(bytes.size());
    for (; nlmsg_ok(message, left); message = nlmsg_next(const_cast<nlmsghdr*>(message), &left)) {
      read(message);
    }
  }

  void read(const nlmsghdr* message) {
    switch (message->nlmsg_type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        if (nlmsg_valid_hdr(message, sizeof(ifinfomsg))) {
          const auto* const header = static_cast<const ifinfomsg*>(nlmsg_data(message));
          pending_.links |= is_watched_(static_cast<std::uint32_t>(header->ifi_index));
        }
        return;
      case RTM_NEWADDR:
      case RTM_DELADDR:
        pending_.routes |= is_news<ifaddrmsg>(message, IFA_ADDRESS);
        return;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        pending_.routes |= is_news<rtmsg>(message, RTA_DST);
        return;
      case RTM_NEWRULE:
      case RTM_DELRULE:
        pending_.routes = true;
        return;
      default:
        return;
    }
  }

  void tell_later() {
    if (pending_ == NetworkChange{} || std::exchange(is_telling_, true)) {
      return;
    }
    timer_.expires_after(kGathering);
    timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
      if (!error) {
        is_telling_ = false;
        on_change_(std::exchange(pending_, {}));
      }
    }));
  }

  asio::steady_timer timer_;
  asio::posix::stream_descriptor routing_;
  asio::posix::stream_descriptor firewall_;
  IsWatched is_watched_;
  OnChange on_change_;
  NetworkChange pending_;
  bool is_telling_ = false;
  std::array<std::uint8_t, kReceiveMax> buffer_{};
  Lifetime lifetime_;
};

Result<std::unique_ptr<NetworkWatch>> NetworkWatch::watch(asio::any_io_executor executor,
                                                          IsWatched is_watched,
                                                          OnChange on_change) {
  auto impl =
      std::make_unique<Impl>(std::move(executor), std::move(is_watched), std::move(on_change));
  WEFT_TRY(impl->listen());
  return std::unique_ptr<NetworkWatch>(new NetworkWatch(std::move(impl)));
}

NetworkWatch::NetworkWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetworkWatch::~NetworkWatch() = default;

}  // namespace weft::sys
