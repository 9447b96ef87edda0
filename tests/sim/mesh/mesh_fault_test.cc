// What goes wrong in networks and with hosts, and that the mesh gets over it.
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/mesh/scenario.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MeshFault : public MeshScenario {
 protected:
  MeshFault() : MeshScenario(7) {}
};

std::set<Ip> addresses(std::size_t first, std::size_t last) {
  std::set<Ip> found;
  for (std::size_t i = first; i <= last; ++i) {
    found.insert(Cluster::address(i));
  }
  return found;
}

std::size_t world_pick(Cluster& cluster, std::uint32_t bound) {
  return cluster.world().rng().below(bound);
}

bool has_event(const MeshNode& node, const std::string& part) {
  for (const router::MeshEvent& event : node.events()) {
    if (event.what.find(part) != std::string::npos
        || event.detail.find(part) != std::string::npos) {
      return true;
    }
  }
  return false;
}

TEST_F(MeshFault, LossDelaysButCutsNobodyOff) {
  Cluster cluster({.peers = 12, .seed = seed_, .loss_percent = 10});
  form(cluster);

  const auto somebody_is_cut_off = [&cluster] { return !cluster.settled(); };

  EXPECT_FALSE(cluster.run_until(seconds(60), somebody_is_cut_off));
  EXPECT_TRUE(cluster.converges_within(seconds(5)));
}

TEST_F(MeshFault, APartitionSplitsTheViewKeepsTheRecordsAndHeals) {
  Cluster cluster({.peers = 12, .seed = seed_, .full_mesh_max = 12});
  form(cluster);
  cluster.node(0).publish({endpoint(1), to_bytes("x")});
  cluster.world().run_for(seconds(1));

  cluster.net().partition(addresses(0, 5), addresses(6, 11));
  cluster.world().run_for(seconds(10));

  EXPECT_EQ(cluster.node(0).reachable().size(), 5U);
  EXPECT_EQ(cluster.node(11).reachable().size(), 5U);
  EXPECT_TRUE(cluster.node(11).records().contains({cluster.node(0).name(), endpoint(1)}));
  EXPECT_EQ(cluster.node(11).withdrawals(), 0U);

  cluster.world().run_for(seconds(30));
  cluster.node(0).publish({endpoint(2), to_bytes("y")});
  cluster.net().heal();

  // Of the two halves somebody tries somebody of the other every second.
  EXPECT_TRUE(cluster.converges_within(seconds(5)));
  EXPECT_TRUE(cluster.node(11).records().contains({cluster.node(0).name(), endpoint(2)}));
  EXPECT_TRUE(cluster.run_until(seconds(90), [&] { return cluster.connections() == 66; }));
}

TEST_F(MeshFault, HalvesOfALargeClusterFindEachOtherAgain) {
  Cluster cluster({.peers = 40, .seed = seed_, .full_mesh_max = 8, .degree = 4});
  form(cluster);

  cluster.net().partition(addresses(0, 19), addresses(20, 39));
  cluster.world().run_for(seconds(60));
  EXPECT_EQ(cluster.node(0).reachable().size(), 19U);
  cluster.net().heal();

  EXPECT_TRUE(cluster.converges_within(seconds(6)));
  EXPECT_TRUE(cluster.run_until(seconds(3), [&] { return cluster.routes_lead_home(); }));
}

