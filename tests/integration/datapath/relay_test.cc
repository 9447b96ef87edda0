// Hosts that cannot reach each other straight: their containers talk through a third.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

std::optional<router::PathStatus> path_of(Host& host, PeerName peer) {
  for (const router::PathStatus& path : host.status().paths) {
    if (path.peer == peer) {
      return path;
    }
  }
  return std::nullopt;
}

bool is_relayed(Host& host, PeerName peer) {
  const auto status = path_of(host, peer);
  return status && status->path.way == router::Way::Relay && !status->lost;
}

bool is_straight(Host& host, PeerName peer) {
  const auto status = path_of(host, peer);
  return status && status->path.way == router::Way::Clear && !status->lost;
}

// Three hosts, each with BPF or without; the middle one has no containers.
class RelayTest : public ::testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  RelayTest() {
    cluster_.set_relays({cluster_[1].name});
    for (std::size_t i : {0U, 1U, 2U}) {
      cluster_.start_one(i, i == 1 ? GetParam().second : GetParam().first);
    }
    a_ = cluster_[0].run_container(1);
    c_ = cluster_[2].run_container(3);
    EXPECT_TRUE(eventually([&] {
      return cluster_[0].status().remote_count == 1 && cluster_[2].status().remote_count == 1
             && cluster_[1].status().remote_count == 2;
    }));
  }

  Cluster cluster_{3};
  std::unique_ptr<Container> a_;
  std::unique_ptr<Container> c_;
};

TEST_P(RelayTest, ContainersTalkThroughTheHostInTheMiddle) {
  cluster_.cut(0, 2);

  EXPECT_TRUE(eventually([&] { return a_->reaches(c_->ipv4); }));
  EXPECT_TRUE(a_->reaches(c_->ipv6));
  EXPECT_TRUE(is_relayed(cluster_[0], cluster_[2].name));
  EXPECT_TRUE(is_relayed(cluster_[2], cluster_[0].name));

  c_->net.must("timeout 30 iperf3 -s -1 >/dev/null 2>&1 &");
  EXPECT_TRUE(eventually([&] {
    return a_->net.shell(fmt::format("timeout 20 iperf3 -c {} -n 5M >/dev/null 2>&1", c_->ipv4))
           == 0;
  }));
  const router::DatapathStatus middle = cluster_[1].status();
  if (GetParam().second) {
    EXPECT_GT(middle.fast_path.relayed, 100U);
  } else {
    EXPECT_GT(middle.relays.passed_on, 100U);
  }
}

TEST_P(RelayTest, AFailureUnderTrafficIsMendedWithinASecondAndTheStraightPathReturns) {
  EXPECT_TRUE(a_->reaches(c_->ipv4));
  EXPECT_TRUE(is_straight(cluster_[0], cluster_[2].name));

  // A hundred pings of 20 ms each; those that got lost say how long it took.
  cluster_.cut(0, 2);
  const int lost = a_->net.shell(
      fmt::format("exit $(ping -i 0.02 -c 150 -W 1 {} | "
                  "sed -n 's/.* \\([0-9]*\\) received.*/\\1/p' | awk '{{print 150 - $1}}')",
                  c_->ipv4));
  EXPECT_LT(lost, 100) << "x 20 ms";

  cluster_.heal(0, 2);
  EXPECT_TRUE(eventually([&] {
    return a_->reaches(c_->ipv4) && is_straight(cluster_[0], cluster_[2].name)
           && is_straight(cluster_[2], cluster_[0].name);
  }));
  const auto status = path_of(cluster_[0], cluster_[2].name);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->switches, 2U);
  EXPECT_GE(status->history.size(), 3U);
}

TEST_P(RelayTest, ABroadcastReachesTheFarHostOnce) {
  cluster_.cut(0, 2);
  EXPECT_TRUE(eventually([&] { return a_->reaches(c_->ipv4); }));

  // Every container that has the broadcast answers once; a second copy would be "DUP!".
  c_->net.must("echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts");
  EXPECT_EQ(a_->net.shell("ping -b -c 5 -i 0.1 -W 1 10.47.255.255 2>/dev/null | tee /dev/stderr | "
                          "{ ! grep -q DUP; }"),
            0);
  EXPECT_EQ(a_->net.shell("ping -b -c 5 -i 0.1 -W 1 10.47.255.255 2>/dev/null | "
                          "grep -q '5 received'"),
            0);
}

INSTANTIATE_TEST_SUITE_P(
    Mode,
    RelayTest,
    ::testing::Values(std::pair(true, true), std::pair(false, false), std::pair(true, false)),
    [](const auto& mode) {
      return fmt::format(
          "{}Through{}", mode.param.first ? "Bpf" : "Bridge", mode.param.second ? "Bpf" : "Bridge");
    });

}  // namespace
}  // namespace weft::test
