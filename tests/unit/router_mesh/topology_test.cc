#include "router/overlay/topology.h"

#include <map>
#include <memory>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const PeerName kSelf(1);
const PeerName kBob(2);
const PeerName kCarol(3);
const PeerName kDave(4);

using Links = std::map<PeerName, std::map<PeerName, std::uint32_t>>;

LinkGraph graph_of(const Links& links) {
  LinkGraph graph;
  for (const auto& [peer, neighbours] : links) {
    std::vector<LinkGraph::Edge> edges;
    for (const auto& [neighbour, cost] : neighbours) {
      edges.push_back({neighbour, cost});
    }
    graph.add(peer, edges);
  }
  return graph;
}

Topology::Changes update(Topology& topology, const Links& links) {
  LinkGraph graph = graph_of(links);
  return topology.update(graph);
}

TEST(Topology, AnOwnLinkCountsBeforeTheOtherEndListsIt) {
  Topology topology(kSelf);

  EXPECT_THAT(update(topology, {{kSelf, {{kBob, 1}}}, {kBob, {}}}).reachable, ElementsAre(kBob));
  EXPECT_EQ(topology.next_hop(kBob), kBob);
}

TEST(Topology, AConnectionThatOnlyOneEndListsDoesNotCount) {
  Topology topology(kSelf);
  Links links{{kSelf, {{kBob, 1}}}, {kBob, {{kSelf, 1}, {kCarol, 1}}}, {kCarol, {}}};

  EXPECT_THAT(update(topology, links).reachable, ElementsAre(kBob));

  links[kCarol] = {{kBob, 1}};
  EXPECT_THAT(update(topology, links).reachable, ElementsAre(kCarol));
  EXPECT_EQ(topology.next_hop(kCarol), kBob);
}

TEST(Topology, ALostLinkTakesWhatWasBehindItAway) {
  Topology topology(kSelf);
  Links links{{kSelf, {{kBob, 1}}}, {kBob, {{kSelf, 1}, {kCarol, 1}}}, {kCarol, {{kBob, 1}}}};
  (void)update(topology, links);

  links[kSelf].clear();

  EXPECT_THAT(update(topology, links).unreachable, ElementsAre(kBob, kCarol));
  EXPECT_EQ(topology.next_hop(kCarol), std::nullopt);
}

TEST(Topology, OfTwoWaysTheCheaperIsTakenWhateverTheNumberOfHops) {
  Topology topology(kSelf);
  const Links links{{kSelf, {{kBob, 10}, {kDave, 100}}},
                    {kBob, {{kSelf, 10}, {kCarol, 10}}},
                    {kCarol, {{kBob, 10}, {kDave, 10}}},
                    {kDave, {{kSelf, 100}, {kCarol, 10}}}};

  (void)update(topology, links);

  EXPECT_EQ(topology.next_hop(kDave), kBob);
  EXPECT_EQ(topology.distance(kDave), 30U);
}

TEST(Topology, ALinkCostsWhatTheSlowerEndMeasured) {
  Topology topology(kSelf);

  (void)update(topology, {{kSelf, {{kBob, 10}}}, {kBob, {{kSelf, 70}}}});

  EXPECT_EQ(topology.distance(kBob), 70U);
}

TEST(Topology, OfTwoEqualWaysTheLowerNameIsTaken) {
  Topology topology(kSelf);
  const Links links{{kSelf, {{kBob, 1}, {kDave, 1}}},
                    {kBob, {{kSelf, 1}, {kCarol, 1}}},
                    {kCarol, {{kBob, 1}, {kDave, 1}}},
                    {kDave, {{kSelf, 1}, {kCarol, 1}}}};

  (void)update(topology, links);

  EXPECT_EQ(topology.next_hop(kCarol), kBob);
}

TEST(BroadcastTree, OfAnUnknownOriginHasNeitherParentNorChildren) {
  LinkGraph graph = graph_of({{kSelf, {{kBob, 1}}}, {kBob, {{kSelf, 1}}}});

  EXPECT_EQ(broadcast_tree(graph, kDave, kSelf), BroadcastTree{});
}

TEST(BroadcastTree, ALinkThatOnlyOneEndListsIsNoBranch) {
  LinkGraph graph = graph_of({{kSelf, {{kBob, 1}}}, {kBob, {}}});

  EXPECT_THAT(broadcast_tree(graph, kSelf, kSelf).children, IsEmpty());
}

Links random_graph(Rng& rng) {
  const std::uint32_t count = 2 + rng.below(20);
  Links graph;
  for (std::uint32_t i = 0; i < count * 2; ++i) {
    const PeerName a(1 + rng.below(count));
    const PeerName b(1 + rng.below(count));
    if (a != b) {
      // Few different costs, so that equal ways are common; each end has its own idea.
      graph[a][b] = 1 + rng.below(3);
      graph[b][a] = 1 + rng.below(3);
    }
  }
  return graph;
}

// Any graph, seen the same by all: next hops lead everywhere without a loop.
TEST(TopologyProperty, NextHopsLeadToTheDestinationInAnyGraph) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    const Links graph = random_graph(rng);
    std::map<PeerName, std::unique_ptr<Topology>> views;
    for (const auto& [self, links] : graph) {
      views[self] = std::make_unique<Topology>(self);
      (void)update(*views[self], graph);
      views[self]->check_invariants();
    }
    for (const auto& [self, view] : views) {
      for (const PeerName to : view->reachable_peers()) {
        EXPECT_EQ(views.at(to)->distance(self), view->distance(to)) << "seed " << seed;
        PeerName at = self;
        std::size_t steps = 0;
        while (at != to && steps <= graph.size()) {
          at = *views.at(at)->next_hop(to);
          ++steps;
        }
        ASSERT_EQ(at, to) << "seed " << seed;
      }
    }
  }
}

// Any graph, any origin: a broadcast passed along the tree reaches whoever can be reached once.
TEST(BroadcastTreeProperty, EveryPeerIsReachedExactlyOnceInAnyGraph) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    const Links links = random_graph(rng);
    for (const auto& [origin, unused] : links) {
      LinkGraph graph = graph_of(links);
      std::map<PeerName, std::size_t> heard{{origin, 1}};
      std::vector<PeerName> queue{origin};
      while (!queue.empty()) {
        const PeerName at = queue.back();
        queue.pop_back();
        for (const PeerName child : broadcast_tree(graph, origin, at).children) {
          EXPECT_EQ(broadcast_tree(graph, origin, child).parent, at);
          ASSERT_EQ(++heard[child], 1U) << "seed " << seed;
          queue.push_back(child);
        }
      }
      Topology view(origin);
      (void)view.update(graph);
      EXPECT_EQ(heard.size(), view.reachable_count() + 1) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace weft::router
