// Connections that the kernel's programs follow, more of them than there are slots, while the agent
// moves those that last out of the way (sys/bpf/openers.h).
#include "sys/bpf/openers.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sys/bpf/connections.h"
#include "sys/bpf/counters.h"
#include "tests/integration/probe/missed_runs.h"

namespace weft::sys {
namespace {

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address_), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
    EXPECT_EQ(::listen(fd_, SOMAXCONN), 0);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

  std::uint16_t port() const { return ntohs(address_.sin_port); }

  // Both ends of a connection to it, the client's first.
  std::array<int, 2> connect() const { return connect_to(INADDR_LOOPBACK); }

  std::array<int, 2> connect_to(in_addr_t host) const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = address_;
    address.sin_addr.s_addr = htonl(host);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return {client, ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)};
  }

 private:
  sockaddr_in address_{};
  int fd_;
};

using Pairs = std::vector<std::array<int, 2>>;

void close_all(const Pairs& pairs) {
  for (const auto& [client, server] : pairs) {
    ::close(client);
    ::close(server);
  }
}

std::uint64_t cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
  return cookie;
}

void expect_all(std::uint64_t counted, std::uint64_t happened) {
  EXPECT_LE(counted, happened);
  EXPECT_GE(counted + missed_runs(), happened);
}

struct Sum {
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
};

class OpenersTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto started = source_->start();
    ASSERT_TRUE(started.ok()) << started.error().what;
  }

  // Adds what happened at the listener's and at the clients' ends.
  void take() {
    const auto all = source_->take();
    ASSERT_TRUE(all.ok()) << all.error().what;
    for (const ObservedConnections& one : all.value()) {
      if (one.transport == Transport::Tcp && one.port == listener_.port()) {
        Sum& sum = one.opening.opened == Opened::Here ? clients_ : servers_;
        sum.opened += one.opened;
        sum.closed += one.closed;
      }
    }
  }

  // Packets may wait for another thread of the kernel, and news may be of others on this machine.
  void take_until_closed(std::uint64_t count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    take();
    while ((clients_.closed < count || servers_.closed < count)
           && std::chrono::steady_clock::now() < deadline) {
      wait_for_news();
      take();
    }
  }

  void wait_for_news() {
    constexpr int kTimeoutMs = 50;
    pollfd poll_for{source_->news_descriptor(), POLLIN, 0};
    ::poll(&poll_for, 1, kTimeoutMs);
    source_->clear_news();
  }

  void come_and_go(int times) const {
    for (int i = 0; i < times; ++i) {
      close_all({listener_.connect()});
    }
  }

  Listener listener_;
  Sum clients_;
  Sum servers_;
  std::unique_ptr<ConnectionSource> source_ = open_bpf_connections(DatagramOctets::No);
};

TEST_F(OpenersTest, FollowThoseThatLastAndThoseThatComeAndGo) {
  constexpr int kLasting = 300;  // Twice as many ends, more than twice as many as there are slots.
  constexpr int kShort = 500;
  Pairs lasting;
  for (int i = 0; i < kLasting; ++i) {
    lasting.push_back(listener_.connect());
  }
  come_and_go(kShort);
  // Those that are there now are moved by the first look after a second and another look.
  take();
  const auto lasted = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < lasted) {
    wait_for_news();
  }
  take();
  come_and_go(kShort);
  take();
  std::uint64_t known = 0;
  for (const auto& [client, server] : lasting) {
    const auto here = source_->opening_of(cookie_of(client));
    const auto there = source_->opening_of(cookie_of(server));
    if (here) {
      ++known;
      EXPECT_EQ(here->opened, Opened::Here);
      EXPECT_EQ(here->pid, static_cast<std::uint32_t>(::getpid()));
    }
    if (there) {
      ++known;
      EXPECT_EQ(there->opened, Opened::There);
    }
  }
  expect_all(known, 2 * lasting.size());
  const std::uint64_t gone = cookie_of(lasting.front()[0]);

  close_all(lasting);
  take_until_closed(kLasting + 2 * kShort);

  for (const Sum& sum : {clients_, servers_}) {
    expect_all(sum.opened, kLasting + 2 * kShort);
    expect_all(sum.closed, kLasting + 2 * kShort);
  }
  EXPECT_FALSE(source_->opening_of(gone));
}

// Each of so many is another kind at both its ends: more than there are places to count in.
TEST_F(OpenersTest, CountMoreKindsThanThereArePlaces) {
  constexpr in_addr_t kKinds = 2U << WEFT_COUNTERS_LOG2;
  for (in_addr_t i = 0; i < kKinds; ++i) {
    close_all({listener_.connect_to(INADDR_LOOPBACK + i)});
  }
  take_until_closed(kKinds);

  for (const Sum& sum : {clients_, servers_}) {
    expect_all(sum.opened, kKinds);
    expect_all(sum.closed, kKinds);
  }
}

// Of this process, as agents beside it have maps of the same name: that of a descriptor of its own.
int map_named(const std::string& name) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    constexpr std::string_view kField = "map_id:\t";
    const std::size_t at = text.find(kField);
    if (at == std::string::npos) {
      continue;
    }
    const int map = bpf_map_get_fd_by_id(
        static_cast<std::uint32_t>(std::stoul(text.substr(at + kField.size()))));
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (map >= 0 && bpf_obj_get_info_by_fd(map, &info, &size) == 0 && info.name == name) {
      return map;
    }
    ::close(map);
  }
  return -1;
}

// The kernel's programs could count without (the way for Linux before 5.12), unheard but by those
// who pay for it.
TEST_F(OpenersTest, CountInPlacesWhereTheKernelLetsThem) {
  utsname kernel{};
  ASSERT_EQ(::uname(&kernel), 0);
  int major = 0;
  int minor = 0;
  ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major, &minor), 2);
  const int map = map_named("weft_counters");
  auto counters = Counters::open(map);
  ASSERT_TRUE(counters.ok()) << counters.error().what;

  come_and_go(1);

  const auto taken = counters.value().take(0);
  const bool is_there = std::any_of(taken.begin(), taken.end(), [&](const auto& counted) {
    return counted.key.port == listener_.port();
  });
  EXPECT_EQ(is_there, std::pair(major, minor) >= std::pair(5, 12));
  ::close(map);
}

// Everything is old enough, all the time. What was counted is taken once, at the end: it is the
// moving that is tried.
TEST_F(OpenersTest, CountEachEndOnceWhileTheyAreMoved) {
  constexpr int kTimes = 5000;
  const int rows = map_named("weft_rows");
  const int table = map_named("weft_openers");
  auto openers = Openers::open(rows, table);
  ASSERT_TRUE(openers.ok()) << openers.error().what;
  std::atomic<bool> is_over = false;
  std::vector<std::uint64_t> cookies;
  std::thread others([&] {
    for (int i = 0; i < kTimes; ++i) {
      const auto pair = listener_.connect();
      cookies.push_back(cookie_of(pair[0]));
      close_all({pair});
    }
    is_over = true;
  });
  while (!is_over) {
    openers.value().settle(std::numeric_limits<std::uint64_t>::max());
  }
  others.join();
  take_until_closed(kTimes);

  for (const Sum& sum : {clients_, servers_}) {
    expect_all(sum.opened, kTimes);
    expect_all(sum.closed, kTimes);
  }
  const auto left = std::count_if(cookies.begin(), cookies.end(), [&](std::uint64_t cookie) {
    return openers.value().find(cookie).has_value();
  });
  expect_all(cookies.size() - static_cast<std::size_t>(left), kTimes);
  ::close(rows);
  ::close(table);
}

}  // namespace
}  // namespace weft::sys
