// Agents on a starved machine: each gets the processor only now and then, and finds then all at
// once what came meanwhile. Nobody is ill, so all that is said of silence is noise, and noise
// starves them further.
#include <chrono>
#include <iostream>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/mesh/cluster.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Turns {
  Duration pause_min{};
  Duration pause_max{};
};

// Whoever is here runs for a moment, and again after a pause that is another each time.
class Starvation {
 public:
  Starvation(Cluster& cluster, Turns turns) : cluster_(cluster), turns_(turns) {}
  Starvation(const Starvation&) = delete;
  Starvation& operator=(const Starvation&) = delete;

  void begin(std::size_t index) {
    cluster_.node(index).freeze();
    const Duration span = turns_.pause_max - turns_.pause_min;
    cluster_.world().after(turns_.pause_min + span * cluster_.world().rng().below(1000) / 1000,
                           [this, index] {
                             cluster_.node(index).thaw();
                             if (!is_over_) {
                               begin(index);
                             }
                           });
  }
  void end() { is_over_ = true; }

 private:
  Cluster& cluster_;
  const Turns turns_;
  bool is_over_ = false;
};

struct Noise {
  double accusations = 0;
  double statements = 0;
  double bytes = 0;
  double lost = 0;
};

Noise noise_of(const Cluster& cluster) {
  Noise sum;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    const router::MeshStats stats = cluster.node(i).mesh().stats();
    sum.accusations += static_cast<double>(stats.accusations);
    sum.statements += static_cast<double>(stats.statements);
    sum.lost += static_cast<double>(stats.suspensions);
  }
  sum.bytes = static_cast<double>(cluster.wire_bytes());
  return sum;
}

Noise each_since(const Cluster& cluster, const Noise& before) {
  const Noise now = noise_of(cluster);
  const auto peers = static_cast<double>(cluster.size());
  return {(now.accusations - before.accusations) / peers,
          (now.statements - before.statements) / peers,
          (now.bytes - before.bytes) / peers,
          (now.lost - before.lost) / peers};
}

void print(const char* what, const Noise& each) {
  std::cout << what << ": each accused " << each.accusations << " times, stated " << each.statements
            << " times, sent " << each.bytes << " B, took " << each.lost << " for lost\n";
}

// As of each one's last turn.
bool all_reach_all(const Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (cluster.node(i).reachable().size() + 1 < cluster.size()) {
      return false;
    }
  }
  return true;
}

class MeshStarved : public ::testing::Test {
 protected:
  static Cluster::Options options(std::size_t peers) {
    Cluster::Options options{.peers = peers, .seed = seed_or(5)};
    options.watch = MeshNode::Watch::Counts;
    return options;
  }

  static void form(Cluster& cluster) {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      cluster.node(i).start();
      if (i > 0) {
        cluster.node(i).connect(
            Cluster::target(cluster.world().rng().below(static_cast<std::uint32_t>(i))));
      }
      cluster.world().run_for(milliseconds(20));
    }
    ASSERT_TRUE(cluster.settles_within(seconds(30)));
    cluster.world().run_for(seconds(15));
  }

  // A minute in which the first `count` are starved.
  static Noise starve(Cluster& cluster, std::size_t count, Turns turns) {
    form(cluster);
    const Noise before = noise_of(cluster);
    Starvation starvation(cluster, turns);
    for (std::size_t i = 0; i < count; ++i) {
      starvation.begin(i);
    }
    cluster.world().run_for(seconds(60));
    const Noise each = each_since(cluster, before);
    starvation.end();
    cluster.world().run_for(turns.pause_max);
    EXPECT_TRUE(cluster.settles_within(seconds(15)));
    EXPECT_TRUE(cluster.run_until(seconds(20), [&] { return cluster.stores_agree(); }));
    print("in a minute", each);
    return each;
  }
};

TEST_F(MeshStarved, OfAHundredThatRunEveryOneToThreeSecondsNobodyIsSaidToBeSilent) {
  Cluster cluster(options(100));

  const Noise each = starve(cluster, 100, {.pause_min = seconds(1), .pause_max = seconds(3)});

  EXPECT_LE(each.accusations, 0.1);
  EXPECT_EQ(each.lost, 0);
  EXPECT_LE(each.bytes, 60 * 1000);
}

TEST_F(MeshStarved, OfAHundredThatRunEveryHalfToOneAndAHalfSecondsNobodyIsSaidToBeSilent) {
  Cluster cluster(options(100));

  const Noise each =
      starve(cluster, 100, {.pause_min = milliseconds(500), .pause_max = milliseconds(1500)});

  EXPECT_LE(each.accusations, 0.1);
  EXPECT_EQ(each.lost, 0);
  EXPECT_LE(each.bytes, 60 * 1000);
}

TEST_F(MeshStarved, WhereAHalfIsStarvedTheOthersSaySoOnceOrTwice) {
  Cluster cluster(options(100));

  const Noise each = starve(cluster, 50, {.pause_min = seconds(1), .pause_max = seconds(3)});

  EXPECT_LE(each.accusations, 5);
  EXPECT_EQ(each.lost, 0);
}

TEST_F(MeshStarved, WhoIsGoneIsMissedThoughAllAreStarved) {
  Cluster cluster(options(100));
  form(cluster);
  Starvation starvation(cluster, {.pause_min = milliseconds(500), .pause_max = seconds(2)});
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (i != 42) {
      starvation.begin(i);
    }
  }
  cluster.world().run_for(seconds(20));
  const PeerName gone = cluster.node(42).name();
  const TimePoint since = cluster.world().now();

  cluster.node(42).stop(Net::Death::Machine);
  const bool missed = cluster.run_until(seconds(60), [&] {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (i != 42 && cluster.node(i).reaches(gone)) {
        return false;
      }
    }
    return true;
  });

  std::cout << "missed by all after " << (cluster.world().now() - since) / milliseconds(1)
            << " ms\n";
  EXPECT_TRUE(missed);
  starvation.end();
  cluster.world().run_for(seconds(2));
}

TEST_F(MeshStarved, AHundredThatStartStarved) {
  Cluster cluster(options(100));
  Starvation starvation(cluster, {.pause_min = milliseconds(200), .pause_max = milliseconds(1200)});
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).start();
    for (std::size_t told = 0; i > 0 && told < 2; ++told) {
      cluster.node(i).connect(
          Cluster::target(cluster.world().rng().below(static_cast<std::uint32_t>(i))));
    }
    starvation.begin(i);
    cluster.world().run_for(milliseconds(20));
  }
  const TimePoint started = cluster.world().now();

  const bool settled = cluster.run_until(seconds(120), [&] { return all_reach_all(cluster); });

  const Noise each = each_since(cluster, {});
  print("until they have settled", each);
  std::cout << "settled after " << (cluster.world().now() - started) / milliseconds(1) << " ms\n";
  EXPECT_TRUE(settled);
  starvation.end();
  cluster.world().run_for(seconds(2));
}

}  // namespace
}  // namespace weft::sim
