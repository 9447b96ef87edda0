#include "app/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/cluster.h"
#include "tests/unit/probe/random_report.h"

namespace weft::app {
namespace {

using probe::HostReport;
using probe::Report;
using testing::SizeIs;
using enum probe::Direction;

Party party(PeerName host, const std::string& container, std::uint32_t pid) {
  return {.host = host, .container = container, .pid = pid};
}

Report report_of(const std::vector<HostReport>& hosts) {
  Report report;
  for (const HostReport& host : hosts) {
    report.merge(host);
  }
  return report;
}

TEST(Graph, JoinsBothEndsOfAConnectionAcrossHosts) {
  const Edges edges = resolve_edges(cluster());

  const EdgeKey key{party(kHost1, kWeb, 100), party(kHost2, kDb, 100), Transport::Tcp, 5432};
  ASSERT_TRUE(edges.contains(key));
  EXPECT_EQ(edges.at(key).count, 4U);
  EXPECT_EQ(edges.at(key).sent_per_second, 100U);
  EXPECT_EQ(edges.at(key).received_per_second, 900U);
}

TEST(Graph, DoesNotCountAConnectionTwiceThatBothEndsReport) {
  const Edges edges = resolve_edges(cluster());

  EXPECT_THAT(edges, SizeIs(3));  // To the database, from outside, to outside.
}

TEST(Graph, ShowsClientsAndServersOutsideAsTheInternet) {
  const Edges edges = resolve_edges(cluster());
  const Party outside{.kind = Party::Kind::Internet};

  EXPECT_TRUE(edges.contains({outside, party(kHost1, kWeb, 100), Transport::Tcp, 80}));
  EXPECT_TRUE(edges.contains({party(kHost1, kWeb, 100), outside, Transport::Tcp, 443}));
}

TEST(Graph, NamesAServerOutsideAsItsClientsHostKnowsIt) {
  HostReport one = *cluster().find(kHost1);
  one.names = {{ip("203.0.113.9"), "api.example.org"}, {ip("10.40.0.1"), "db.weft.local"}};
  HostReport two = *cluster().find(kHost2);
  two.names = {{ip("203.0.113.9"), "elsewhere.example.org"}};

  const Edges edges = resolve_edges(report_of({one, two}));

  const Party named{.kind = Party::Kind::Internet, .name = "api.example.org"};
  EXPECT_TRUE(edges.contains({party(kHost1, kWeb, 100), named, Transport::Tcp, 443}));
  EXPECT_TRUE(
      edges.contains({party(kHost1, kWeb, 100), party(kHost2, kDb, 100), Transport::Tcp, 5432}));
  EXPECT_THAT(edges, SizeIs(3));
}

TEST(Graph, FollowsAPublishedPortToItsContainer) {
  HostReport one = *cluster().find(kHost1);
  HostReport two = *cluster().find(kHost2);
  two.flows[flow(Outbound, kDb, 100, "10.40.0.1", "192.0.2.1", 8080)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one, two}));

  EXPECT_TRUE(
      edges.contains({party(kHost2, kDb, 100), party(kHost1, kWeb, 100), Transport::Tcp, 8080}));
}

TEST(Graph, DoesNotFollowAnAddressThatTwoContainersClaim) {
  HostReport one = *cluster().find(kHost1);
  HostReport two = *cluster().find(kHost2);
  add_container(two, std::string(64, 'c'), "twin", "twin", "10.40.0.1");
  two.flows.clear();  // Else the server's end tells which of them it is.

  const Edges edges = resolve_edges(report_of({one, two}));

  for (const auto& [key, facts] : edges) {
    EXPECT_NE(key.to.host, kHost2) << "to " << key.to.container;
  }
}

TEST(Graph, DoesNotMixBridgeAddressesOfDifferentHosts) {
  HostReport one = empty_host(kHost1, "h1", "192.0.2.1");
  HostReport two = empty_host(kHost2, "h2", "192.0.2.2");
  add_container(one, kWeb, "web", "web", "172.17.0.2");
  add_container(two, kDb, "db", "db", "172.17.0.2");
  one.overlay.endpoints.clear();
  two.overlay.endpoints.clear();
  one.flows[flow(Outbound, "", 7, "172.17.0.1", "172.17.0.2", 80)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one, two}));

  ASSERT_THAT(edges, SizeIs(1));
  EXPECT_EQ(edges.begin()->first.to.container, kWeb);
}

