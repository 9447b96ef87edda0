#include "router/datapath/flood_plan.h"

#include <algorithm>
#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "router/overlay/topology.h"

namespace weft::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Path kStraight{Way::Clear, {}};

TEST(FloodPlan, AFewTargetsGetTheirCopiesFromHere) {
  const FloodView view{.path = [](PeerName) { return kStraight; },
                       .next_hop = [](PeerName) { return PeerName(9); }};

  const FloodPlan plan = plan_flood({PeerName(1), PeerName(2)}, view, 2);

  EXPECT_THAT(plan.straight, ElementsAre(PeerName(1), PeerName(2)));
  EXPECT_THAT(plan.through, IsEmpty());
}

TEST(FloodPlan, WhoIsBehindARelayIsNamedToIt) {
  const FloodView view{.path =
                           [](PeerName peer) {
                             return peer == PeerName(1) ? kStraight : Path{Way::Relay, PeerName(1)};
                           },
                       .next_hop = nullptr};

  const FloodPlan plan = plan_flood({PeerName(1), PeerName(2), PeerName(3)}, view, 8);

  EXPECT_THAT(plan.straight, ElementsAre(PeerName(1)));
  EXPECT_THAT(plan.through, ElementsAre(Pair(PeerName(1), ElementsAre(PeerName(2), PeerName(3)))));
}

TEST(FloodPlan, WhoIsNotKnownGetsNothing) {
  const FloodView view{.path = [](PeerName) { return std::nullopt; }, .next_hop = nullptr};

  const FloodPlan plan = plan_flood({PeerName(1)}, view, 8);

  EXPECT_THAT(plan.straight, IsEmpty());
  EXPECT_THAT(plan.through, IsEmpty());
}

// 300 peers with five random links each, every one of which computes its own next hops.
TEST(FloodPlan, EveryPeerOfALargeClusterGetsOneCopyAndNobodySendsMany) {
  constexpr std::size_t kPeers = 300;
  constexpr std::size_t kStraightMax = 16;
  Rng rng(7);
  std::vector<std::set<std::uint32_t>> links(kPeers);
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    for (int i = 0; i < 3; ++i) {
      const std::uint32_t other = rng.below(kPeers);
      if (other != peer) {
        links[peer].insert(other);
        links[other].insert(peer);
      }
    }
  }
  LinkGraph graph;
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    std::vector<LinkGraph::Edge> edges;
    for (const std::uint32_t other : links[peer]) {
      edges.push_back({PeerName(other + 1), 100 + rng.below(50)});
    }
    graph.add(PeerName(peer + 1), edges);
  }
  std::vector<Topology> topologies;
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    (void)topologies.emplace_back(PeerName(peer + 1)).update(graph);
  }
  struct Order {
    PeerName at;
    std::vector<PeerName> targets;
  };
  std::vector<PeerName> all;
  for (std::uint64_t peer = 2; peer <= kPeers; ++peer) {
    all.emplace_back(peer);
  }
  std::deque<Order> orders{{PeerName(1), all}};
  std::map<PeerName, int> heard;
  std::map<PeerName, std::size_t> sent;

  while (!orders.empty()) {
    const Order order = orders.front();
    orders.pop_front();
    const FloodView view{
        .path = [](PeerName) { return kStraight; },
        .next_hop =
            [&](PeerName peer) { return topologies[order.at.number() - 1].next_hop(peer); }};
    const FloodPlan plan = plan_flood(order.targets, view, kStraightMax);
    sent[order.at] += plan.straight.size() + plan.through.size();
    for (const PeerName peer : plan.straight) {
      ++heard[peer];
    }
    for (const auto& [via, targets] : plan.through) {
      orders.push_back({via, targets});
    }
  }

  EXPECT_EQ(heard.size(), kPeers - 1);
  EXPECT_TRUE(std::all_of(heard.begin(), heard.end(), [](const auto& h) { return h.second == 1; }));
  const auto most = std::max_element(
      sent.begin(), sent.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  EXPECT_LE(most->second, 40U);
}

}  // namespace
}  // namespace weft::router
