// sys/firewall.h in a namespace of its own, beside iptables-nft and real traffic over a bridge.
#include "sys/firewall.h"

#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "sys/netdev.h"
#include "sys/netns.h"
#include "tests/integration/sys/command.h"

namespace weft::sys {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRule =
    "-A FORWARD -i fwbr -o fwbr -m comment --comment \"weft fwbr\" -j ACCEPT";

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

const Cidr kAddress = Cidr::parse("192.0.2.1/24").value();

class FirewallTest : public ::testing::Test {
 protected:
  FirewallTest() {
    const auto entered = enter_new_namespace();
    EXPECT_TRUE(entered.ok()) << entered.error().what;
    // Keeps the names of further namespaces, and the lock of iptables, from the host.
    run("mount -t tmpfs none /run");
  }

  static void ensure() {
    const auto ensured = ensure_forward_accept("fwbr");
    EXPECT_TRUE(ensured.ok()) << ensured.error().what;
  }
  static void remove() {
    const auto removed = remove_forward_accept("fwbr");
    EXPECT_TRUE(removed.ok()) << removed.error().what;
  }
};

TEST_F(FirewallTest, MakesTableAndChainAsIptablesKnowsThem) {
  ensure();

  for (const std::string iptables : {"iptables", "ip6tables"}) {
    const std::string rules = run(iptables + " -S FORWARD");
    EXPECT_THAT(rules, HasSubstr("-P FORWARD ACCEPT"));
    EXPECT_THAT(rules, HasSubstr(kRule));
    EXPECT_THAT(run(iptables + " -L FORWARD -v"), HasSubstr("fwbr"));
    EXPECT_THAT(rules, Not(HasSubstr("incompatible")));
    run(iptables + " -A FORWARD -j DROP");
    run(iptables + " -N OTHER");
    run(iptables + " -P FORWARD DROP");
  }
}

TEST_F(FirewallTest, OpensPort53OfOneAddressToTheLinksItIsToldOf) {
  const DnsDoor door{.address = Ip::parse("172.17.0.1").value().v4(), .links = {"fwbr", "docker0"}};
  EXPECT_TRUE(ensure_dns_accept(door).ok());
  EXPECT_EQ(run("nft list ruleset"), "");  // Nothing drops.
  run("iptables -P INPUT DROP");
  run("iptables -A INPUT -s 192.0.2.0/24 -j DROP");
  const std::string before = run("iptables -S");

  EXPECT_TRUE(ensure_dns_accept(door).ok());
  EXPECT_TRUE(ensure_dns_accept(door).ok());
  const std::string rules = run("iptables -S INPUT");
  for (const std::string link : {"fwbr", "docker0"}) {
    for (const std::string protocol : {"udp", "tcp"}) {
      const std::string rule = "-A INPUT -d 172.17.0.1/32 -i " + link + " -p " + protocol;
      EXPECT_EQ(count(rules, rule), 1U) << rules;
      EXPECT_LT(rules.find(rule), rules.find("192.0.2.0/24")) << rules;
    }
  }
  EXPECT_EQ(count(rules, "--dport 53"), 4U) << rules;

  EXPECT_TRUE(remove_dns_accept().ok());
  EXPECT_EQ(run("iptables -S"), before);
}

TEST_F(FirewallTest, KeepsTheAddressesOfWhatABridgeForwards) {
  EXPECT_TRUE(ensure_bridged_unchanged("fwbr").ok());
  EXPECT_EQ(run("nft list ruleset"), "");  // Nothing changes them.
  run("iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE");
  const std::string before = run("iptables -t nat -S POSTROUTING");

  EXPECT_TRUE(ensure_bridged_unchanged("fwbr").ok());
  EXPECT_TRUE(ensure_bridged_unchanged("fwbr").ok());
  const std::string rules = run("iptables -t nat -S POSTROUTING");
  EXPECT_EQ(count(rules, "-A POSTROUTING -o fwbr"), 1U) << rules;
  EXPECT_LT(rules.find("-o fwbr"), rules.find("MASQUERADE")) << rules;

  EXPECT_TRUE(remove_bridged_unchanged("other").ok());
  EXPECT_EQ(run("iptables -t nat -S POSTROUTING"), rules);
  EXPECT_TRUE(remove_bridged_unchanged("fwbr").ok());
  EXPECT_EQ(run("iptables -t nat -S POSTROUTING"), before);
}

TEST_F(FirewallTest, EnsuringTwiceMakesOneRule) {
  ensure();
  ensure();

  EXPECT_EQ(count(run("iptables -S"), "weft fwbr"), 1U);
  EXPECT_EQ(count(run("ip6tables -S"), "weft fwbr"), 1U);
}

TEST_F(FirewallTest, PolicyHooksComeFirstAndDropWhatNobodyAllows) {
  ensure();
  run("iptables -A FORWARD -s 192.0.2.9 -j ACCEPT");

  ASSERT_TRUE(ensure_policy_hooks("fwbr").ok());
  run("iptables -I FORWARD -s 192.0.2.8 -j ACCEPT");  // Somebody comes in front of them.
  run("iptables -A WEAVE-NPC -s 192.0.2.7 -j ACCEPT");
  ASSERT_TRUE(ensure_policy_hooks("fwbr").ok());
  ASSERT_TRUE(ensure_policy_hooks("fwbr").ok());

  const std::string rules = run("iptables -S FORWARD");
  const std::size_t egress =
      rules.find("-i fwbr -m comment --comment \"weft fwbr policy egress\" -j WEAVE-NPC-EGRESS");
  const std::size_t ingress =
      rules.find("-o fwbr -m comment --comment \"weft fwbr policy ingress\" -j WEAVE-NPC");
  const std::size_t drop =
      rules.find("-o fwbr -m comment --comment \"weft fwbr policy drop\" -j DROP");
  EXPECT_LT(egress, ingress) << rules;
  EXPECT_LT(ingress, rules.find("--nflog-group 86")) << rules;
  EXPECT_LT(rules.find("--nflog-group 86"), drop) << rules;
  EXPECT_LT(drop, rules.find("192.0.2.8")) << rules;
  EXPECT_EQ(count(rules, "policy"), 4U) << rules;
  EXPECT_EQ(count(rules, "-j ACCEPT"), 2U) << rules;  // Not within the bridge.
  EXPECT_THAT(run("iptables -S INPUT"), HasSubstr("-j WEAVE-NPC-EGRESS"));
  EXPECT_THAT(run("iptables -S WEAVE-NPC"), HasSubstr("192.0.2.7"));
  EXPECT_EQ(count(run("ip6tables -S FORWARD"), "policy"), 4U);
}

TEST_F(FirewallTest, PolicyHooksGoAndLeaveWhatAControllerHasWritten) {
  ASSERT_TRUE(ensure_policy_hooks("fwbr").ok());
  run("iptables -A WEAVE-NPC -s 192.0.2.7 -j ACCEPT");

  ASSERT_TRUE(remove_policy_hooks("fwbr").ok());
  const std::string left = run("nft list ruleset");
  run("iptables -F WEAVE-NPC");
  ASSERT_TRUE(remove_policy_hooks("fwbr").ok());

  EXPECT_THAT(left, HasSubstr("192.0.2.7"));
  EXPECT_THAT(left, Not(HasSubstr("fwbr")));
  EXPECT_THAT(left, Not(HasSubstr("WEAVE-NPC-EGRESS")));
  EXPECT_EQ(run("nft list ruleset"), "");
  ASSERT_TRUE(remove_policy_hooks("fwbr").ok());
}

TEST_F(FirewallTest, TheRuleGoesToTheHeadAndLeavesTheRestAlone) {
  run("iptables -A FORWARD -s 192.0.2.0/24 -j DROP");
  run("iptables -P FORWARD DROP");
  run("iptables -N OTHER");
  const std::string before = run("iptables -S");

  ensure();
  const std::string with = run("iptables -S FORWARD");
  remove();

  EXPECT_LT(with.find(kRule), with.find("192.0.2.0/24"));
  EXPECT_EQ(run("iptables -S"), before);
}

TEST_F(FirewallTest, RemovesTheTableItMade) {
  ensure();
  EXPECT_THAT(run("nft list ruleset"), HasSubstr("table ip6 filter"));

  remove();

  EXPECT_EQ(run("nft list ruleset"), "");
  remove();
}

TEST_F(FirewallTest, KeepsTheTableItMadeOnceOthersUseIt) {
  ensure();
  run("iptables -A FORWARD -s 192.0.2.0/24 -j DROP");
  run("ip6tables -P FORWARD DROP");

  remove();

  EXPECT_THAT(run("iptables -S FORWARD"), HasSubstr("192.0.2.0/24"));
  EXPECT_THAT(run("ip6tables -S FORWARD"), HasSubstr("-P FORWARD DROP"));
  EXPECT_THAT(run("nft list ruleset"), Not(HasSubstr("fwbr")));
}

TEST_F(FirewallTest, TwoBridgesHaveARuleEach) {
  ensure();
  ASSERT_TRUE(ensure_forward_accept("fwbr2").ok());

  remove();

  EXPECT_THAT(run("iptables -S"), HasSubstr("weft fwbr2"));
  EXPECT_EQ(count(run("iptables -S"), "weft fwbr"), 1U);
}

TEST_F(FirewallTest, AnExposedSubnetIsOpenUntilItIsHidden) {
  const Exposure open{.address = Cidr::parse("10.32.0.7/13").value()};
  const Exposure plain{.address = Cidr::parse("10.40.0.7/24").value(), .masquerade = false};

  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open, plain}}).ok());
  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open, plain}}).ok());
  const std::string rules = run("nft list table ip weft");

  EXPECT_THAT(rules, HasSubstr("oifname \"fwbr\" ip daddr 10.32.0.0/13 counter"));
  EXPECT_THAT(rules, HasSubstr("ip saddr != 10.32.0.0/13 ip daddr 10.32.0.0/13 counter"));
  EXPECT_THAT(rules, HasSubstr("ip saddr 10.40.0.0/24 counter"));
  EXPECT_EQ(count(rules, "masquerade"),
            3U);  // Out, into the open one; and the comment of the first.
  EXPECT_LT(rules.find("10.40.0.0/24 counter"), rules.rfind("drop"));
  EXPECT_LT(rules.find("iifname \"docker0\" oifname \"fwbr\""),
            rules.find("oifname \"fwbr\" ip daddr"));

  // The engine's default bridge has another name than most have.
  ASSERT_TRUE(
      ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open, plain}, .docker_bridge = "own0"})
          .ok());
  const std::string others = run("nft list table ip weft");
  EXPECT_THAT(others, HasSubstr("iifname \"own0\" oifname \"fwbr\""));
  EXPECT_THAT(others, Not(HasSubstr("docker0")));

  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}).ok());
  EXPECT_THAT(run("nft list table ip weft"), Not(HasSubstr("10.32.0.0")));
  ASSERT_TRUE(remove_gateway_rules("fwbr").ok());
  EXPECT_THAT(run("nft list ruleset"), Not(HasSubstr("fwbr")));
}

