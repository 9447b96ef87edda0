#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/sealed/host.h"

namespace weft::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::uint64_t kSeeds = 5;

class Cluster {
 public:
  Cluster(std::uint64_t seed, std::size_t count) : world_(seed), net_(world_), hosts_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      SeededEntropy entropy{world_.rng().fork()};
      identities_.push_back({.name = PeerName(i + 1),
                             .key = router::KeyPair::generate(entropy),
                             .psk = router::Psk(),
                             .where = {Ipv4(0x0a000001U + static_cast<std::uint32_t>(i)), 6783}});
      start(i);
    }
  }

  World& world() { return world_; }
  DatagramNet& net() { return net_; }
  SealedHost& host(std::size_t i) { return *hosts_[i]; }
  PeerName name(std::size_t i) const { return identities_[i].name; }

  void start(std::size_t i) {
    hosts_[i] = std::make_unique<SealedHost>(net_, identities_[i], ++incarnation_);
    for (std::size_t j = 0; j < hosts_.size(); ++j) {
      if (j != i && hosts_[j]) {
        hosts_[i]->know(*hosts_[j]);
        hosts_[j]->know(*hosts_[i]);
      }
    }
  }
  void crash(std::size_t i) { hosts_[i].reset(); }

  // One packet each 10 ms from one host to another; how many arrived.
  std::uint64_t talk(std::size_t from, std::size_t to, Duration duration) {
    const std::uint64_t before = host(to).delivered_count(name(from));
    for (const TimePoint end = world_.now() + duration; world_.now() < end;) {
      host(from).send_data(name(to));
      world_.run_for(10ms);
    }
    world_.run_for(50ms);
    return host(to).delivered_count(name(from)) - before;
  }

 private:
  World world_;
  DatagramNet net_;
  std::vector<SealedHost::Identity> identities_;
  std::vector<std::unique_ptr<SealedHost>> hosts_;
  std::uint64_t incarnation_ = 0;
};

TEST(SealedSessions, AreMadeOnDemandAndCarryEverythingBothWays) {
  Cluster cluster(1, 2);
  ASSERT_EQ(cluster.host(0).sessions().stats().initiations_sent, 0U);

  const std::uint64_t there = cluster.talk(0, 1, 1s);
  const std::uint64_t back = cluster.talk(1, 0, 1s);

  EXPECT_GE(there, 98U);  // The first packets asked for the session.
  EXPECT_EQ(back, 100U);
  EXPECT_EQ(cluster.host(1).sessions().stats().handshakes, 1U);
}

TEST(SealedSessions, AreRenewedByTimeWithoutLosingAPacket) {
  Cluster cluster(2, 2);
  cluster.talk(0, 1, 1s);

  const std::uint64_t there = cluster.talk(0, 1, 400s);

  EXPECT_EQ(there, 40000U);
  EXPECT_GE(cluster.host(0).sessions().stats().handshakes, 3U);
}

TEST(SealedSessions, SurviveLossReorderingAndDuplication) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Cluster cluster(seed, 3);
    cluster.net().options() = {
        .loss_percent = 30, .duplicate_percent = 20, .latency_min = 1ms, .latency_max = 80ms};
    for (int round = 0; round < 10; ++round) {
      for (std::size_t from = 0; from < 3; ++from) {
        cluster.talk(from, (from + 1) % 3, 5s);
        cluster.talk(from, (from + 2) % 3, 5s);
      }
    }
    cluster.net().options() = {};
    for (std::size_t from = 0; from < 3; ++from) {
      // Established or not: two seconds heal it.
      cluster.talk(from, (from + 1) % 3, 2s);
      EXPECT_EQ(cluster.talk(from, (from + 1) % 3, 1s), 100U) << "seed " << seed;
    }
  }
}

TEST(SealedSessions, ComeBackWithinTwoSecondsOfACrashOfEitherSide) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const std::size_t crashed : {0U, 1U}) {
      Cluster cluster(seed, 2);
      cluster.talk(0, 1, 2s);
      cluster.crash(crashed);
      cluster.world().run_for(3s);
      cluster.start(crashed);

      const std::uint64_t arrived = cluster.talk(0, 1, 3s);

      EXPECT_GE(arrived, 100U) << "seed " << seed << ", host " << crashed;
    }
  }
}

TEST(SealedSessions, FollowAPeerThatMoves) {
  Cluster cluster(3, 2);
  cluster.talk(0, 1, 1s);
  cluster.host(0).move_to({Ipv4(0x0b000001), 40000});

  EXPECT_EQ(cluster.talk(0, 1, 1s), 100U);
  EXPECT_EQ(cluster.talk(1, 0, 1s), 100U);
}

TEST(SealedSessions, ReplayingAllThatWasEverSentDeliversNothingAgain) {
  Cluster cluster(4, 2);
  cluster.talk(0, 1, 2s);
  cluster.talk(1, 0, 2s);
  const std::uint64_t before = cluster.host(1).delivered_count(cluster.name(0));
  const std::uint64_t handshakes = cluster.host(1).sessions().stats().handshakes;

  for (const auto& [from, datagram] : std::vector(cluster.net().captured())) {
    cluster.host(1).on_datagram(from, datagram);
  }
  cluster.world().run_for(1s);

  EXPECT_EQ(cluster.host(1).delivered_count(cluster.name(0)), before);
  EXPECT_EQ(cluster.host(1).sessions().stats().handshakes, handshakes);
  EXPECT_EQ(cluster.talk(0, 1, 1s), 100U);
}

TEST(SealedSessions, AskForAProofOfAddressUnderAFlood) {
  Cluster cluster(5, 2);
  // Initiations of a member in a row, as from a host gone mad: each is new.
  SealedHost& victim = cluster.host(1);
  cluster.talk(0, 1, 100ms);
  const std::vector<std::pair<Endpoint, Bytes>> captured = cluster.net().captured();
  for (int i = 0; i < 1000; ++i) {
    victim.on_datagram(captured.front().first, captured.front().second);
  }

  EXPECT_GT(victim.sessions().stats().cookies_sent, 500U);
  cluster.world().run_for(2s);
  EXPECT_EQ(cluster.talk(0, 1, 1s), 100U);
}

TEST(SealedSessions, PeersWhoBeginAtOnceAgree) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Cluster cluster(seed, 2);
    cluster.host(0).send_data(cluster.name(1));
    cluster.host(1).send_data(cluster.name(0));
    cluster.world().run_for(500ms);

    EXPECT_EQ(cluster.talk(0, 1, 1s), 100U);
    EXPECT_EQ(cluster.talk(1, 0, 1s), 100U);
  }
}

TEST(SealedSessions, AStrangerGetsNoAnswer) {
  Cluster cluster(6, 1);
  SeededEntropy entropy{Rng(99)};
  router::Psk wrong;
  wrong.bytes().fill(9);
  SealedHost stranger(cluster.net(),
                      {.name = PeerName(77),
                       .key = router::KeyPair::generate(entropy),
                       .psk = wrong,
                       .where = {Ipv4(0x0a0000ff), 6783}},
                      1);
  stranger.know(cluster.host(0));
  cluster.host(0).know(stranger);

  stranger.send_data(cluster.name(0));
  cluster.world().run_for(5s);

  EXPECT_FALSE(stranger.send_data(cluster.name(0)));
  EXPECT_GT(cluster.host(0).sessions().stats().strangers, 0U);
  EXPECT_EQ(cluster.host(0).sessions().stats().handshakes, 0U);
}

}  // namespace
}  // namespace weft::sim
