// sys/nftables/policy_table.h in a namespace of its own, beside iptables-nft. What it does to real
// connections is tests/e2e/117_npc_2_test.sh.
#include "sys/nftables/policy_table.h"

#include <gmock/gmock.h>

#include "sys/firewall.h"
#include "sys/netns.h"
#include "tests/integration/sys/command.h"

namespace weft::sys {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Ip ip(const std::string& text) {
  return Ip::parse(text).value();
}

class PolicyTableTest : public ::testing::Test {
 protected:
  PolicyTableTest() {
    const auto entered = enter_new_namespace();
    EXPECT_TRUE(entered.ok()) << entered.error().what;
    run("mount -t tmpfs none /run");  // Keeps the lock of iptables from the host.
    auto opened =
        PolicyTable::open({.bridge = "npcbr", .overlay_ports = {"npcbr-vx", "npcbr-tap"}});
    EXPECT_TRUE(opened.ok());
    table_ = std::move(opened).value();
  }

  static std::string table(const std::string& family) {
    return run("nft list table " + family + " weft-npc");
  }
  void replace(const PolicyChanges& changes) {
    const auto done = table_->replace(changes);
    ASSERT_TRUE(done.ok()) << done.error().what;
  }
  void apply(const PolicyChanges& changes) {
    const auto done = table_->apply(changes);
    ASSERT_TRUE(done.ok()) << done.error().what;
  }

