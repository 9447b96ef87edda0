#include "router/topology.h"

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

TEST(Topology, AnOwnLinkCountsBeforeTheOtherEndListsIt) {
  Topology topology(kSelf);

  EXPECT_TRUE(topology.add_link(kBob));

  EXPECT_THAT(topology.update().reachable, ElementsAre(kBob));
  EXPECT_EQ(topology.next_hop(kBob), kBob);
}

TEST(Topology, AConnectionThatOnlyOneEndListsDoesNotCount) {
  Topology topology(kSelf);
  (void)topology.add_link(kBob);
  (void)topology.set_neighbours(kBob, {kSelf, kCarol});

  EXPECT_THAT(topology.update().reachable, ElementsAre(kBob));

  (void)topology.set_neighbours(kCarol, {kBob});
  EXPECT_THAT(topology.update().reachable, ElementsAre(kCarol));
  EXPECT_EQ(topology.next_hop(kCarol), kBob);
}

TEST(Topology, ALostLinkTakesWhatWasBehindItAway) {
  Topology topology(kSelf);
  (void)topology.add_link(kBob);
  (void)topology.set_neighbours(kBob, {kSelf, kCarol});
  (void)topology.set_neighbours(kCarol, {kBob});
  (void)topology.update();

  EXPECT_TRUE(topology.remove_link(kBob));

  EXPECT_THAT(topology.update().unreachable, ElementsAre(kBob, kCarol));
  EXPECT_EQ(topology.next_hop(kCarol), std::nullopt);
}

TEST(Topology, TakesTheShortestWay) {
  Topology topology(kSelf);
  (void)topology.add_link(kBob);
  (void)topology.add_link(kDave);
  (void)topology.set_neighbours(kBob, {kSelf, kCarol});
  (void)topology.set_neighbours(kCarol, {kBob, kDave});
  (void)topology.set_neighbours(kDave, {kSelf, kCarol});
  (void)topology.update();

  EXPECT_EQ(topology.next_hop(kDave), kDave);
  EXPECT_EQ(topology.next_hop(kCarol), kBob);  // Of two equal ways the lower name.
}

TEST(Topology, SettingTheSameNeighboursAgainIsNoChange) {
  Topology topology(kSelf);

  EXPECT_TRUE(topology.set_neighbours(kBob, {kCarol}));
  EXPECT_FALSE(topology.set_neighbours(kBob, {kCarol}));
  EXPECT_TRUE(topology.remove(kBob));
  EXPECT_FALSE(topology.remove(kBob));
}

// Any graph, seen the same by all: next hops lead everywhere without a loop.
TEST(TopologyProperty, NextHopsLeadToTheDestinationInAnyGraph) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    const std::uint32_t count = 2 + rng.below(20);
    std::map<PeerName, std::set<PeerName>> graph;
    for (std::uint32_t i = 0; i < count * 2; ++i) {
      const PeerName a(1 + rng.below(count));
      const PeerName b(1 + rng.below(count));
      if (a != b) {
        graph[a].insert(b);
        graph[b].insert(a);
      }
    }
    std::map<PeerName, std::unique_ptr<Topology>> views;
    for (const auto& [self, links] : graph) {
      views[self] = std::make_unique<Topology>(self);
      for (const PeerName link : links) {
        (void)views[self]->add_link(link);
      }
      for (const auto& [peer, neighbours] : graph) {
        if (peer != self) {
          (void)views[self]->set_neighbours(peer, neighbours);
        }
      }
      (void)views[self]->update();
      views[self]->check_invariants();
    }
    for (const auto& [self, view] : views) {
      for (const auto& [to, hop] : view->next_hops()) {
        EXPECT_TRUE(views.at(to)->reachable(self)) << "seed " << seed;
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

}  // namespace
}  // namespace weft::router
