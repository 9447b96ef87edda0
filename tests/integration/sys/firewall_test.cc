// sys/firewall.h in a namespace of its own, beside iptables-nft and real traffic over a bridge.
#include "sys/firewall.h"

#include <gmock/gmock.h>

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

TEST_F(FirewallTest, EnsuringTwiceMakesOneRule) {
  ensure();
  ensure();

  EXPECT_EQ(count(run("iptables -S"), "weft fwbr"), 1U);
  EXPECT_EQ(count(run("ip6tables -S"), "weft fwbr"), 1U);
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

}  // namespace
}  // namespace weft::sys