TEST(Graph, KeepsTwoContainersOnTheirOwnLoopbackApart) {
  HostReport one = empty_host(kHost1, "h1", "192.0.2.1");
  add_container(one, kWeb, "web", "web", "10.32.0.1");
  add_container(one, kDb, "db", "db", "10.32.0.2");
  for (const std::string& id : {kWeb, kDb}) {
    one.flows[flow(Outbound, id, 1, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};
    one.flows[flow(Inbound, id, 2, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};
  }

  const Edges edges = resolve_edges(report_of({one}));

  ASSERT_THAT(edges, SizeIs(2));
  for (const auto& [key, facts] : edges) {
    EXPECT_EQ(key.from.container, key.to.container);
    EXPECT_EQ(key.to.pid, 2U);
  }
}

// Containers on the host's network, which has the addresses of the host and one loopback.
class HostNetwork : public testing::Test {
 protected:
  HostNetwork() {
    for (const std::string& id : {kWeb, kDb}) {
      add_container(one_, id, id.substr(0, 3), "h1", "192.0.2.1");
      one_.containers.back().host_network = true;
    }
  }

  HostReport one_ = empty_host(kHost1, "h1", "192.0.2.1");
  HostReport two_ = empty_host(kHost2, "h2", "192.0.2.2");
};

TEST_F(HostNetwork, HasOneEdgeBetweenTwoOfItsContainersWhicheverAddressIsAsked) {
  for (const char* address : {"127.0.0.1", "192.0.2.1"}) {
    HostReport one = one_;
    one.flows[flow(Outbound, kWeb, 7, address, address, 9000)] = {.count = 1};
    one.flows[flow(Inbound, kDb, 8, address, address, 9000)] = {.count = 1};

    const Edges edges = resolve_edges(report_of({one}));

    const EdgeKey key{party(kHost1, kWeb, 7), party(kHost1, kDb, 8), Transport::Tcp, 9000};
    ASSERT_THAT(edges, SizeIs(1)) << address;
    EXPECT_EQ(edges.begin()->first, key) << address;
  }
}

TEST_F(HostNetwork, IsFoundFromAnotherHostByThePortThatAnswers) {
  two_.flows[flow(Outbound, "", 5, "192.0.2.2", "192.0.2.1", 9000)] = {.count = 1};
  one_.flows[flow(Inbound, kDb, 8, "192.0.2.1", "192.0.2.2", 9000)] = {.count = 1};
  one_.flows[flow(Inbound, kWeb, 7, "192.0.2.1", "192.0.2.2", 9001)] = {.count = 1};
  two_.flows[flow(Outbound, "", 5, "192.0.2.2", "192.0.2.1", 9001)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one_, two_}));

  EXPECT_THAT(edges, SizeIs(2));
  EXPECT_TRUE(edges.contains({party(kHost2, "", 5), party(kHost1, kDb, 8), Transport::Tcp, 9000}));
  EXPECT_TRUE(edges.contains({party(kHost2, "", 5), party(kHost1, kWeb, 7), Transport::Tcp, 9001}));
}

TEST_F(HostNetwork, IsFoundByTheSocketsThatAreBoundToNoAddress) {
  const auto talk = [](auto key) {
    key.transport = Transport::Udp;
    return key;
  };
  two_.flows[talk(flow(Outbound, "", 5, "0.0.0.0", "192.0.2.1", 9000))] = {.count = 1};
  one_.flows[talk(flow(Inbound, kDb, 8, "0.0.0.0", "192.0.2.2", 9000))] = {.count = 1};
  one_.flows[talk(flow(Outbound, kWeb, 7, "0.0.0.0", "127.0.0.1", 9001))] = {.count = 1};
  one_.flows[talk(flow(Inbound, kDb, 8, "0.0.0.0", "127.0.0.1", 9001))] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one_, two_}));

  EXPECT_THAT(edges, SizeIs(2));
  EXPECT_TRUE(edges.contains({party(kHost2, "", 5), party(kHost1, kDb, 8), Transport::Udp, 9000}));
  EXPECT_TRUE(
      edges.contains({party(kHost1, kWeb, 7), party(kHost1, kDb, 8), Transport::Udp, 9001}));
}

