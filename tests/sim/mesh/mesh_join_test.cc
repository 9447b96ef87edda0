// Peers that know one other find all the rest, whatever the number and the network.
#include <chrono>
#include <iostream>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/mesh/cluster.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MeshJoin : public ::testing::Test {
 protected:
  MeshJoin() { std::cout << "WEFT_SEED=" << seed_ << '\n'; }

  const std::uint64_t seed_ = seed_or(1);
};

TEST_F(MeshJoin, TwoPeersConnectAndExchangeRecordsWithinASecond) {
  Cluster cluster({.peers = 2, .seed = seed_});
  cluster.node(0).start();
  cluster.node(1).start();
  cluster.node(1).connect(Cluster::target(0));

  EXPECT_TRUE(cluster.converges_within(seconds(1)));
  EXPECT_EQ(cluster.connections(), 1U);
}

TEST_F(MeshJoin, FivePeersBecomeAFullMesh) {
  Cluster cluster({.peers = 5, .seed = seed_});
  cluster.start_all(milliseconds(0));

  EXPECT_TRUE(cluster.converges_within(seconds(10)));
  EXPECT_TRUE(cluster.run_until(seconds(10), [&] { return cluster.connections() == 10; }));
  EXPECT_TRUE(cluster.run_until(seconds(3), [&] { return cluster.routes_lead_home(); }));
}

TEST_F(MeshJoin, TheSameSeedIsTheSameRun) {
  const auto run = [this] {
    Cluster cluster({.peers = 10, .seed = seed_, .loss_percent = 5});
    cluster.start_all(milliseconds(20));
    cluster.world().run_for(seconds(20));
    return std::pair(cluster.world().digest(), cluster.world().events_run());
  };

  EXPECT_EQ(run(), run());
}

TEST_F(MeshJoin, EveryPublishedRecordReachesEveryPeerWithinASecond) {
  Cluster cluster({.peers = 25, .seed = seed_});
  cluster.start_all(milliseconds(20));
  ASSERT_TRUE(cluster.converges_within(seconds(40)));
  cluster.world().run_for(seconds(5));

  for (std::size_t i = 0; i < cluster.size(); ++i) {
    const Bytes mac(6, static_cast<std::uint8_t>(i));
    cluster.node(i).publish({RecordKey{RecordKind::Endpoint, mac}, to_bytes("10.32.0.1")});
  }

  EXPECT_TRUE(cluster.run_until(seconds(1), [&] {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      // 24 Peer records and 24 endpoints of the others.
      if (cluster.node(i).records().size() != 48) {
        return false;
      }
    }
    return true;
  }));
}

TEST_F(MeshJoin, AJoiningPeerOfASmallClusterIsKnownToAllWithinASecond) {
  Cluster cluster({.peers = 5, .seed = seed_});
  cluster.start_all(milliseconds(20));
  ASSERT_TRUE(cluster.converges_within(seconds(10)));
  cluster.world().run_for(seconds(10));

  MeshNode& newcomer = cluster.add(std::nullopt, Cluster::password(1));
  newcomer.start();
  newcomer.connect(Cluster::target(2));

  EXPECT_TRUE(cluster.converges_within(seconds(1)));
}

struct Size {
  std::size_t peers;
  std::uint32_t loss_percent;
};

class MeshJoinOfSize : public ::testing::TestWithParam<Size> {};

// Both are turned away by a target that is full, and find each other: that is no cluster yet.
TEST_F(MeshJoin, AnIslandOfPeersThatWereTurnedAwayFindsTheCluster) {
  constexpr std::size_t kIsland = 40;  // It and the next.
  Cluster cluster({.peers = kIsland + 2, .seed = seed_});
  for (std::size_t i = 0; i < kIsland; ++i) {
    cluster.node(i).start();
    cluster.node(i).connect(Cluster::target(i == 0 ? 1 : 0));
    cluster.world().run_for(milliseconds(5));
  }
  cluster.world().run_for(seconds(10));
  ASSERT_GE(cluster.node(0).neighbours().size(), 8U);  // Has no room for who is not alone.
  cluster.node(kIsland).start();
  cluster.node(kIsland + 1).start();
  cluster.node(kIsland).connect(Cluster::target(kIsland + 1));
  cluster.world().run_for(seconds(2));
  ASSERT_EQ(cluster.node(kIsland).neighbours().size(), 1U);

  cluster.node(kIsland).connect(Cluster::target(0));
  cluster.node(kIsland + 1).connect(Cluster::target(0));

  EXPECT_TRUE(cluster.settles_within(seconds(10)));
}

TEST_P(MeshJoinOfSize, PeersKnowingOneOtherConvergeToFullKnowledgeAndStayThere) {
  const std::uint64_t seed = seed_or(GetParam().peers);
  std::cout << "WEFT_SEED=" << seed << '\n';
  Cluster cluster(
      {.peers = GetParam().peers, .seed = seed, .loss_percent = GetParam().loss_percent});
  cluster.start_all(milliseconds(20));

  EXPECT_TRUE(cluster.converges_within(seconds(40)));
  // Everybody computes paths from the same records within a moment. What links cost is stated four
  // seconds after they came up, by each peer at its own time, so the records may not rest yet.
  EXPECT_TRUE(cluster.run_until(seconds(5), [&] { return cluster.routes_lead_home(); }));
  std::cout << "converged after " << (cluster.world().now() - TimePoint()) / milliseconds(1)
            << " ms, " << cluster.connections() << " connections, " << cluster.world().events_run()
            << " events\n";

  // Longer than every timer of a quiet cluster but the minutes-long ones.
  cluster.world().run_for(seconds(12));
  EXPECT_TRUE(cluster.converged());
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         MeshJoinOfSize,
                         ::testing::Values(Size{5, 10}, Size{25, 5}, Size{100, 2}, Size{200, 0}));

}  // namespace
}  // namespace weft::sim
