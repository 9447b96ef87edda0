// What the compiler says, against what the objects say.
#include "policy/compile.h"

#include <array>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/rng.h"
#include "policy/ip_block.h"
#include "tests/unit/policy/filter.h"

namespace weft::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Ip ip(const std::string& text) {
  return Ip::parse(text).value();
}

Selector with_label(const std::string& key, const std::string& value) {
  return {{{.key = key, .op = Requirement::Operator::In, .values = {value}}}};
}

Pod pod(const std::string& name, const std::string& address, Labels labels) {
  return {.id = {"shop", name}, .labels = std::move(labels), .addresses = {ip(address)}};
}

// Pods app=web are reached by those with app=client alone, on port 80.
Policy web_policy() {
  return {.id = {"shop", "web"},
          .pods = with_label("app", "web"),
          .ingress = {{{.peers = {PodPeer{.pods = with_label("app", "client")}},
                        .ports = {PolicyPorts{PolicyProtocol::Tcp, 80, 80}}}}}};
}

class CompilerTest : public ::testing::Test {
 protected:
  CompilerTest() {
    compiler_.set(Namespace{.name = "shop"});
    compiler_.set(pod("web", "10.0.0.1", {{"app", "web"}}));
    compiler_.set(pod("client", "10.0.0.2", {{"app", "client"}}));
    compiler_.set(pod("other", "10.0.0.3", {{"app", "other"}}));
    filter_.apply(compiler_.take_changes());
  }

  bool may_enter(const std::string& from, const std::string& to, std::uint16_t port) {
    return filter_.may_enter({ip(from), ip(to), PolicyProtocol::Tcp, port});
  }
  bool may_leave(const std::string& from, const std::string& to, std::uint16_t port) {
    return filter_.may_leave({ip(from), ip(to), PolicyProtocol::Tcp, port});
  }

  Compiler compiler_;
  Filter filter_;
};

TEST_F(CompilerTest, LetsEverybodyInWithoutPolicies) {
  EXPECT_TRUE(may_enter("10.0.0.3", "10.0.0.1", 80));
  EXPECT_TRUE(may_enter("192.0.2.1", "10.0.0.1", 9));
  EXPECT_FALSE(may_enter("10.0.0.1", "10.0.0.9", 80)) << "nobody knows that address";
  EXPECT_TRUE(may_leave("10.0.0.9", "10.0.0.1", 80)) << "no policy is about egress";
}

TEST_F(CompilerTest, IsolatesThePodsAPolicyChooses) {
  compiler_.set(web_policy());
  filter_.apply(compiler_.take_changes());

  EXPECT_TRUE(may_enter("10.0.0.2", "10.0.0.1", 80));
  EXPECT_FALSE(may_enter("10.0.0.2", "10.0.0.1", 81));
  EXPECT_FALSE(may_enter("10.0.0.3", "10.0.0.1", 80));
  EXPECT_TRUE(may_enter("10.0.0.3", "10.0.0.2", 80)) << "no policy chooses it";
}

TEST_F(CompilerTest, ClosesEgressOfUnknownAddressesWithTheFirstEgressPolicy) {
  compiler_.set(Policy{
      .id = {"shop", "out"}, .pods = with_label("app", "other"), .egress = std::vector<Rule>()});
  filter_.apply(compiler_.take_changes());

  EXPECT_FALSE(may_leave("10.0.0.3", "10.0.0.1", 80));
  EXPECT_TRUE(may_leave("10.0.0.2", "10.0.0.1", 80));
  EXPECT_FALSE(may_leave("10.0.0.9", "10.0.0.1", 80));

  compiler_.remove_policy({"shop", "out"});
  filter_.apply(compiler_.take_changes());
  EXPECT_TRUE(may_leave("10.0.0.9", "10.0.0.1", 80));
}