TEST_F(FirewallTest, RulesAreOfTheFamiliesThatTheHostIsAGatewayOf) {
  const Cidr v6 = Cidr::parse("fd00:32::1/64").value();
  const Exposure open{.address = Cidr::parse("fd00:32:0:1::1/64").value()};

  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress, v6, open.address}, {.exposed = {open}}).ok());
  const std::string both = run("nft list ruleset");
  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}).ok());
  const std::string one = run("nft list ruleset");

  EXPECT_THAT(both, HasSubstr("ip6 saddr != fd00:32:0:1::/64 ip6 daddr fd00:32:0:1::/64 counter"));
  EXPECT_THAT(both, HasSubstr("table ip weft"));
  EXPECT_THAT(both, HasSubstr("table ip6 weft"));
  EXPECT_THAT(run("ip6tables -S"), Not(HasSubstr("incompatible")));
  EXPECT_THAT(one, HasSubstr("table ip weft"));
  EXPECT_THAT(one, Not(HasSubstr("ip6 weft")));
  ASSERT_TRUE(remove_gateway_rules("fwbr").ok());
  EXPECT_EQ(run("nft list ruleset"), "");
}

TEST_F(FirewallTest, AsManyRunsOfAddressesAsAllowedFitAndNoMore) {
  const Cidr v6 = Cidr::parse("fd00:32::1/64").value();
  std::vector<Exposure> exposed;
  std::vector<Cidr> addresses{kAddress, v6};
  std::vector<AddressRun> kept;
  for (int number = 0; number < 16; ++number) {
    exposed.push_back({.address = Cidr::parse(fmt::format("fd00:32:0:{}::1/64", number)).value()});
  }
  for (std::size_t number = 0; number < kKeptRunsMax; ++number) {
    kept.push_back({Ip::parse(fmt::format("fd00:32:0:1::{}:0", number + 1)).value(),
                    Ip::parse(fmt::format("fd00:32:0:1::{}:ff", number + 1)).value()});
  }

  ASSERT_TRUE(ensure_gateway_rules("fwbr", addresses, {.exposed = exposed, .kept = kept}).ok());
  const std::string rules = run("nft list table ip6 weft");
  EXPECT_EQ(count(rules, "exposed kept"), kKeptRunsMax);
  EXPECT_LT(rules.rfind("exposed kept"), rules.find("masquerade"));
  EXPECT_THAT(run("nft list table ip weft"), Not(HasSubstr("kept")));

  std::swap(kept.front(), kept.back());  // All are taken away and put in place anew.
  ASSERT_TRUE(ensure_gateway_rules("fwbr", addresses, {.exposed = exposed, .kept = kept}).ok());
  kept.push_back(kept.front());
  EXPECT_EQ(
      ensure_gateway_rules("fwbr", addresses, {.exposed = exposed, .kept = kept}).error().code,
      Errc::Exhausted);
}

