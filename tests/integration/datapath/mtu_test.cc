// Paths that carry less than they did: containers born with the old MTU are told, and go on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

bool passes(Container& from, const Container& to, int size, const std::string& options = "") {
  return from.net.shell(fmt::format("ping -q -c 1 -W 1 -s {} {} {} >/dev/null 2>&1",
                                    size - 28,  // IPv4 and ICMP headers.
                                    options,
                                    to.ipv4))
         == 0;
}

class MtuTest : public ::testing::Test {
 protected:
  MtuTest() {
    cluster_.start(true);
    a_ = cluster_[0].run_container(1);
    b_ = cluster_[1].run_container(2);
    EXPECT_TRUE(eventually([&] {
      return cluster_[0].status().remote_count == 1 && cluster_[1].status().remote_count == 1;
    }));
    EXPECT_TRUE(a_->reaches(b_->ipv4));
  }

  std::uint32_t path_mtu(std::size_t from, std::size_t to) {
    return cluster_[from].status().path_mtus[cluster_[to].name];
  }

  Cluster cluster_{2};
  std::unique_ptr<Container> a_;
  std::unique_ptr<Container> b_;
};

TEST_F(MtuTest, AContainerIsToldAtOnceWhenTheDeviceOfTheUnderlayShrinks) {
  EXPECT_TRUE(passes(*a_, *b_, 1450, "-M do"));

  for (std::size_t host : {0U, 1U}) {
    cluster_[host].net.must("ip link set u0 mtu 1400");
  }
  EXPECT_TRUE(eventually([&] { return path_mtu(0, 1) == 1400 && path_mtu(1, 0) == 1400; }));

  // The first is answered, by what tells the size that fits; after that the kernel knows.
  EXPECT_EQ(a_->net.shell(fmt::format(
                "ping -c 1 -W 1 -M do -s 1422 {} 2>&1 | grep -q 'mtu *= *1350'", b_->ipv4)),
            0);
  EXPECT_TRUE(passes(*a_, *b_, 1350, "-M do"));
  EXPECT_TRUE(eventually([&] { return passes(*a_, *b_, 1450); }));
  EXPECT_GT(cluster_[0].status().forwarding.too_big_answered, 0U);

  for (std::size_t host : {0U, 1U}) {
    cluster_[host].net.must("ip link set u0 mtu 1500");
  }
  EXPECT_TRUE(eventually([&] { return path_mtu(0, 1) == 1500; }));
}

TEST_F(MtuTest, Ipv6IsToldAsWell) {
  cluster_[0].net.must("ip link set u0 mtu 1400");
  EXPECT_TRUE(eventually([&] { return path_mtu(0, 1) == 1400; }));

  EXPECT_EQ(a_->net.shell(fmt::format(
                "ping -c 1 -W 1 -M do -s 1402 {} 2>&1 | grep -qi 'mtu *= *1350'", b_->ipv6)),
            0);
}

// A router that drops what is too big, and tells nobody.
TEST_F(MtuTest, ABlackholeIsFoundByProbesWithoutAnybodysHelp) {
  cluster_.underlay.set_port_mtu(2, 1400);
  EXPECT_FALSE(passes(*a_, *b_, 1450, "-M do"));

  // With traffic that fits, as there always is.
  EXPECT_TRUE(eventually([&] {
    (void)passes(*a_, *b_, 100);
    return path_mtu(0, 1) <= 1400;
  }));
  EXPECT_TRUE(eventually([&] { return passes(*a_, *b_, 1450); }));
}

}  // namespace
}  // namespace weft::test