TEST_F(CompilerTest, ALabelCostsWhatItChanges) {
  compiler_.set(web_policy());
  compiler_.set(Policy{.id = {"shop", "same"},
                       .pods = with_label("app", "web"),
                       .ingress = {{{.peers = {PodPeer{.pods = with_label("app", "client")}}}}}});
  (void)compiler_.take_changes();

  compiler_.set(pod("other", "10.0.0.3", {{"app", "client"}}));
  const PolicyChanges changes = compiler_.take_changes();

  ASSERT_THAT(changes.groups, SizeIs(1)) << "both policies share one group";
  EXPECT_THAT(changes.groups.begin()->second.added, ElementsAre(ip("10.0.0.3")));
  EXPECT_THAT(changes.groups.begin()->second.removed, IsEmpty());
  EXPECT_THAT(changes.chains, IsEmpty());
  EXPECT_THAT(changes.ingress, IsEmpty());
  EXPECT_TRUE(compiler_.take_changes().empty());
  compiler_.set(pod("other", "10.0.0.3", {{"app", "client"}}));
  EXPECT_TRUE(compiler_.take_changes().empty()) << "it came twice";
}

TEST_F(CompilerTest, ReplacesAPolicyInOneStep) {
  compiler_.set(web_policy());
  filter_.apply(compiler_.take_changes());
  Policy changed = web_policy();
  changed.ingress->front().ports = {PolicyPorts{PolicyProtocol::Tcp, 81, 90}};
  compiler_.set(changed);
  const PolicyChanges changes = compiler_.take_changes();
  filter_.apply(changes);

  EXPECT_THAT(changes.chains, SizeIs(1));
  EXPECT_THAT(changes.groups_made, IsEmpty());
  EXPECT_THAT(changes.ingress, IsEmpty());
  EXPECT_FALSE(may_enter("10.0.0.2", "10.0.0.1", 80));
  EXPECT_TRUE(may_enter("10.0.0.2", "10.0.0.1", 90));
}

TEST_F(CompilerTest, ResolvesANamedPortByThePodItGoesTo) {
  Pod web = pod("web", "10.0.0.1", {{"app", "web"}});
  web.ports = {{"http", PolicyProtocol::Tcp, 8080}};
  Pod second = pod("second", "10.0.0.4", {{"app", "web"}});
  second.ports = {{"http", PolicyProtocol::Tcp, 9090}};
  compiler_.set(web);
  compiler_.set(second);
  Policy policy = web_policy();
  policy.ingress->front().ports = {PortName{PolicyProtocol::Tcp, "http"}};
  compiler_.set(policy);
  filter_.apply(compiler_.take_changes());

  EXPECT_TRUE(may_enter("10.0.0.2", "10.0.0.1", 8080));
  EXPECT_FALSE(may_enter("10.0.0.2", "10.0.0.1", 9090));
  EXPECT_TRUE(may_enter("10.0.0.2", "10.0.0.4", 9090));
  EXPECT_FALSE(may_enter("10.0.0.3", "10.0.0.1", 8080));
}

TEST_F(CompilerTest, ClosesAPolicyOfTooManyRules) {
  Policy policy = web_policy();
  for (std::size_t count = 0; count <= kRulesMax; ++count) {
    policy.ingress->front().ports.push_back(PolicyPorts{PolicyProtocol::Udp, 1, 2});
  }
  compiler_.set(policy);
  filter_.apply(compiler_.take_changes());

  EXPECT_FALSE(may_enter("10.0.0.2", "10.0.0.1", 80));
  EXPECT_EQ(compiler_.stats().over_limit, 1U);
}

// What a tenant can write in a megabyte must not be multiplied out first.
TEST_F(CompilerTest, MakesNothingOfAPolicyOfTooManyRules) {
  const std::size_t groups = compiler_.stats().groups;
  Policy policy = web_policy();
  Rule& rule = policy.ingress->front();
  rule.peers.clear();
  for (std::uint16_t count = 0; count < 100; ++count) {
    const std::string name = std::to_string(count);
    rule.peers.emplace_back(
        PodPeer{.pods = {{{.key = "app", .op = Requirement::Operator::In, .values = {name}}}}});
    rule.ports.emplace_back(PolicyPorts{PolicyProtocol::Udp, count, count});
  }
  compiler_.set(policy);

  EXPECT_EQ(compiler_.stats().groups, groups);
  EXPECT_EQ(compiler_.stats().over_limit, 1U);
}

