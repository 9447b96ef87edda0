// Unicast between containers on different hosts: which way it takes, and that it arrives.
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/datapath/endpoint_record.h"
#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

// Waits until a host knows of so many containers elsewhere.
void wait_for_remotes(Host& host, std::size_t count) {
  EXPECT_TRUE(eventually([&] { return host.status().remote_count == count; }));
}

class PathsTest : public ::testing::TestWithParam<bool> {};

TEST_P(PathsTest, ContainersOnTwoHostsReachEachOtherInBothFamilies) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  wait_for_remotes(cluster[0], 1);
  wait_for_remotes(cluster[1], 1);

  EXPECT_TRUE(a->reaches(b->ipv4));
  EXPECT_TRUE(b->reaches(a->ipv6));

  const router::DatapathStatus status = cluster[0].status();
  EXPECT_EQ(status.mode, GetParam() ? "bpf" : "bridge");
  EXPECT_EQ(status.reason, GetParam() ? "" : "switched off");
  EXPECT_EQ(status.mtu, 1450U);
  EXPECT_EQ(status.forwarding.arp_answered, GetParam() ? 0U : 1U);
  EXPECT_EQ(status.fast_path.arp_answered, GetParam() ? 1U : 0U);
  EXPECT_EQ(cluster[1].status().forwarding.nd_answered, 1U);
  EXPECT_THAT(status.warnings, ::testing::IsEmpty());
}

TEST_P(PathsTest, ContainersOnOneHostReachEachOther) {
  Cluster cluster(1);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[0].run_container(2);

  EXPECT_TRUE(a->reaches(b->ipv4));
  EXPECT_TRUE(b->reaches(a->ipv6));
}

TEST_P(PathsTest, TheHostItselfReachesAContainerElsewhere) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto b = cluster[1].run_container(2);
  wait_for_remotes(cluster[0], 1);
  cluster[0].net.must("ip addr add 10.32.0.100/12 dev weft");

  EXPECT_EQ(cluster[0].net.shell("ping -q -c 3 -i 0.1 -W 2 10.32.0.2 >/dev/null"), 0);
}

TEST_P(PathsTest, TcpMovesDataBothWays) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  wait_for_remotes(cluster[0], 1);
  wait_for_remotes(cluster[1], 1);

  for (const char* options : {"-c 10.32.0.2", "-c fd00::2 -R"}) {
    b->net.must("timeout 30 iperf3 -s -1 >/dev/null 2>&1 &");
    EXPECT_TRUE(eventually([&] {
      return a->net.shell(fmt::format("iperf3 {} -n 100M >/dev/null 2>&1", options)) == 0;
    })) << options;
  }
}

// A peer that is nothing but Linux's own VXLAN device with a static table.
TEST_P(PathsTest, APlainKernelVxlanPeerUnderstandsUsAndWeIt) {
  Cluster cluster(1);
  Namespace plain;
  cluster.underlay.join(plain, 9);
  plain.must(
      "ip link add vx mtu 1450 address 02:00:00:00:01:09 type vxlan id 7824742 dstport 6784 "
      "local 192.0.2.9 nolearning && ip addr add 10.32.0.9/12 dev vx && ip link set vx up && "
      "bridge fdb add 02:00:00:00:01:01 dev vx dst 192.0.2.1 && "
      "ip neigh add 10.32.0.1 lladdr 02:00:00:00:01:01 dev vx");
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  cluster[0].learn_peer(PeerName(9), Ip::parse("192.0.2.9").value());
  cluster[0].learn({.origin = PeerName(9),
                    .key = router::endpoint_key(Mac::parse("02:00:00:00:01:09").value()),
                    .value = router::encode_endpoint({Ip::parse("10.32.0.9").value()})});
  wait_for_remotes(cluster[0], 1);

  EXPECT_TRUE(a->reaches("10.32.0.9"));
  EXPECT_EQ(plain.shell("ping -q -c 3 -i 0.1 -W 2 -s 1400 10.32.0.1 >/dev/null"), 0);
}

INSTANTIATE_TEST_SUITE_P(Mode, PathsTest, ::testing::Values(true, false), [](const auto& mode) {
  return mode.param ? "Bpf" : "Bridge";
});