TEST_F(HostNetwork, IsFoundByItsContainerWhereSeveralOfItsProcessesAnswer) {
  one_.flows[flow(Outbound, kWeb, 7, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};
  one_.flows[flow(Inbound, kDb, 8, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};
  one_.flows[flow(Inbound, kDb, 9, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one_}));

  ASSERT_THAT(edges, SizeIs(1));
  EXPECT_EQ(edges.begin()->first.to, party(kHost1, kDb, 0));
}

TEST_F(HostNetwork, IsNotSaidToAnswerItselfWhereNobodyIsKnownToAnswer) {
  one_.flows[flow(Outbound, kWeb, 7, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one_}));

  EXPECT_TRUE(edges.contains({party(kHost1, kWeb, 7), party(kHost1, "", 0), Transport::Tcp, 9000}));
}

TEST(Graph, TellsContainersApartThatShareANetworkNamespace) {
  HostReport one = empty_host(kHost1, "h1", "192.0.2.1");
  add_container(one, kWeb, "web", "web", "10.32.0.1");
  add_container(one, kDb, "sidecar", "web", "10.32.0.1");
  one.flows[flow(Outbound, kWeb, 7, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};
  one.flows[flow(Inbound, kDb, 8, "127.0.0.1", "127.0.0.1", 9000)] = {.count = 1};

  const Edges edges = resolve_edges(report_of({one}));

  ASSERT_THAT(edges, SizeIs(1));
  EXPECT_TRUE(
      edges.contains({party(kHost1, kWeb, 7), party(kHost1, kDb, 8), Transport::Tcp, 9000}));
}

// A server in `kDb` of which two processes have connections with one client.
HostReport server_of_two(std::uint32_t parent_of_one, std::uint32_t parent_of_other) {
  HostReport two = *cluster().find(kHost2);
  two.processes = {{.pid = 100, .parent = 1, .name = "dbd", .container = kDb},
                   {.pid = 101, .parent = parent_of_one, .name = "dbd", .container = kDb},
                   {.pid = 102, .parent = parent_of_other, .name = "dbd", .container = kDb}};
  two.flows.clear();
  for (const std::uint32_t pid : {101U, 102U}) {
    two.flows[flow(Inbound, kDb, pid, "10.40.0.1", "10.32.0.1", 5432)] = {.count = 1};
  }
  return two;
}

bool leads_to(const HostReport& server, std::uint32_t pid) {
  const Edges edges = resolve_edges(report_of({*cluster().find(kHost1), server}));
  return edges.contains({party(kHost1, kWeb, 100), party(kHost2, kDb, pid), Transport::Tcp, 5432});
}

TEST(Graph, NamesTheParentWhereSeveralOfItsProcessesAnswer) {
  EXPECT_TRUE(leads_to(server_of_two(100, 100), 100)) << "workers of one";
  EXPECT_TRUE(leads_to(server_of_two(100, 101), 101)) << "one has forked the other";
}

TEST(Graph, NamesTheOneThatIsLeftOfAServerThatForks) {
  HostReport server = server_of_two(100, 100);
  server.processes.pop_back();
  EXPECT_TRUE(leads_to(server, 101));

  server.folded.processes = 1;
  EXPECT_TRUE(leads_to(server, 0)) << "who is not told need not have ended";
}

TEST(Graph, NamesNoProcessWhereSeveralMayHaveAnswered) {
  EXPECT_TRUE(leads_to(server_of_two(1, 1), 0)) << "of nobody in common but the first of the host";
  EXPECT_TRUE(leads_to(server_of_two(102, 101), 101)) << "a circle has an end";
}

TEST(Graph, ResolvesAnyReportToPartiesThatItHas) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const Report report =
        report_of({probe::random_report(rng, PeerName(1)), probe::random_report(rng, PeerName(2))});

    for (const auto& [key, facts] : resolve_edges(report)) {
      for (const Party& end : {key.from, key.to}) {
        const bool is_there = end.kind != Party::Kind::Known || report.find(end.host) != nullptr;
        EXPECT_TRUE(is_there) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace weft::app
