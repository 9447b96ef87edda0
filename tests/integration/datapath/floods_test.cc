// Broadcast and multicast: every container of every host gets each frame exactly once.
#include <array>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

constexpr std::uint16_t kPort = 5007;
constexpr std::uint8_t kLast = 0xff;

// A socket in the container that hears broadcasts and one multicast group of each family.
int listen_in(Container& container) {
  return container.net.run([] {
    const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ipv6_mreq group6{};
    inet_pton(AF_INET6, "ff02::1:7", &group6.ipv6mr_multiaddr);
    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof group6);
    ip_mreq group4{};
    inet_pton(AF_INET, "239.1.2.3", &group4.imr_multiaddr);
    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group4, sizeof group4);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(kPort);
    return bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 ? fd : -1;
  });
}

// Sends datagrams that hold 0, 1, … count - 1, kLast.
void send_from(Container& container, const std::string& address, std::uint8_t count) {
  const bool sent = container.net.run([&] {
    const bool v6 = address.find(':') != std::string::npos;
    const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    sockaddr_in6 to6{};
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(kPort);
    to6.sin6_scope_id = 0;
    sockaddr_in to4{};
    to4.sin_family = AF_INET;
    to4.sin_port = htons(kPort);
    inet_pton(v6 ? AF_INET6 : AF_INET,
              address.c_str(),
              v6 ? static_cast<void*>(&to6.sin6_addr) : static_cast<void*>(&to4.sin_addr));
    bool all = true;
    for (int i = 0; i <= count; ++i) {
      const std::uint8_t number = i < count ? static_cast<std::uint8_t>(i) : kLast;
      all = sendto(fd,
                   &number,
                   1,
                   0,
                   v6 ? reinterpret_cast<const sockaddr*>(&to6)
                      : reinterpret_cast<const sockaddr*>(&to4),
                   v6 ? sizeof to6 : sizeof to4)
                == 1
            && all;
    }
    close(fd);
    return all;
  });
  EXPECT_TRUE(sent) << address;
}

// Everything up to the last datagram, in order of arrival.
std::vector<int> heard(int fd) {
  std::vector<int> numbers;
  std::uint8_t number = 0;
  while (recv(fd, &number, 1, 0) == 1) {
    if (number == kLast) {
      return numbers;
    }
    numbers.push_back(number);
  }
  numbers.push_back(-1);  // The last one never came.
  return numbers;
}

class FloodsTest : public ::testing::TestWithParam<bool> {};

TEST_P(FloodsTest, EveryContainerHearsEveryFrameExactlyOnce) {
  Cluster cluster(3);
  cluster.start(GetParam());
  const auto sender = cluster[0].run_container(1);
  std::vector<std::unique_ptr<Container>> others;
  others.push_back(cluster[0].run_container(2));
  others.push_back(cluster[1].run_container(3));
  others.push_back(cluster[1].run_container(4));
  others.push_back(cluster[2].run_container(5));
  sender->net.must("ip route add 239.0.0.0/8 dev eth0");
  std::vector<int> sockets;
  for (const auto& other : others) {
    other->net.must("ip route add 239.0.0.0/8 dev eth0");
    sockets.push_back(listen_in(*other));
    ASSERT_GE(sockets.back(), 0);
  }
  const std::vector<int> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

  for (const char* address : {"10.47.255.255", "239.1.2.3", "ff02::1:7"}) {
    send_from(*sender, address, 10);
    for (std::size_t i = 0; i < others.size(); ++i) {
      EXPECT_EQ(heard(sockets[i]), expected) << address << " in " << others[i]->ipv4;
    }
  }
  for (const int fd : sockets) {
    close(fd);
  }
  EXPECT_GE(cluster[0].status().forwarding.frames_flooded, 33U);
  // Nobody floods again what was flooded to it.
  EXPECT_EQ(cluster[1].status().forwarding.arp_answered, 0U);
}

TEST_P(FloodsTest, AQuestionForAnUnknownAddressReachesItsOwner) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(eventually([&] { return cluster[0].status().remote_count == 1; }));
  b->net.must("ip addr add 10.32.0.77/12 dev eth0");  // Nobody told the agent.

  EXPECT_TRUE(a->reaches("10.32.0.77"));
}

TEST_P(FloodsTest, AnAddressInUseElsewhereIsFoundByDuplicateDetection) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(eventually([&] { return cluster[0].status().remote_count == 1; }));

  EXPECT_NE(a->net.shell("arping -q -D -c 2 -w 3 -I eth0 10.32.0.2"), 0);
  EXPECT_EQ(a->net.shell("arping -q -D -c 1 -w 1 -I eth0 10.32.0.99"), 0);
}

INSTANTIATE_TEST_SUITE_P(Mode, FloodsTest, ::testing::Values(true, false), [](const auto& mode) {
  return mode.param ? "Bpf" : "Bridge";
});

}  // namespace
}  // namespace weft::test