  std::unique_ptr<PolicyTable> table_;
};

// A pod of each family, chosen by a policy with a rule of every kind, and one that none chooses.
PolicyChanges everything() {
  PolicyChanges all;
  all.groups_made = {"clients"};
  all.groups["clients"].added = {ip("10.0.0.2"), ip("fd00::2")};
  all.services_made = {"http"};
  all.services["http"].added = {{ip("10.0.0.1"), PolicyProtocol::Tcp, 8080},
                                {ip("fd00::1"), PolicyProtocol::Tcp, 8080}};
  all.blocks_made["outside"] = {{ip("192.0.2.0"), ip("192.0.2.9")},
                                {ip("192.0.2.20"), ip("255.255.255.255")}};
  all.blocks_made["outside6"] = {{ip("2001:db8::"), ip("2001:db8::ffff")}};
  all.blocks_made["nobody"] = {};
  all.chains["a ingress"] = {
      PolicyDirection::Ingress,
      {{.group = "clients", .ports = PolicyPorts{PolicyProtocol::Tcp, 80, 80}, .comment = "one"},
       {.blocks = "outside", .ports = PolicyPorts{PolicyProtocol::Udp, 1, 9}},
       {.blocks = "outside6"},
       {.blocks = "nobody"},
       {.ports = PolicyPorts{PolicyProtocol::Sctp}},
       {.services = "http", .comment = std::string(300, 'c')}}};
  all.chains["a egress"] = {PolicyDirection::Egress, {}};
  all.ingress[ip("10.0.0.1")] = PolicyProfile{"a ingress"};
  all.ingress[ip("fd00::1")] = PolicyProfile{"a ingress"};
  all.ingress[ip("10.0.0.2")] = PolicyProfile();
  all.egress[ip("10.0.0.1")] = PolicyProfile{"a egress"};
  all.closes_egress = true;
  return all;
}

TEST_F(PolicyTableTest, KnowsWhetherAnybodyElseChangedRules) {
  replace(everything());
  EXPECT_TRUE(table_->is_alone().value());
  PolicyChanges more;
  more.egress[ip("10.0.0.9")] = PolicyProfile();
  apply(more);
  ASSERT_TRUE(table_->ensure_verdicts().ok());
  ASSERT_TRUE(table_->ensure_verdicts().ok());
  EXPECT_TRUE(table_->is_alone().value());

  run("nft add table ip others");
  EXPECT_FALSE(table_->is_alone().value());
  apply({.egress = {{ip("10.0.0.8"), PolicyProfile()}}});
  EXPECT_FALSE(table_->is_alone().value());
  replace(everything());
  EXPECT_TRUE(table_->is_alone().value());
}

TEST_F(PolicyTableTest, PutsEverythingInPlaceInBothFamilies) {
  replace(everything());

  const std::string v4 = table("ip");
  EXPECT_THAT(v4, HasSubstr("type filter hook forward priority filter - 6; policy accept;"));
  EXPECT_THAT(v4, HasSubstr("type filter hook forward priority filter - 5; policy accept;"));
  EXPECT_THAT(v4, HasSubstr("10.0.0.1 : goto pod-"));
  EXPECT_THAT(v4, HasSubstr("10.0.0.2 : goto allow-ingress"));
  EXPECT_THAT(v4, HasSubstr("192.0.2.0-192.0.2.9"));
  EXPECT_THAT(v4, HasSubstr("192.0.2.20-255.255.255.255"));
  EXPECT_THAT(v4, HasSubstr("10.0.0.1 . tcp . 8080"));
  EXPECT_THAT(v4, HasSubstr("udp dport 1-9"));
  EXPECT_THAT(v4, HasSubstr("tcp dport 80"));
  EXPECT_THAT(v4, HasSubstr("ip daddr . meta l4proto . th dport @services-"));
  const std::string v6 = table("ip6");
  EXPECT_THAT(v6, HasSubstr("fd00::1 : goto pod-"));
  EXPECT_THAT(v6, HasSubstr("2001:db8::/112"));
  EXPECT_THAT(v6, HasSubstr("fd00::1 . tcp . 8080"));
}

TEST_F(PolicyTableTest, ReplacesAllThereWas) {
  replace(everything());
  replace(everything());
  PolicyChanges nothing;
  nothing.closes_egress = false;
  replace(nothing);

  EXPECT_THAT(table("ip"), Not(HasSubstr("10.0.0.1")));
  EXPECT_THAT(table("ip"), Not(HasSubstr("policy-")));
}

TEST_F(PolicyTableTest, GoesOnStepByStep) {
  replace(everything());
  PolicyChanges step;
  step.groups["clients"] = {.added = {ip("10.0.0.3")}, .removed = {ip("10.0.0.2")}};
  step.chains["a ingress"] = {PolicyDirection::Ingress, {{.group = "clients"}}};
  step.blocks_removed = {"outside", "outside6", "nobody"};
  step.services_removed = {"http"};
  step.ingress[ip("10.0.0.2")] = PolicyProfile{"a ingress"};
  step.ingress[ip("fd00::1")] = std::nullopt;
  apply(step);

  EXPECT_THAT(table("ip"), HasSubstr("10.0.0.3"));
  EXPECT_THAT(table("ip"), Not(HasSubstr("192.0.2")));
  EXPECT_THAT(table("ip"), Not(HasSubstr("services-")));
  EXPECT_THAT(table("ip"), HasSubstr("10.0.0.2 : goto pod-"));

  // The names are made anew in the step that removes them, and the policy goes.
  PolicyChanges last;
  last.groups_removed = {"clients"};
  last.groups_made = {"clients"};
  last.groups["clients"].added = {ip("10.0.0.9")};
  last.chains_removed = {"a ingress", "a egress"};
  last.ingress[ip("10.0.0.1")] = PolicyProfile();
  last.ingress[ip("10.0.0.2")] = PolicyProfile();
  last.egress[ip("10.0.0.1")] = PolicyProfile();
  last.closes_egress = false;
  apply(last);

  EXPECT_THAT(table("ip"), Not(HasSubstr("policy-")));
  EXPECT_THAT(table("ip"), Not(HasSubstr("goto pod-")));
  EXPECT_THAT(table("ip"), HasSubstr("10.0.0.9"));
}

TEST_F(PolicyTableTest, TakesTenThousandPodsAtOnce) {
  PolicyChanges all = everything();
  for (std::uint32_t number = 0; number < 10'000; ++number) {
    const Ip address = Ipv4(0x0a010000U + number);
    all.groups["clients"].added.push_back(address);
    all.ingress[address] = number % 2 == 0 ? PolicyProfile() : PolicyProfile{"a ingress"};
  }
  replace(all);

  EXPECT_THAT(table("ip"), HasSubstr("10.1.39.15 : goto pod-"));
}

TEST_F(PolicyTableTest, FillsTheChainsAsIptablesCanReadThem) {
  replace(everything());
  EXPECT_FALSE(table_->has_hooks().value());
  ASSERT_TRUE(ensure_policy_hooks("npcbr").ok());
  run("iptables -A WEAVE-NPC -j ACCEPT");  // Of another controller.

  ASSERT_TRUE(table_->ensure_verdicts().ok());
  ASSERT_TRUE(table_->ensure_verdicts().ok());

  EXPECT_TRUE(table_->has_hooks().value());
  for (const std::string iptables : {"iptables", "ip6tables"}) {
    const std::string rules = run(iptables + " -S");
    EXPECT_THAT(rules, Not(HasSubstr("-A WEAVE-NPC -j ACCEPT")));
    EXPECT_THAT(rules, HasSubstr("-A WEAVE-NPC -m mark --mark 0x80000/0x80000"));
    EXPECT_THAT(rules, HasSubstr("-A WEAVE-NPC-EGRESS -m mark --mark 0x40000/0x40000"));
    EXPECT_THAT(rules,
                HasSubstr("-A WEAVE-NPC-EGRESS -m comment --comment \"weft npc drop\" -j DROP"));
    EXPECT_THAT(rules, Not(HasSubstr("incompatible")));
  }

  ASSERT_TRUE(remove_policy_table().ok());
  ASSERT_TRUE(remove_policy_hooks("npcbr").ok());
  EXPECT_THAT(run("nft list ruleset"), Not(HasSubstr("weft-npc")));
}

TEST_F(PolicyTableTest, ASecondControllerTakesOverFromTheFirst) {
  replace(everything());
  auto second = PolicyTable::open({.bridge = "npcbr", .overlay_ports = {}});
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(second.value()->replace(everything()).ok());

  // What the first knows of the kernel no longer holds; a failure is no half change.
  PolicyChanges step;
  step.groups["clients"].removed = {ip("10.9.9.9")};
  step.groups["clients"].added = {ip("10.8.8.8")};
  EXPECT_FALSE(table_->apply(step).ok());
  EXPECT_THAT(table("ip"), Not(HasSubstr("10.8.8.8")));
  replace(everything());
}

}  // namespace
}  // namespace weft::sys