TEST_F(FirewallTest, OrderIsMendedAfterSomebodyTookARule) {
  const Exposure open{.address = Cidr::parse("10.32.0.7/13").value()};
  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open}}).ok());
  const std::string before = run("nft -s list table ip weft");
  run("nft flush chain ip weft forward");
  run("nft add rule ip weft forward counter comment theirs");

  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open}}).ok());

  const std::string after = run("nft -s list table ip weft");
  EXPECT_THAT(after, HasSubstr("theirs"));
  EXPECT_LT(after.find("10.32.0.0/13"), after.rfind("drop"));
  run("nft delete table ip weft");
  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open}}).ok());
  EXPECT_EQ(run("nft -s list table ip weft"), before);
  ASSERT_TRUE(remove_gateway_rules("fwbr").ok());
}

TEST_F(FirewallTest, RefusesANameNoInterfaceCanHave) {
  for (const std::string name : {"", "sixteen-letters!"}) {
    const auto ensured = ensure_forward_accept(name);
    ASSERT_FALSE(ensured.ok());
    EXPECT_EQ(ensured.error().code, Errc::Invalid);
    EXPECT_FALSE(remove_forward_accept(name).ok());
  }
}

TEST_F(FirewallTest, SaysWhatToDoWhereIptablesLegacyIsInUse) {
  run("iptables-legacy -A FORWARD -j ACCEPT");

  const auto ensured = ensure_forward_accept("fwbr");

  ASSERT_FALSE(ensured.ok());
  EXPECT_EQ(ensured.error().code, Errc::Unavailable);
  EXPECT_THAT(ensured.error().what,
              HasSubstr("iptables-legacy -I FORWARD -i fwbr -o fwbr -j ACCEPT"));
  EXPECT_EQ(run("nft list ruleset"), "");
}