TEST(PolicyBlocks, AreRangesWithoutTheExceptions) {
  const auto cidr = [](const std::string& text) { return Cidr::parse(text).value(); };

  EXPECT_THAT(
      ranges_of({.block = cidr("10.0.0.0/8"),
                 .except = {cidr("10.1.0.0/16"), cidr("10.0.0.0/24"), cidr("10.1.2.0/24")}}),
      ElementsAre(PolicyRange{ip("10.0.1.0"), ip("10.0.255.255")},
                  PolicyRange{ip("10.2.0.0"), ip("10.255.255.255")}));
  EXPECT_THAT(ranges_of({.block = cidr("0.0.0.0/0"), .except = {cidr("128.0.0.0/1")}}),
              ElementsAre(PolicyRange{ip("0.0.0.0"), ip("127.255.255.255")}));
  EXPECT_THAT(ranges_of({.block = cidr("10.0.0.0/24"), .except = {cidr("10.0.0.0/24")}}),
              IsEmpty());
  EXPECT_THAT(ranges_of({.block = cidr("fd00::/127"), .except = {cidr("10.0.0.0/8")}}),
              ElementsAre(PolicyRange{ip("fd00::"), ip("fd00::1")}));
}

// --- any cluster ---------------------------------------------------------------------------------

constexpr std::array kSpaces{"red", "green", "blue"};
constexpr std::array kProtocols{PolicyProtocol::Tcp, PolicyProtocol::Udp, PolicyProtocol::Sctp};
constexpr std::uint32_t kAddresses = 6;
constexpr std::uint16_t kPorts = 4;

class RandomCluster {
 public:
  explicit RandomCluster(std::uint64_t seed) : rng_(seed) {}

  void step() {
    switch (rng_.below(8)) {
      case 0:
      case 1:
      case 2:
        return set_pod();
      case 3:
        return remove_pod();
      case 4:
        return set_namespace();
      case 5:
      case 6:
        return set_policy();
      default:
        return remove_something();
    }
  }

  void apply_and_compare() {
    filter.apply(compiler.take_changes());
    compiler.check_invariants();
    for (std::uint32_t from = 0; from < 2 * kAddresses + 2; ++from) {
      for (std::uint32_t to = 0; to < 2 * kAddresses + 2; ++to) {
        compare(address(from), address(to));
      }
    }
  }

  Filter of_everything() {
    Filter made;
    made.apply(compiler.take_everything());
    return made;
  }

  Compiler compiler;
  Filter filter;

 private:
  static Ip address(std::uint32_t number) {
    return number % 2 == 0 ? ip(fmt::format("10.0.0.{}", number / 2))
                           : ip(fmt::format("fd00::{}", number / 2));
  }

  void compare(const Ip& from, const Ip& to) {
    for (const PolicyProtocol protocol : kProtocols) {
      for (std::uint16_t port = 1; port <= kPorts; ++port) {
        const Packet packet{from, to, protocol, port};
        ASSERT_EQ(filter.may_enter(packet), objects_.may_enter(packet))
            << from.to_string() << " " << to.to_string() << " " << port;
        ASSERT_EQ(filter.may_leave(packet), objects_.may_leave(packet))
            << from.to_string() << " " << to.to_string() << " " << port;
      }
    }
  }

  std::string space() { return kSpaces[rng_.below(kSpaces.size())]; }
  std::string word() { return std::string(1, static_cast<char>('a' + rng_.below(3))); }
  std::uint16_t port() { return static_cast<std::uint16_t>(1 + rng_.below(kPorts)); }
  PolicyProtocol protocol() { return kProtocols[rng_.below(kProtocols.size())]; }

