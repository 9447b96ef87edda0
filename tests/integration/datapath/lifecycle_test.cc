// Start, restart, change of mode, reset, MTU.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

using router::DatapathService;
using router::DatapathStatus;

class LifecycleTest : public ::testing::TestWithParam<bool> {};

TEST_P(LifecycleTest, ARestartUnderTrafficLosesNothing) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));
  ASSERT_TRUE(a->reaches(b->ipv4));
  // 100 questions in 2 s.
  auto ping = std::async(std::launch::async, [&] {
    return a->net.shell("ping -q -c 100 -i 0.02 -W 1 10.32.0.2 | grep -q ' 0% packet loss'");
  });

  for (std::size_t i : {0U, 1U}) {
    cluster[i].stop();
    cluster[i].start({.self = cluster[i].name, .bpf = GetParam()});
    EXPECT_EQ(cluster[i].status().remote_count, 1U);  // Adopted, before anybody said anything.
    EXPECT_THAT(cluster[i].status().warnings, ::testing::IsEmpty());
  }

  EXPECT_EQ(ping.get(), 0);
}

// The programs answer what the agents would.
TEST(FastPathLifecycle, ContainersMeetForTheFirstTimeWhileNoAgentRuns) {
  Cluster cluster(2);
  cluster.start(true);
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));

  cluster[0].stop();
  cluster[1].stop();

  EXPECT_TRUE(a->reaches(b->ipv4));
}

TEST_P(LifecycleTest, ARestartedServiceTakesItsContainersBack) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  cluster[0].stop();
  cluster[0].start({.self = cluster[0].name, .bpf = GetParam()});
  cluster.introduce(cluster[0]);

  EXPECT_TRUE(cluster[0].has_port(a->port.host));
  EXPECT_TRUE(cluster[0].plug(a->port).ok());

  EXPECT_TRUE(a->reaches(b->ipv4));
  EXPECT_EQ(cluster[0].status().local_count, 1U);
}

TEST_P(LifecycleTest, AnUnpluggedContainerIsGoneEverywhere) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(eventually([&] { return cluster[0].status().remote_count == 1; }));

  cluster[1].unplug(b->port);

  EXPECT_TRUE(eventually([&] { return cluster[0].status().remote_count == 0; }));
  EXPECT_FALSE(cluster[1].has_port(b->port.host));
  EXPECT_EQ(cluster[1].status().local_count, 0U);
  EXPECT_THAT(cluster[1].status().warnings, ::testing::IsEmpty());
}

TEST_P(LifecycleTest, APortMayBePluggedAgainWhileItIsStillBeingRemoved) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);

  cluster[1].unplug(b->port);
  const auto again = cluster[1].run_container(2);

  EXPECT_TRUE(cluster[1].has_port(b->port.host));
  // The other host may still know the first, and drop it before it hears of the second: what is
  // asked in between is lost.
  EXPECT_TRUE(
      eventually([&] { return a->reaches(again->ipv4) && cluster[0].status().remote_count == 1; }));
}

TEST_P(LifecycleTest, PortsWithoutAnOwnerAreSweptUnlessTheyAreInUse) {
  Cluster cluster(1);
  cluster.start(GetParam());
  const auto used = cluster[0].run_container(1);
  cluster[0].net.must(
      "for n in 2 3 4; do ip link add vethh$n type veth peer name vethg$n; done;"
      "ip link set vethh2 alias weft; ip link set vethh3 alias weft");

  cluster[0].sweep({"vethh3"});

  EXPECT_FALSE(cluster[0].has_port("vethh2"));
  // The pair itself goes off the strand (sys/link/link_remover.h).
  EXPECT_TRUE(
      eventually([&] { return cluster[0].net.shell("ip link show vethg2 2>/dev/null >&2") == 1; }));
  EXPECT_TRUE(cluster[0].has_port(used->port.host)) << "its guest end is in a container";
  EXPECT_TRUE(cluster[0].has_port("vethh3")) << "owned";
  EXPECT_TRUE(cluster[0].has_port("vethh4")) << "not ours";
}

// Well before the agent would look of its own accord.
TEST_P(LifecycleTest, WhatSomebodyTookAwayIsBackAtOnce) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));

  cluster[0].net.must("nft flush ruleset; ip link del weft-tap");

  EXPECT_TRUE(eventually([&] {
    return cluster[0].net.shell("nft list ruleset | grep -q 'iifname \"weft\" oifname \"weft\"'")
               == 0
           && cluster[0].net.shell("ip link show master weft | grep -q weft-tap") == 0;
  }));
  EXPECT_EQ(a->net.shell("ip neigh flush dev eth0"), 0);
  EXPECT_TRUE(a->reaches(b->ipv4)) << "its question goes through the new TAP";
}

TEST_P(LifecycleTest, TheOverlayFollowsTheMtuOfTheUnderlay) {
  Cluster cluster(2);
  cluster.start(GetParam());
  EXPECT_TRUE(eventually([&] { return cluster[0].status().mtu == 1450; }));

  cluster[0].net.must("ip link set u0 mtu 1400");

  EXPECT_TRUE(eventually([&] { return cluster[0].status().mtu == 1350; }));
  EXPECT_EQ(cluster[0].net.shell("ip link show weft | grep -q 'mtu 1350'"), 0);
}