// Two containers behind one bridge of a host whose firewall forwards nothing, as Docker leaves it.
TEST_F(FirewallTest, TrafficPassesAgainUntilTheRuleIsRemoved) {
  run("ip link add name fwbr up type bridge");
  for (const std::string id : {"1", "2"}) {
    run("ip netns add weft-sys-fw" + id);
    run("ip link add name fw" + id + " type veth peer name eth0 netns weft-sys-fw" + id);
    run("ip link set dev fw" + id + " up master fwbr");
    run("ip -n weft-sys-fw" + id + " address add 192.0.2." + id + "/24 dev eth0");
    run("ip -n weft-sys-fw" + id + " link set dev eth0 up");
  }
  (void)succeeds("modprobe br_netfilter");  // Built into some kernels.
  run("sysctl -qw net.bridge.bridge-nf-call-iptables=1");
  run("iptables -P FORWARD DROP");
  const std::string ping = "ip netns exec weft-sys-fw1 ping -c1 -W1 192.0.2.2";
  EXPECT_FALSE(succeeds(ping)) << "the firewall drops it";

  ensure();
  EXPECT_TRUE(succeeds(ping));
  run("iptables -F FORWARD");
  EXPECT_FALSE(succeeds(ping)) << "a flush removed the rule";
  ensure();
  EXPECT_TRUE(succeeds(ping));
  remove();
  EXPECT_FALSE(succeeds(ping));

  run("ip netns del weft-sys-fw1");
  run("ip netns del weft-sys-fw2");
}

