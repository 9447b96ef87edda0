// Passwords and strangers in a whole cluster.
#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "tests/sim/mesh/cluster.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const router::Psk kOld = Cluster::password(1);  // What a cluster starts with.
const router::Psk kNew = Cluster::password(2);

void set_passwords(MeshNode& node,
                   const router::Psk& psk,
                   const std::optional<router::Psk>& old_psk) {
  node.feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
    mesh.set_passwords(now, psk, old_psk, out);
  });
}

std::size_t on_old_password(const Cluster& cluster) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    for (const router::ConnectionStatus& connection : cluster.node(i).mesh().connections()) {
      count += connection.old_password ? 1U : 0U;
    }
  }
  return count;
}

std::uint64_t terminated(const Cluster& cluster) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    count += cluster.node(i).mesh().stats().handshakes.terminated;
  }
  return count;
}

TEST(SessionScenario, ThePasswordOfALivingClusterIsReplacedHostByHost) {
  // Few enough for a full mesh, in which no connection ends but for a reason.
  Cluster cluster({.peers = 6, .seed = seed_or(1)});
  cluster.start_all(seconds(1));
  ASSERT_TRUE(cluster.converges_within(seconds(60)));
  const std::uint64_t terminated_before = terminated(cluster);

  for (std::size_t i = 0; i < cluster.size(); ++i) {
    set_passwords(cluster.node(i), kNew, kOld);
    cluster.world().run_for(seconds(2));
  }
  EXPECT_EQ(terminated(cluster), terminated_before);
  EXPECT_TRUE(cluster.converged());
  EXPECT_GT(on_old_password(cluster), 0U);

  for (std::size_t i = 0; i < cluster.size(); ++i) {
    set_passwords(cluster.node(i), kNew, std::nullopt);
    cluster.world().run_for(seconds(2));
    EXPECT_TRUE(cluster.converges_within(seconds(20)));
  }

  EXPECT_EQ(on_old_password(cluster), 0U);
}

TEST(SessionScenario, AHostRestartedWithTheOldPasswordInTheMiddleOfAChangeStillJoins) {
  Cluster cluster({.peers = 6, .seed = seed_or(2)});
  cluster.start_all(seconds(1));
  ASSERT_TRUE(cluster.converges_within(seconds(60)));
  for (std::size_t i = 0; i + 1 < cluster.size(); ++i) {
    set_passwords(cluster.node(i), kNew, kOld);
  }

  MeshNode& late = cluster.node(cluster.size() - 1);
  late.stop(Net::Death::Process);
  cluster.world().run_for(seconds(10));
  late.start();
  late.connect(Cluster::target(0));

  EXPECT_TRUE(cluster.converges_within(seconds(90)));
}

TEST(SessionScenario, StrangersThatNeverStopTryingHoldUpNobody) {
  Cluster cluster({.peers = 4, .seed = seed_or(3)});
  for (int i = 0; i < 12; ++i) {
    MeshNode& stranger = cluster.add(std::nullopt, kNew);
    stranger.start();
    stranger.connect(Cluster::target(0));
  }
  for (std::size_t i = 0; i < 4; ++i) {
    cluster.node(i).start();
    if (i > 0) {
      cluster.node(i).connect(Cluster::target(0));
    }
  }

  EXPECT_TRUE(cluster.run_until(seconds(60), [&] { return cluster.converged({0, 1, 2, 3}); }));

  const router::HandshakeStats stats = cluster.node(0).mesh().stats().handshakes;
  EXPECT_GE(stats.password, 12U);
  // Five for each connection with a member, and none for a stranger.
  EXPECT_LE(stats.dh, 5 * (stats.accepted - stats.password + stats.established));
  EXPECT_EQ(cluster.node(0).neighbours().size(), 3U);
}

}  // namespace
}  // namespace weft::sim
