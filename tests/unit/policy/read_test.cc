#include "policy/read.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace weft::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

Object read_one(Kind kind, const std::string& object) {
  const auto event = read_event(kind, fmt::format(R"({{"type":"ADDED","object":{}}})", object));
  EXPECT_TRUE(event.ok()) << event.error().what;
  EXPECT_EQ(event.value().problem, "");
  return event.value().object.value();
}

WatchEvent read_policy(const std::string& spec) {
  const auto event = read_event(
      Kind::Policies,
      fmt::format(
          R"({{"type":"MODIFIED","object":{{"metadata":{{"namespace":"n","name":"p","resourceVersion":"7"}},"spec":{}}}}})",
          spec));
  EXPECT_TRUE(event.ok()) << event.error().what;
  return event.value();
}

Policy policy_of(const std::string& spec) {
  const WatchEvent event = read_policy(spec);
  EXPECT_EQ(event.problem, "");
  return std::get<Policy>(event.object.value());
}

TEST(PolicyRead, APodHasItsAddressesLabelsAndNamedPorts) {
  const Object object = read_one(Kind::Pods, R"({
    "metadata":{"name":"web-0","namespace":"shop","labels":{"app":"web"}},
    "spec":{"containers":[{"ports":[{"name":"http","containerPort":8080},{"containerPort":1},
                                    {"name":"dns","containerPort":53,"protocol":"UDP"}]}]},
    "status":{"phase":"Running","podIP":"10.32.0.5","podIPs":[{"ip":"10.32.0.5"},{"ip":"fd00::5"}]}})");

  EXPECT_EQ(
      std::get<Pod>(object),
      (Pod{.id = {"shop", "web-0"},
           .labels = {{"app", "web"}},
           .addresses = {Ip::parse("10.32.0.5").value(), Ip::parse("fd00::5").value()},
           .ports = {{"http", PolicyProtocol::Tcp, 8080}, {"dns", PolicyProtocol::Udp, 53}}}));
}

TEST(PolicyRead, APodOnTheHostsNetworkOrThatHasEndedHasNoAddress) {
  for (const std::string rest : {R"("spec":{"hostNetwork":true},"status":{"podIP":"10.0.0.1"})",
                                 R"("status":{"phase":"Succeeded","podIP":"10.0.0.1"})",
                                 R"("status":{"phase":"Failed","podIP":"10.0.0.1"})",
                                 R"("status":{"phase":"Pending"})"}) {
    const Object object =
        read_one(Kind::Pods, R"({"metadata":{"name":"p","namespace":"n"},)" + rest + "}");
    EXPECT_THAT(std::get<Pod>(object).addresses, IsEmpty()) << rest;
  }
}

TEST(PolicyRead, APolicyOfEveryKindOfPeerAndPort) {
  const Policy policy = policy_of(R"({
    "podSelector":{"matchLabels":{"app":"web"}},
    "policyTypes":["Ingress","Egress"],
    "ingress":[{"from":[{"podSelector":{"matchExpressions":[{"key":"tier","operator":"NotIn","values":["b","a"]}]}},
                        {"namespaceSelector":{},"podSelector":{}},
                        {"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}],
                "ports":[{"port":80},{"protocol":"UDP","port":"dns"},{"protocol":"SCTP","port":1,"endPort":9},{}]}],
    "egress":[{}]})");

  EXPECT_EQ(policy.pods.requirements,
            (std::vector<Requirement>{
                {.key = "app", .op = Requirement::Operator::In, .values = {"web"}}}));
  ASSERT_TRUE(policy.ingress && policy.egress);
  const Rule& rule = policy.ingress->front();
  ASSERT_THAT(rule.peers, SizeIs(3));
  EXPECT_EQ(
      rule.peers[0],
      Peer(PodPeer{
          .pods = {{{.key = "tier", .op = Requirement::Operator::NotIn, .values = {"a", "b"}}}}}));
  EXPECT_EQ(rule.peers[1], Peer(PodPeer{.spaces = Selector()}));
  EXPECT_EQ(rule.peers[2],
            Peer(IpBlock{.block = Cidr::parse("10.0.0.0/8").value(),
                         .except = {Cidr::parse("10.1.0.0/16").value()}}));
  EXPECT_THAT(rule.ports,
              ElementsAre(Port(PolicyPorts{PolicyProtocol::Tcp, 80, 80}),
                          Port(PortName{PolicyProtocol::Udp, "dns"}),
                          Port(PolicyPorts{PolicyProtocol::Sctp, 1, 9}),
                          Port(PolicyPorts{PolicyProtocol::Tcp, 0, 65535})));
  EXPECT_EQ(*policy.egress, std::vector<Rule>(1));
}

TEST(PolicyRead, WithoutTypesAPolicyIsAboutIngressAndAboutEgressIfItHasRules) {
  EXPECT_EQ(policy_of(R"({"podSelector":{}})").ingress, std::vector<Rule>());
  EXPECT_EQ(policy_of(R"({"podSelector":{}})").egress, std::nullopt);
  EXPECT_THAT(policy_of(R"({"podSelector":{},"egress":[{}]})").egress, Optional(SizeIs(1)));
  EXPECT_EQ(policy_of(R"({"podSelector":{},"policyTypes":["Egress"]})").ingress, std::nullopt);
  EXPECT_EQ(policy_of(R"({"podSelector":{},"policyTypes":["Egress"]})").egress,
            std::vector<Rule>());
}

TEST(PolicyRead, WhatCannotBeReadLetsNothingThrough) {
  for (const std::string rules : {
           R"([{"from":[{}]}])",
           R"([{"from":[{"fqdn":"example.com"}]}])",
           R"([{"from":[{"ipBlock":{"cidr":"10.0.0.0/33"}}]}])",
           R"([{"from":[{"ipBlock":{"cidr":"10.0.0.0/8"},"podSelector":{}}]}])",
           R"([{"from":[{"podSelector":{"matchExpressions":[{"key":"a","operator":"Like"}]}}]}])",
           R"([{"from":[{"podSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}}]}])",
           R"([{"from":{}}])",
           R"([{"ports":[{"protocol":"ICMP"}]}])",
           R"([{"ports":[{"port":70000}]}])",
           R"([{"ports":[{"port":9,"endPort":8}]}])",
           R"([{"ports":[{"endPort":8}]},3])",
           R"("all")",
       }) {
    const WatchEvent event = read_policy(R"({"podSelector":{},"ingress":)" + rules + "}");
    ASSERT_TRUE(event.object) << rules;
    EXPECT_EQ(std::get<Policy>(*event.object).ingress, std::vector<Rule>()) << rules;
    EXPECT_THAT(event.problem, HasSubstr("ingress")) << rules;
  }
}