TEST_P(LifecycleTest, TheOverlayTakesItsMtuFromAJumboUnderlay) {
  Cluster cluster(2, 9000);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));

  EXPECT_EQ(cluster[0].status().mtu, 8950U);
  // 8,922 = 8,950 − 20 (IPv4) − 8 (ICMP), with Don't Fragment.
  EXPECT_EQ(a->net.shell("ping -q -c 2 -i 0.1 -W 2 -M do -s 8922 10.32.0.2 >/dev/null"), 0);
}

TEST_P(LifecycleTest, ResetRemovesWhatIsOursAndNothingElse) {
  Cluster cluster(2);
  cluster[0].net.must(
      "ip link add br-foreign type bridge && "
      "tc qdisc add dev u0 clsact && tc filter add dev u0 ingress bpf bytecode '1,6 0 0 0,'");
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  for (Host* host : {&cluster[0], &cluster[1]}) {
    host->stop();
    EXPECT_TRUE(host->reset().ok());
  }

  EXPECT_EQ(cluster[0].net.shell("ip -br link | grep -qE 'weft|veth'"), 1);
  EXPECT_EQ(cluster[0].net.shell("ip link show br-foreign >/dev/null"), 0);
  EXPECT_EQ(cluster[0].net.shell("tc filter show dev u0 ingress | grep -q bytecode"), 0);
  EXPECT_EQ(cluster[0].net.shell("tc filter show dev u0 ingress | grep -q weft_"), 1);
  EXPECT_EQ(cluster[1].net.shell("tc qdisc show dev u0 | grep -q clsact"), 1);
}

INSTANTIATE_TEST_SUITE_P(Mode, LifecycleTest, ::testing::Values(true, false), [](const auto& mode) {
  return mode.param ? "Bpf" : "Bridge";
});

TEST_P(LifecycleTest, TheBridgeMayHaveAnotherNameFromRunToRun) {
  Cluster cluster(2);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);
  EXPECT_TRUE(know_each_other(cluster));

  for (const char* const bridge : {"weave", "weft"}) {
    cluster[0].stop();
    cluster[0].start({.self = cluster[0].name, .bpf = GetParam(), .bridge = bridge});
    cluster.introduce(cluster[0]);
    EXPECT_TRUE(cluster[0].plug(a->port).ok());
    EXPECT_TRUE(know_each_other(cluster));

    EXPECT_TRUE(a->reaches(b->ipv4));
    const std::string other = bridge == std::string("weft") ? "weave" : "weft";
    EXPECT_EQ(cluster[0].net.shell("ip -br link | grep -q ^" + other), 1);
    EXPECT_EQ(cluster[0].net.shell("nft list ruleset | grep -q 'ifname \"" + other + "\"'"), 1);
    EXPECT_EQ(cluster[0].net.shell(
                  fmt::format("ip link show master {} | grep -q {}-tap", bridge, bridge)),
              0);
  }
}

TEST_P(LifecycleTest, ABridgeWithContainersDoesNotTakeTheNameOfAnotherLink) {
  Cluster cluster(1);
  cluster.start(GetParam());
  const auto a = cluster[0].run_container(1);
  cluster[0].stop();
  cluster[0].net.must("ip link add weave type bridge");

  const std::string why =
      cluster[0].start_error({.self = cluster[0].name, .bpf = GetParam(), .bridge = "weave"});

  EXPECT_THAT(why, ::testing::HasSubstr("on the bridge weft of an earlier run"));
  EXPECT_EQ(cluster[0].net.shell("ip link show master weft | grep -q vethh1"), 0);
  cluster[0].net.must("ip link set weave alias weft && ip tuntap add weave-tap mode tap");
  cluster[0].start({.self = cluster[0].name, .bpf = GetParam(), .bridge = "weave"});
  EXPECT_EQ(cluster[0].net.shell("ip link show master weave | grep -q vethh1"), 0);
}

TEST(Lifecycle, TheModeMayChangeFromRunToRun) {
  Cluster cluster(2);
  cluster.start(true);
  const auto a = cluster[0].run_container(1);
  const auto b = cluster[1].run_container(2);

  for (const bool bpf : {false, true}) {
    cluster[0].stop();
    cluster[0].start({.self = cluster[0].name, .bpf = bpf});
    cluster.introduce(cluster[0]);
    EXPECT_TRUE(cluster[0].plug(a->port).ok());
    EXPECT_TRUE(know_each_other(cluster));

    EXPECT_TRUE(a->reaches(b->ipv4));
    EXPECT_EQ(cluster[0].status().mode, bpf ? "bpf" : "bridge");
  }
}

TEST(Lifecycle, AFixedMtuIsTakenAsItIs) {
  Cluster cluster(1);
  cluster[0].start({.self = cluster[0].name, .mtu = 1376});

  EXPECT_EQ(cluster[0].status().mtu, 1376U);
}

TEST(Lifecycle, ABridgeNameThatLeavesNoRoomForTheOthersIsRefused) {
  Cluster cluster(1);

  const auto error = cluster[0].start_error({.self = cluster[0].name, .bridge = "twelve-chars"});

  EXPECT_THAT(error, ::testing::HasSubstr("more than 11 characters"));
}

}  // namespace
}  // namespace weft::test
