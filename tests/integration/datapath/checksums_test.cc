// Devices that compute checksums, that do not, and one that claims to and lies.
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/sealed/super_frame.h"
#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

using router::ChecksumVerdict;

// Behind it stands the container's packet: outer Ethernet, IPv4, UDP, VXLAN.
constexpr std::size_t kInnerAt = 14 + 20 + 8 + 8;

// What stands between host 1 and the switch: passes frames on both ways as they are, but forgets of
// packets inside host 1's VXLAN that their checksums are still to be computed.
class LyingWire {
 public:
  explicit LyingWire(Namespace& host) {
    host.must(
        fmt::format("ip link set u0 down && ip link set u0 name old && "
                    "ip link add u0 type veth peer name w0 && "
                    "ip link set w0 netns {0} && ip link set old netns {0}",
                    wire_.path()));
    wire_.must("ip link set w0 up && ip link set old up");
    host.must(
        "ip addr add 192.0.2.1/24 dev u0 && ip link set u0 up && "
        "ip route add default via 192.0.2.254");
    wire_.run([this] {
      near_ = open("w0");
      far_ = open("old");
      return true;
    });
    thread_ = std::thread([this] { carry(); });
  }
  ~LyingWire() {
    is_ending_ = true;
    thread_.join();
    ::close(near_);
    ::close(far_);
  }
  LyingWire(const LyingWire&) = delete;
  LyingWire& operator=(const LyingWire&) = delete;

  int lies() const { return lies_; }

 private:
  static int open(const char* device) {
    const int file = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    EXPECT_EQ(::setsockopt(file, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
    EXPECT_EQ(::setsockopt(file, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(device));
    EXPECT_EQ(::bind(file, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return file;
  }

  void carry() {
    std::array<pollfd, 2> ends{pollfd{near_, POLLIN, 0}, pollfd{far_, POLLIN, 0}};
    while (!is_ending_) {
      (void)::poll(ends.data(), ends.size(), 20);
      pass(near_, far_);
      pass(far_, near_);
    }
  }

  void pass(int from, int to) {
    for (;;) {
      const ssize_t size = ::recv(from, frame_.data(), frame_.size(), 0);
      if (size <= 0) {
        return;
      }
      router::VnetHeader offload;
      std::memcpy(&offload, frame_.data(), sizeof offload);
      if (from == near_ && (offload.flags & router::VnetHeader::kNeedsChecksum) != 0
          && offload.checksum_start > kInnerAt) {
        ++lies_;
        offload.flags = 0;
        std::memcpy(frame_.data(), &offload, sizeof offload);
      }
      (void)::send(to, frame_.data(), static_cast<std::size_t>(size), 0);
    }
  }

  Namespace wire_;
  int near_ = -1;
  int far_ = -1;
  std::array<char, (1U << 16U) + 64> frame_{};
  std::atomic<int> lies_{0};
  std::atomic<bool> is_ending_{false};
  std::thread thread_;
};

// A packet socket cannot tell super-frames inside VXLAN from others.
void cut_to_packets(Host& host) {
  host.net.must("ethtool -K u0 tso off gso off tx-udp-segmentation off >/dev/null 2>&1");
}

std::optional<router::OffloadStatus> offload_of(Host& host) {
  const auto all = host.status().offloads;
  return all.size() == 1 ? std::optional(all[0]) : std::nullopt;
}

bool is_settled(Host& host, ChecksumVerdict verdict, bool enabled) {
  const auto found = offload_of(host);
  return found && found->device == "u0" && found->verdict == verdict && found->enabled == enabled;
}

// A stream, whose checksums the container leaves to its device.
bool talks(Container& from, Container& to) {
  to.net.must("timeout 20 iperf3 -s -1 >/dev/null 2>&1 &");
  return eventually([&] {
    return from.net.shell(fmt::format("timeout 5 iperf3 -c {} -n 10M >/dev/null 2>&1", to.ipv4))
           == 0;
  });
}

TEST(Checksums, ADeviceThatComputesThemRightKeepsDoingSo) {
  Cluster cluster(2);
  cluster.start(true);

  EXPECT_TRUE(eventually([&] { return is_settled(cluster[0], ChecksumVerdict::Right, true); }));
  EXPECT_TRUE(eventually([&] { return is_settled(cluster[1], ChecksumVerdict::Right, true); }));
}

TEST(Checksums, ADeviceThatLiesLosesItsOffloadAndContainersTalk) {
  Cluster cluster(2);
  const LyingWire wire(cluster[0].net);
  cut_to_packets(cluster[0]);
  cut_to_packets(cluster[1]);
  cluster.start(true);

  EXPECT_TRUE(
      eventually([&] { return is_settled(cluster[0], ChecksumVerdict::TurnedOff, false); }));
  EXPECT_TRUE(eventually([&] { return is_settled(cluster[1], ChecksumVerdict::Right, true); }));
  const int lies = wire.lies();
  EXPECT_GE(lies, router::ChecksumTests::kWrongMax);

  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));
  EXPECT_TRUE(talks(*a, *b));
  EXPECT_TRUE(talks(*b, *a));
  EXPECT_EQ(wire.lies(), lies);
}

TEST(Checksums, ContainersTalkWhicheverEndsComputeThem) {
  Cluster cluster(2);
  cluster.start(true);
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));

  for (const char* guest : {"on", "off"}) {
    for (const char* device : {"on", "off"}) {
      a->net.must(fmt::format("ethtool -K eth0 tx {} >/dev/null 2>&1", guest));
      cluster[0].net.must(fmt::format("ethtool -K u0 tx {} >/dev/null 2>&1", device));
      EXPECT_TRUE(talks(*a, *b)) << "container " << guest << ", device " << device;
      EXPECT_TRUE(talks(*b, *a)) << "container " << guest << ", device " << device;
    }
  }
}

}  // namespace
}  // namespace weft::test