TEST(PolicyRead, APolicyThatDoesNotSayWhomItIsAboutIsLeftOut) {
  const WatchEvent event = read_policy(R"({"podSelector":{"matchLabels":{"a":1}}})");

  EXPECT_EQ(event.object, std::nullopt);
  EXPECT_NE(event.problem, "");
  EXPECT_EQ(event.resource_version, "7");
}

TEST(PolicyRead, AListTellsItsVersionWhatIsBehindItAndWhatItCouldNotRead) {
  const auto page = read_list(Kind::Namespaces, R"({
    "kind":"NamespaceList","metadata":{"resourceVersion":"12","continue":"abc"},
    "items":[{"metadata":{"name":"shop","labels":{"team":"a"}}},{"metadata":{}},7]})");

  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page.value().resource_version, "12");
  EXPECT_EQ(page.value().continuation, "abc");
  EXPECT_THAT(page.value().objects,
              ElementsAre(Object(Namespace{.name = "shop", .labels = {{"team", "a"}}})));
  EXPECT_THAT(page.value().problems, SizeIs(2));
  EXPECT_TRUE(read_list(Kind::Pods, R"({"metadata":{"resourceVersion":"1"},"items":null})").ok());
  EXPECT_FALSE(read_list(Kind::Pods, R"({"items":[]})").ok());
  EXPECT_FALSE(read_list(Kind::Pods, "[]").ok());
}

TEST(PolicyRead, EventsThatAreNoObjects) {
  const auto bookmark = read_event(
      Kind::Pods,
      R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9"}}})");
  EXPECT_EQ(bookmark.value().type, WatchEvent::Type::Bookmark);
  EXPECT_EQ(bookmark.value().resource_version, "9");
  EXPECT_EQ(read_event(Kind::Pods, R"({"type":"ERROR","object":{"kind":"Status","code":410}})")
                .value()
                .type,
            WatchEvent::Type::Expired);
  EXPECT_EQ(read_event(Kind::Pods, R"({"type":"ERROR","object":{"kind":"Status","code":500}})")
                .value()
                .type,
            WatchEvent::Type::Failed);
  const auto gone = read_event(
      Kind::Pods, R"({"type":"DELETED","object":{"metadata":{"name":"a","namespace":"b"}}})");
  EXPECT_EQ(gone.value().type, WatchEvent::Type::Removed);
  EXPECT_EQ(gone.value().id, (ObjectName{"b", "a"}));
  EXPECT_FALSE(read_event(Kind::Pods, R"({"type":"DANCED","object":{}})").ok());
  EXPECT_FALSE(read_event(Kind::Pods, R"({"type":"ADDED"})").ok());
}

}  // namespace
}  // namespace weft::policy