TEST(Ipv6Underlay, CarriesTheSameThroughTheVxlanDevice) {
  Cluster cluster(2);
  cluster[0].underlay = Ip::parse("2001:db8::1").value();
  cluster[1].underlay = Ip::parse("2001:db8::2").value();
  cluster.start(true);
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  wait_for_remotes(cluster[0], 1);
  wait_for_remotes(cluster[1], 1);

  EXPECT_TRUE(a->reaches(b->ipv4));
  EXPECT_EQ(cluster[0].status().mtu, 1430U);  // The longer header costs 20 octets more.
}

class FastPathTest : public ::testing::Test {
 protected:
  FastPathTest() {
    cluster_.start(true);
    a_ = cluster_[0].run_container(1);
    b_ = cluster_[1].run_container(2);
    wait_for_remotes(cluster_[0], 1);
    wait_for_remotes(cluster_[1], 1);
  }

  Cluster cluster_{2};
  std::unique_ptr<Container> a_;
  std::unique_ptr<Container> b_;
};

TEST_F(FastPathTest, KnownUnicastNeverSeesTheBridge) {
  EXPECT_TRUE(a_->reaches(b_->ipv4));  // Settles ARP.
  const sys::FastPathStats before = cluster_[0].status().fast_path;

  EXPECT_TRUE(a_->reaches(b_->ipv4));

  const sys::FastPathStats after = cluster_[0].status().fast_path;
  EXPECT_EQ(after.encapsulated - before.encapsulated, 3U);
  EXPECT_EQ(after.decapsulated - before.decapsulated, 3U);
}

TEST_F(FastPathTest, ARouteThatComesToLeadThroughAGatewayIsFollowedThereAndBack) {
  Namespace gateway;
  cluster_.underlay.join(gateway, 3);
  // A redirect would tell the host to leave the gateway out.
  gateway.must(
      "cd /proc/sys/net/ipv4 && echo 1 >ip_forward && "
      "echo 0 >conf/all/send_redirects && echo 0 >conf/u0/send_redirects");
  const auto has_forwarded = [&] {
    return gateway.shell("test $(awk '/^Ip: [0-9]/ { print $7 }' /proc/net/snmp) -ge 3") == 0;
  };
  EXPECT_TRUE(a_->reaches(b_->ipv4));
  EXPECT_FALSE(has_forwarded());

  cluster_[0].net.must("ip route add 192.0.2.2/32 via 192.0.2.3");
  EXPECT_TRUE(eventually([&] { return a_->reaches(b_->ipv4) && has_forwarded(); }));

  cluster_[0].net.must("ip route del 192.0.2.2/32");
  gateway.must("echo 0 >/proc/sys/net/ipv4/ip_forward");
  EXPECT_TRUE(eventually([&] { return a_->reaches(b_->ipv4); }));
}

TEST_F(FastPathTest, ContainersOfOneHostAreJoinedDirectly) {
  const auto c = cluster_[0].run_container(3);

  EXPECT_TRUE(a_->reaches(c->ipv4));

  EXPECT_GE(cluster_[0].status().fast_path.local, 6U);
}

// RFC 768 datagrams in one super-frame (UDP_SEGMENT) must arrive one by one.
TEST_F(FastPathTest, UdpSuperFramesArriveAsTheDatagramsTheyWere) {
  constexpr std::size_t kDatagram = 1300;
  constexpr int kCount = 40;
  const int receiver = b_->net.run([] {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const sockaddr_in any{
        .sin_family = AF_INET, .sin_port = htons(5555), .sin_addr = {}, .sin_zero = {}};
    return bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 ? fd : -1;
  });
  ASSERT_GE(receiver, 0);
  EXPECT_TRUE(a_->reaches(b_->ipv4));

  a_->net.run([] {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const int segment = kDatagram;
    setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(5555), .sin_addr = {}, .sin_zero = {}};
    inet_pton(AF_INET, "10.32.0.2", &to.sin_addr);
    const std::vector<char> payload(kDatagram * kCount, 'x');
    const auto sent = sendto(
        fd, payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    close(fd);
    return sent;
  });

  std::array<char, 65536> buffer{};
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(recv(receiver, buffer.data(), buffer.size(), 0), static_cast<ssize_t>(kDatagram));
  }
  close(receiver);
}