TEST_F(MeshFault, PeersThatHearEachOtherOneWayOnlyTalkThroughAThird) {
  Cluster cluster({.peers = 4, .seed = seed_});
  form(cluster);

  cluster.net().cut(Cluster::address(0), Cluster::address(1));
  cluster.world().run_for(seconds(15));
  cluster.node(0).send(GossipTo{Topic::Ipam, cluster.node(1).name(), to_bytes("hello")});
  cluster.node(1).send(GossipTo{Topic::Ipam, cluster.node(0).name(), to_bytes("and you")});
  cluster.world().run_for(seconds(1));

  EXPECT_FALSE(cluster.node(0).neighbours().contains(cluster.node(1).name()));
  EXPECT_FALSE(cluster.node(1).neighbours().contains(cluster.node(0).name()));
  EXPECT_TRUE(cluster.converged());
  ASSERT_EQ(cluster.node(1).delivered().size(), 1U);
  EXPECT_EQ(cluster.node(1).delivered()[0].from, cluster.node(0).name());
  ASSERT_EQ(cluster.node(0).delivered().size(), 1U);

  cluster.net().heal();
  EXPECT_TRUE(cluster.run_until(seconds(90), [&] { return cluster.connections() == 6; }));
}

TEST_F(MeshFault, ARestartedAgentReturnsWithoutAnyRecordFlickering) {
  Cluster cluster({.peers = 5, .seed = seed_});
  form(cluster);
  cluster.node(1).publish({endpoint(1), to_bytes("stays")});
  cluster.node(1).publish({endpoint(2), to_bytes("goes")});
  cluster.world().run_for(seconds(1));
  const PeerName name = cluster.node(1).name();

  cluster.node(1).stop(Net::Death::Process);
  cluster.world().run_for(milliseconds(500));
  cluster.node(1).start();
  cluster.node(1).connect(Cluster::target(0));
  cluster.world().run_for(milliseconds(300));
  cluster.node(1).publish({endpoint(1), to_bytes("stays")});

  EXPECT_TRUE(cluster.converges_within(seconds(3)));
  for (const router::PeerStatus& peer : cluster.node(3).mesh().peers()) {
    EXPECT_EQ(peer.incarnation, Incarnation(peer.name == name ? 2 : 1));
  }
  cluster.world().run_for(seconds(20));
  EXPECT_EQ(cluster.node(3).withdrawals(), 0U);
  EXPECT_TRUE(cluster.node(3).records().contains({name, endpoint(2)}));

  cluster.world().run_for(seconds(20));
  EXPECT_EQ(cluster.node(3).withdrawals(), 1U);
  EXPECT_TRUE(cluster.node(3).records().contains({name, endpoint(1)}));
  EXPECT_FALSE(cluster.node(3).records().contains({name, endpoint(2)}));
}

TEST_F(MeshFault, AHostThatLosesPowerIsNoticedAndItsRecordsStay) {
  Cluster cluster({.peers = 5, .seed = seed_});
  form(cluster);
  const PeerName name = cluster.node(4).name();

  cluster.node(4).stop(Net::Death::Machine);
  cluster.world().run_for(seconds(3));

  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_FALSE(cluster.node(i).reaches(name));
    EXPECT_EQ(cluster.node(i).withdrawals(), 0U);
  }
  cluster.world().run_for(seconds(60));
  cluster.node(4).start();
  EXPECT_TRUE(cluster.converges_within(seconds(90)));
}

TEST_F(MeshFault, AHostSetUpAnewIsNotDialledUnderItsFormerName) {
  Cluster cluster({.peers = 3, .seed = seed_});
  form(cluster);
  const MeshIdentity identity = cluster.add(std::nullopt, Cluster::password(1)).identity();
  MeshNode anew(cluster.world(),
                cluster.net(),
                {.address = Cluster::address(2), .nickname = "anew", .psk = Cluster::password(1)},
                identity);

  cluster.node(2).stop(Net::Death::Process);
  anew.start();
  anew.connect(Cluster::target(0));
  cluster.world().run_for(seconds(10));
  const std::uint64_t accepted = anew.mesh().stats().handshakes.accepted;
  cluster.world().run_for(seconds(60));

  EXPECT_EQ(anew.mesh().stats().handshakes.accepted, accepted);
  EXPECT_TRUE(cluster.node(0).reaches(anew.name()));
  EXPECT_TRUE(cluster.node(1).reaches(anew.name()));
}

