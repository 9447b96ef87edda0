// Peers that know one other find all the rest, whatever the number and the network.
#include <chrono>
#include <iostream>

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
  EXPECT_TRUE(cluster.routes_lead_home());
}

}  // namespace
}  // namespace weft::sim
