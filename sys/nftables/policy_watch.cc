#include "sys/nftables/policy_watch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/lifetime.h"
#include "sys/netlink/netlink.h"
#include "sys/nftables/policy_batch.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;

// While packets that ought to pass are dropped. What a tool does in several messages is over by
// then.
constexpr auto kGathering = std::chrono::milliseconds(50);

// What the controller itself changes is told here, too: ten thousand elements are some megabytes.
constexpr int kReceiveRoom = 16 << 20;
constexpr std::size_t kReceiveMax = 64 * 1024;

// The same attribute in what is said of tables, chains, rules, sets and elements.
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1
              && NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1);

}  // namespace

class PolicyWatch::Impl {
 public:
  Impl(const asio::any_io_executor& executor, std::uint32_t own, OnDamage on_damage)
      : own_(own),
        on_damage_(std::move(on_damage)),
        socket_(executor),
        timer_(executor) {}

  Result<Ok> listen() {
    const int file =
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    if (file < 0) {
      return os_error("listen to nftables", errno);
    }
    socket_.assign(file);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
    if (::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return os_error("listen to nftables", errno);
    }
    (void)::setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof kReceiveRoom);
    wait();
    return Ok{};
  }

 private:
  void wait() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       lifetime_.guard([this](const boost::system::error_code& error) {
                         if (!error) {
                           drain();
                           wait();
                         }
                       }));
  }

  void drain() {
    while (true) {
      const ssize_t size =
          ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (size < 0 && errno == ENOBUFS) {
        pending_.missed = true;
        tell_later();
        continue;
      }
      if (size <= 0) {
        return;
      }
      read(static_cast<int>(size));
    }
  }

  void read(int size) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; nlmsg_ok(message, size) != 0;
         message = nlmsg_next(const_cast<nlmsghdr*>(message), &size)) {
      constexpr unsigned kTypeMask = 0xff;
      constexpr unsigned kSubsystemShift = 8;
      const bool is_nftables = message->nlmsg_type >> kSubsystemShift == NFNL_SUBSYS_NFTABLES;
      const bool is_change = (message->nlmsg_type & kTypeMask) != NFT_MSG_NEWGEN;
      if (!is_nftables || !is_change || message->nlmsg_pid == own_) {
        continue;
      }
      const auto table = NetlinkAttributes(message, sizeof(nfgenmsg)).text(NFTA_TABLE_NAME);
      pending_.tables = pending_.tables || table == kPolicyTable;
      pending_.chains = pending_.chains || table == "filter";
      if (pending_.tables || pending_.chains) {
        tell_later();
      }
    }
  }

  void tell_later() {
    if (std::exchange(is_telling_, true)) {
      return;
    }
    timer_.expires_after(kGathering);
    timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
      is_telling_ = false;
      if (!error) {
        on_damage_(std::exchange(pending_, {}));
      }
    }));
  }

  const std::uint32_t own_;
  const OnDamage on_damage_;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer timer_;
  alignas(nlmsghdr) std::array<char, kReceiveMax> buffer_{};
  PolicyDamage pending_;
  bool is_telling_ = false;
  Lifetime lifetime_;
};

PolicyWatch::PolicyWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PolicyWatch::~PolicyWatch() = default;

Result<std::unique_ptr<PolicyWatch>> PolicyWatch::watch(asio::any_io_executor executor,
                                                        std::uint32_t own,
                                                        OnDamage on_damage) {
  auto impl = std::make_unique<Impl>(executor, own, std::move(on_damage));
  WEFT_TRY(impl->listen());
  return std::unique_ptr<PolicyWatch>(new PolicyWatch(std::move(impl)));
}

}  // namespace weft::sys