// A container behind the bridge of a host that is its gateway, a station beyond the host, and
// another bridge of the host that Docker keeps apart.
class GatewayTest : public FirewallTest {
 protected:
  GatewayTest() {
    run("ip link add name fwbr up type bridge; ip link add name docker0 up type bridge");
    add_station("weft-sys-gw1", "192.0.2.7/24", "192.0.2.1");
    run("ip link set dev gw1 up master fwbr");
    add_station("weft-sys-gw2", "198.51.100.2/24", "198.51.100.1");
    run("ip address add 198.51.100.1/24 dev gw2; ip link set dev gw2 up");
    add_station("weft-sys-gw3", "203.0.113.2/24", "203.0.113.1");
    run("ip link set dev gw3 up master docker0; ip address add 203.0.113.1/24 dev docker0");
    (void)succeeds("modprobe br_netfilter");  // Built into some kernels.
    run("sysctl -qw net.bridge.bridge-nf-call-iptables=1");
    // As Docker 20.10 leaves it.
    run("iptables -P FORWARD DROP");
    run("iptables -N DOCKER-USER; iptables -N DOCKER-ISOLATION-STAGE-2");
    run("iptables -A FORWARD -j DOCKER-USER");
    run("iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT");
    run("iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    run("iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP");
    const auto netdev = open_netdev();
    EXPECT_TRUE(netdev.ok()) << netdev.error().what;
    const Cidr gateway = Cidr::parse("192.0.2.1/24").value();
    EXPECT_TRUE(netdev.value()->ensure_gateway({.link = "fwbr", .addresses = {gateway}}).ok());
  }
  ~GatewayTest() override { run("for n in 1 2 3; do ip netns del weft-sys-gw$n; done"); }

  // "weft-sys-gw1" is at the other end of "gw1".
  static void add_station(const std::string& name,
                          const std::string& address,
                          const std::string& router) {
    const std::string link = name.substr(name.size() - 3);
    run("ip netns add " + name);
    run("ip link add name " + link + " type veth peer name eth0 netns " + name);
    run("ip -n " + name + " address add " + address + " dev eth0");
    run("ip -n " + name + " link set dev eth0 up");
    run("ip link set dev " + link + " up");
    run("ip -n " + name + " route add default via " + router);
  }
  static bool pings(const std::string& from, const std::string& to) {
    return succeeds("ip netns exec weft-sys-" + from + " ping -c1 -W1 " + to);
  }
  static void ensure_gateway() {
    const auto ensured = ensure_gateway_rules("fwbr", {kAddress});
    EXPECT_TRUE(ensured.ok()) << ensured.error().what;
  }
};

TEST_F(GatewayTest, AContainerReachesWhatLiesBeyondTheHostUnderTheHostsAddress) {
  EXPECT_FALSE(pings("gw1", "198.51.100.2")) << "the firewall drops it";
  // So that an answer can only go to the host itself.
  run("ip -n weft-sys-gw2 route del default");

  ensure_gateway();

  EXPECT_TRUE(pings("gw1", "198.51.100.2"));
  EXPECT_TRUE(pings("gw1", "192.0.2.1")) << "the gateway itself";
}

TEST_F(GatewayTest, NobodyBeyondTheHostReachesAContainerUninvited) {
  ensure_gateway();

  EXPECT_FALSE(pings("gw2", "192.0.2.7"));
  EXPECT_FALSE(pings("gw3", "192.0.2.7")) << "from another bridge of Docker's";
  run("iptables -t nat -A PREROUTING -d 198.51.100.1 -j DNAT --to-destination 192.0.2.7");
  EXPECT_TRUE(pings("gw2", "198.51.100.1")) << "what the host redirects is invited";
}

TEST_F(GatewayTest, WhoComesInKeepsItsAddressToTheContainersThatAreNamed) {
  const Exposure open{.address = kAddress};
  const auto ensure_kept = [&open](const std::string& first, const std::string& last) {
    const AddressRun run{Ip::parse(first).value(), Ip::parse(last).value()};
    const auto ensured =
        ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open}, .kept = {run}});
    EXPECT_TRUE(ensured.ok()) << ensured.error().what;
  };
  // So that the container can only answer to an address of its own subnet: the host's.
  run("ip -n weft-sys-gw1 route del default");

  ensure_kept("192.0.2.8", "192.0.2.255");
  EXPECT_TRUE(pings("gw2", "192.0.2.7")) << "as the host";
  ensure_kept("192.0.2.0", "192.0.2.6");
  EXPECT_TRUE(pings("gw2", "192.0.2.7")) << "as the host";
  ensure_kept("192.0.2.7", "192.0.2.7");
  EXPECT_FALSE(pings("gw2", "192.0.2.7")) << "as itself, which the container has no way to";
  run("ip -n weft-sys-gw1 route add 198.51.100.2 via 192.0.2.1");
  EXPECT_TRUE(pings("gw2", "192.0.2.7")) << "as itself";

  ASSERT_TRUE(ensure_gateway_rules("fwbr", {kAddress}, {.exposed = {open}}).ok());
  EXPECT_THAT(run("nft list table ip weft"), Not(HasSubstr("kept")));
}