TEST_F(MeshFault, APeerWithAnotherPasswordNeverJoinsAndDisturbsNobody) {
  Cluster cluster({.peers = 4, .seed = seed_});
  form(cluster);
  MeshNode& stranger = cluster.add(std::nullopt, Cluster::password(2));
  MeshNode& careless = cluster.add(std::nullopt, std::nullopt);

  stranger.start();
  stranger.connect(Cluster::target(0));
  careless.start();
  careless.connect(Cluster::target(1));
  cluster.world().run_for(seconds(30));

  EXPECT_TRUE(stranger.reachable().empty());
  EXPECT_TRUE(stranger.records().empty());
  EXPECT_TRUE(careless.records().empty());
  EXPECT_TRUE(has_event(stranger, "password"));
  EXPECT_TRUE(has_event(careless, "password"));
  EXPECT_TRUE(cluster.converged({0, 1, 2, 3}));
  EXPECT_EQ(cluster.node(0).records().size(), 3U);
}

TEST_F(MeshFault, AClonedDiskIsRefusedWhileTheOriginalLives) {
  Cluster cluster({.peers = 4, .seed = seed_});
  form(cluster);
  MeshNode& clone = cluster.add(cluster.node(2).identity(), Cluster::password(1));

  clone.start();
  clone.connect(Cluster::target(0));
  cluster.world().run_for(seconds(30));

  EXPECT_TRUE(clone.neighbours().empty());
  EXPECT_TRUE(has_event(clone, "remove /var/lib/weft"));
  EXPECT_TRUE(has_event(cluster.node(0), "remove /var/lib/weft"));
  EXPECT_TRUE(has_event(cluster.node(2), "another host uses our name"));
  EXPECT_TRUE(cluster.converged({0, 1, 2, 3}));
  EXPECT_EQ(cluster.node(0).withdrawals(), 0U);
}

TEST_F(MeshFault, AHostThatLostItsStoreComesBackUnderItsNameOnceTheOldRunIsGone) {
  Cluster cluster({.peers = 4, .seed = seed_});
  form(cluster);
  MeshNode& old = cluster.node(2);
  for (int run = 2; run <= 3; ++run) {
    old.stop(Net::Death::Process);
    old.start();
    old.connect(Cluster::target(0));
    ASSERT_TRUE(cluster.converges_within(seconds(60)));
  }
  MeshIdentity forgetful = cluster.add(std::nullopt, Cluster::password(1)).identity();
  forgetful.name = old.name();
  MeshNode& fresh = cluster.add(forgetful, Cluster::password(1));
  std::optional<Incarnation> lost;
  fresh.set_listener([&](const router::MeshAction& action) {
    if (const auto* outrun = std::get_if<router::Outrun>(&action)) {
      lost = outrun->earlier;
    }
  });

  fresh.start();
  fresh.connect(Cluster::target(0));
  cluster.world().run_for(seconds(60));
  EXPECT_TRUE(fresh.neighbours().empty()) << "the old run lives";
  EXPECT_FALSE(lost);
  EXPECT_TRUE(cluster.converged({0, 1, 2, 3}));

  old.stop(Net::Death::Machine);
  ASSERT_TRUE(cluster.run_until(seconds(120), [&] { return lost.has_value(); }));
  EXPECT_EQ(lost, Incarnation(3));
  // As an agent starts again that has lost its store and been told so.
  forgetful.incarnation = lost->value();
  fresh.stop(Net::Death::Process);
  MeshNode& back = cluster.add(forgetful, Cluster::password(1));
  back.start();
  back.connect(Cluster::target(0));

  EXPECT_TRUE(cluster.run_until(seconds(60), [&] { return cluster.converged({0, 1, 3, 6}); }));
  EXPECT_EQ(back.identity().incarnation, 4U);
}