// The tag lives beside the packet in the kernel; the outer headers must not take it.
TEST_F(FastPathTest, TaggedFramesKeepTheirTag) {
  const auto packet_socket = [](std::uint16_t protocol) {
    const int fd = socket(AF_PACKET, SOCK_RAW, htons(protocol));
    const sockaddr_ll eth0{.sll_family = AF_PACKET,
                           .sll_protocol = htons(protocol),
                           .sll_ifindex = static_cast<int>(if_nametoindex("eth0")),
                           .sll_hatype = 0,
                           .sll_pkttype = 0,
                           .sll_halen = 0,
                           .sll_addr = {}};
    return bind(fd, reinterpret_cast<const sockaddr*>(&eth0), sizeof eth0) == 0 ? fd : -1;
  };
  const int receiver = b_->net.run([&] { return packet_socket(ETH_P_ALL); });
  ASSERT_GE(receiver, 0);
  const int on = 1;
  setsockopt(receiver, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);

  Writer frame;
  frame.append(b_->mac.octets()).append(a_->mac.octets());
  frame.u16(ETH_P_8021Q).u16(42).u16(0x88b5).append(Bytes(50, 7));
  const Bytes sent = frame.take();
  a_->net.run([&] {
    const int fd = packet_socket(ETH_P_ALL);
    const auto size = send(fd, sent.data(), sent.size(), 0);
    close(fd);
    return size;
  });

  std::array<std::uint8_t, 2048> buffer{};
  alignas(cmsghdr) std::array<char, 256> control{};
  iovec io{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  int tag = -1;
  while (tag < 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = recvmsg(receiver, &message, 0);
    ASSERT_GT(size, 0) << "no tagged frame arrived";
    if (buffer[12] != 0x88 || buffer[13] != 0xb5) {
      continue;
    }
    tpacket_auxdata auxiliary{};
    std::memcpy(&auxiliary, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof auxiliary);
    tag = auxiliary.tp_vlan_tci;
  }
  EXPECT_EQ(tag, 42);
  close(receiver);
}

// Frames that came out of a tunnel and go into one again, whole.
TEST_F(FastPathTest, AContainerMayRouteBetweenOthers) {
  const auto c = cluster_[0].run_container(3);
  wait_for_remotes(cluster_[1], 2);
  a_->net.must("ip route add 10.200.0.0/24 via 10.32.0.2");
  b_->net.must(
      "echo 1 > /proc/sys/net/ipv4/ip_forward && "
      "echo 0 > /proc/sys/net/ipv4/conf/eth0/send_redirects && ip addr add 10.200.0.1/24 dev eth0");
  c->net.must(
      "ip addr add 10.200.0.3/24 dev eth0 && ip addr del 10.32.0.3/12 dev eth0 && "
      "ip route add 10.32.0.0/12 via 10.200.0.1");
  c->net.must("timeout 30 iperf3 -s -1 >/dev/null 2>&1 &");

  EXPECT_TRUE(eventually([&] {
    return a_->net.shell("timeout 20 iperf3 -c 10.200.0.3 -n 20M >/dev/null 2>&1") == 0;
  }));
}

TEST_F(FastPathTest, StrangersAndOtherNetworksAreRefused) {
  Namespace stranger;
  cluster_.underlay.join(stranger, 66);
  stranger.must(
      "ip link add vx address 02:00:00:00:01:42 type vxlan id 7824742 dstport 6784 local "
      "192.0.2.66 && ip addr add 10.32.0.66/12 dev vx && ip link set vx up && "
      "bridge fdb add 02:00:00:00:01:01 dev vx dst 192.0.2.1 && "
      "ip neigh add 10.32.0.1 lladdr 02:00:00:00:01:01 dev vx");
  stranger.shell("ping -q -c 3 -i 0.1 -W 1 10.32.0.1 >/dev/null");
  const std::uint64_t refused = cluster_[0].status().fast_path.refused;
  EXPECT_GE(refused, 3U);  // Our VNI from an unknown address.

  const Bytes other_network = [] {
    Writer writer;
    writer.u32(0x08000000).u32(99U << 8U);
    writer.append(Bytes{2, 0, 0, 0, 1, 1}).append(Bytes{2, 0, 0, 0, 1, 2}).u16(0x0800);
    writer.append(Bytes(46, 0));
    return writer.take();
  }();
  cluster_[1].net.run([&] {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(6784), .sin_addr = {}, .sin_zero = {}};
    inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
    const auto sent = sendto(fd,
                             other_network.data(),
                             other_network.size(),
                             0,
                             reinterpret_cast<const sockaddr*>(&to),
                             sizeof to);
    close(fd);
    return sent;
  });
  // Another VNI from a peer's address.
  EXPECT_TRUE(eventually([&] { return cluster_[0].status().fast_path.refused > refused; }));
}

}  // namespace
}  // namespace weft::test