TEST_F(GatewayTest, AContainerReachesNoOtherBridgeOfDockers) {
  ensure_gateway();

  EXPECT_FALSE(pings("gw1", "203.0.113.2"));
}

TEST_F(GatewayTest, WhatAnAdministratorForbidsStaysForbidden) {
  run("iptables -A DOCKER-USER -d 198.51.100.2 -j DROP");

  ensure_gateway();

  EXPECT_FALSE(pings("gw1", "198.51.100.2"));
}

TEST_F(GatewayTest, AFlushIsRepairedAndEnsuringTwiceChangesNothing) {
  ensure_gateway();
  const std::string rules = run("nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'");
  EXPECT_THAT(run("iptables -S"), Not(HasSubstr("incompatible")));

  ensure_gateway();
  EXPECT_EQ(run("nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'"), rules);

  run("nft delete table ip weft; iptables -F FORWARD");
  EXPECT_FALSE(pings("gw1", "198.51.100.2"));
  ensure_gateway();
  EXPECT_TRUE(pings("gw1", "198.51.100.2"));
}

TEST_F(GatewayTest, RemovingTheRulesLeavesWhatWasThere) {
  const std::string before = run("nft list ruleset");

  ensure_gateway();
  EXPECT_NE(run("nft list ruleset"), before);
  for (int times = 0; times < 2; ++times) {
    const auto removed = remove_gateway_rules("fwbr");
    EXPECT_TRUE(removed.ok()) << removed.error().what;
  }

  EXPECT_EQ(run("nft list ruleset"), before);
}

TEST_F(GatewayTest, AContainerWithIpv6GetsOutUnderTheHostsAddressAndNobodyGetsIn) {
  const Cidr v6 = Cidr::parse("fd00:32::1/64").value();
  const auto netdev = open_netdev();
  const std::vector<Cidr> both = {kAddress, v6};
  run("sysctl -qw net.ipv6.conf.gw2.accept_ra=1");
  ASSERT_TRUE(netdev.value()->ensure_gateway({.link = "fwbr", .addresses = both}).ok());
  run("ip6tables -P FORWARD DROP");
  run("ip -n weft-sys-gw1 address add fd00:32::7/64 dev eth0 nodad");
  run("ip -n weft-sys-gw1 route add default via fd00:32::1");
  run("ip -n weft-sys-gw2 address add fd00:99::2/64 dev eth0 nodad");
  run("ip address add fd00:99::1/64 dev gw2 nodad");

  const auto ensured = ensure_gateway_rules("fwbr", both);

  ASSERT_TRUE(ensured.ok()) << ensured.error().what;
  EXPECT_TRUE(pings("gw1", "fd00:99::2")) << "which has no way back but to the host";
  EXPECT_TRUE(pings("gw1", "fd00:32::1")) << "the gateway itself";
  run("ip -n weft-sys-gw2 route add default via fd00:99::1");
  EXPECT_FALSE(pings("gw2", "fd00:32::7"));
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/gw2/accept_ra"), "2\n");
}

}  // namespace
}  // namespace weft::sys