TEST_F(MeshFault, TheOriginalRefusesItsOwnClone) {
  Cluster cluster({.peers = 2, .seed = seed_});
  form(cluster);
  MeshNode& clone = cluster.add(cluster.node(0).identity(), Cluster::password(1));

  clone.start();
  clone.connect(Cluster::target(0));
  cluster.world().run_for(seconds(10));

  EXPECT_TRUE(has_event(clone, "two hosts share the peer name"));
  EXPECT_TRUE(cluster.converged({0, 1}));
}

TEST_F(MeshFault, TheSameNameWithAnotherKeyIsRefused) {
  Cluster cluster({.peers = 3, .seed = seed_});
  form(cluster);
  MeshIdentity forged = cluster.add(std::nullopt, Cluster::password(1)).identity();
  forged.name = cluster.node(2).name();
  forged.incarnation = 100;
  MeshNode& impostor = cluster.add(forged, Cluster::password(1));

  impostor.start();
  impostor.connect(Cluster::target(0));
  cluster.world().run_for(seconds(10));

  EXPECT_TRUE(has_event(impostor, "two hosts share the peer name"));
  EXPECT_TRUE(cluster.converged({0, 1, 2}));
}

TEST_F(MeshFault, ARunFromARestoredBackupIsFenced) {
  Cluster cluster({.peers = 3, .seed = seed_});
  const MeshIdentity backup = cluster.node(2).identity();
  form(cluster);
  cluster.node(2).stop(Net::Death::Process);
  cluster.node(2).start();
  cluster.node(2).connect(Cluster::target(0));
  ASSERT_TRUE(cluster.converges_within(seconds(10)));
  cluster.node(2).stop(Net::Death::Process);
  MeshNode& restored = cluster.add(backup, Cluster::password(1));

  restored.start();
  restored.connect(Cluster::target(0));
  cluster.world().run_for(seconds(10));

  EXPECT_TRUE(restored.neighbours().empty());
  EXPECT_TRUE(has_event(restored, "is over, run 2 has been seen"));
}

TEST_F(MeshFault, AMassRestartRampsUpAndConverges) {
  Cluster cluster({.peers = 30, .seed = seed_});
  form(cluster);

  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).stop(Net::Death::Process);
  }
  cluster.world().run_for(seconds(1));
  const std::size_t before = cluster.net().dials();
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).start();
    // Everybody has the same seed peer on its command line.
    cluster.node(i).connect(Cluster::target(0));
  }

  EXPECT_TRUE(cluster.converges_within(seconds(20)));
  // Each keeps a handful of connections, and finds them within as many attempts again.
  EXPECT_LE(cluster.degree_max(), 12U);
  EXPECT_LE(cluster.net().dials() - before, 30 * 12U);
}

TEST_F(MeshFault, AnybodyMayComeAndGoAndTheRestConverges) {
  Cluster cluster({.peers = 16, .seed = seed_, .loss_percent = 3});
  form(cluster);

  for (int round = 0; round < 30; ++round) {
    const auto pick = world_pick(cluster, 16);
    MeshNode& node = cluster.node(pick);
    if (node.running()) {
      node.stop(cluster.world().rng().chance(50) ? Net::Death::Process : Net::Death::Machine);
    } else {
      node.start();
      node.connect(Cluster::target(world_pick(cluster, 16)));
    }
    if (cluster.world().rng().chance(30)) {
      cluster.net().cut(Cluster::address(world_pick(cluster, 16)),
                        Cluster::address(world_pick(cluster, 16)));
    }
    (void)cluster.run_until(milliseconds(500 * (1 + world_pick(cluster, 8))), [] { return false; });
  }
  cluster.net().heal();
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.node(i).running()) {
      cluster.node(i).start();
      cluster.node(i).connect(Cluster::target((i + 1) % cluster.size()));
    }
  }

  EXPECT_TRUE(cluster.converges_within(seconds(120)));
  EXPECT_TRUE(cluster.run_until(seconds(3), [&] { return cluster.routes_lead_home(); }));
}

}  // namespace
}  // namespace weft::sim