  Labels labels() {
    Labels made;
    for (std::uint32_t count = rng_.below(3); count > 0; --count) {
      made[word()] = word();
    }
    return made;
  }

  Selector selector() {
    Selector made;
    for (std::uint32_t count = rng_.below(3); count > 0; --count) {
      Requirement one{.key = word(), .op = static_cast<Requirement::Operator>(rng_.below(4))};
      if (one.op == Requirement::Operator::In || one.op == Requirement::Operator::NotIn) {
        one.values = {rng_.chance(50) ? "a" : "b", "c"};
      }
      made.requirements.push_back(one);
    }
    return made;
  }

  Peer peer() {
    if (rng_.chance(25)) {
      const bool is_v4 = rng_.chance(50);
      IpBlock block{.block = Cidr(address(rng_.below(2 * kAddresses) / 2 * 2 + (is_v4 ? 0 : 1)),
                                  is_v4 ? 29 : 125)
                                 .network()};
      if (rng_.chance(50)) {
        block.except.push_back(
            Cidr(address(rng_.below(2 * kAddresses) / 2 * 2 + (is_v4 ? 0 : 1)), is_v4 ? 31 : 127)
                .network());
      }
      return block;
    }
    PodPeer made{.pods = selector()};
    if (rng_.chance(50)) {
      made.spaces = selector();
    }
    return made;
  }

  Port any_port() {
    if (rng_.chance(40)) {
      return PortName{protocol(), word()};
    }
    const std::uint16_t first = port();
    return PolicyPorts{protocol(), first, std::max(first, port())};
  }

  std::vector<Rule> rules() {
    std::vector<Rule> made(rng_.below(3));
    for (Rule& rule : made) {
      for (std::uint32_t count = rng_.below(3); count > 0; --count) {
        rule.peers.push_back(peer());
      }
      for (std::uint32_t count = rng_.below(3); count > 0; --count) {
        rule.ports.push_back(any_port());
      }
    }
    return made;
  }

  void set_pod() {
    Pod made{.id = {space(), word()}, .labels = labels()};
    for (std::uint32_t count = rng_.below(3); count > 0; --count) {
      made.addresses.push_back(address(rng_.below(2 * kAddresses)));
    }
    for (std::uint32_t count = rng_.below(3); count > 0; --count) {
      made.ports.push_back({word(), protocol(), port()});
    }
    objects_.pods[made.id] = made;
    compiler.set(made);
  }
  void remove_pod() {
    const ObjectName id{space(), word()};
    objects_.pods.erase(id);
    compiler.remove_pod(id);
  }
  void set_namespace() {
    const Namespace made{.name = space(), .labels = labels()};
    objects_.namespaces[made.name] = made;
    compiler.set(made);
  }
  void set_policy() {
    Policy made{.id = {space(), word()}, .pods = selector()};
    if (rng_.chance(70)) {
      made.ingress = rules();
    }
    if (rng_.chance(50)) {
      made.egress = rules();
    }
    objects_.policies[made.id] = made;
    compiler.set(made);
  }
  void remove_something() {
    if (rng_.chance(30)) {
      const std::string name = space();
      objects_.namespaces.erase(name);
      compiler.remove_namespace(name);
      return;
    }
    const ObjectName id{space(), word()};
    objects_.policies.erase(id);
    compiler.remove_policy(id);
  }

  Rng rng_;
  Objects objects_;
};

TEST(PolicyScenario, TheFilterSaysWhatTheObjectsSayWhateverHappens) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomCluster cluster(seed);
    for (int step = 0; step < 12; ++step) {
      for (std::uint64_t more = 0; more <= seed % 4; ++more) {
        cluster.step();
      }
      cluster.apply_and_compare();
      if (::testing::Test::HasFatalFailure()) {
        return;
      }
    }
    // Step by step or at once, it is the same.
    EXPECT_EQ(cluster.of_everything(), cluster.filter);
  }
}

}  // namespace
}  // namespace weft::policy
