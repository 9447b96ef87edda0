// Many peers, many operations, every fault at once: no address ever has two owners, and when the
// faults are over everybody has what it asked for.
//
// The model of who may own what is Cluster's: what every client was told it has, which no other may
// be told and its host may not lose; and the set each host may hand out or holds, no two of which
// ever overlap. Both are compared after every event.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Faults kRough{.loss_percent = 10, .duplicate_percent = 10, .latency_ms_max = 80};

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

struct Storm {
  NodeId peers = 0;
  std::uint64_t operations = 0;
  std::uint32_t fault_permille = 0;  // Of the operations; the others are what clients do.
  std::uint32_t step_ms_max = 0;     // Between two operations.
};

// One operation at a peer chosen at random.
void operate(Cluster& cluster, Rng& rng, const Storm& storm) {
  const NodeId node = rng.below(storm.peers);
  const std::string owner = fmt::format("n{}c{}", node, rng.below(24));
  if (!cluster.is_up(node)) {
    if (rng.below(1'000) < 300) {
      cluster.start(node);
    }
    return;
  }
  if (rng.below(1'000) >= storm.fault_permille) {
    rng.below(100) < 65 ? cluster.allocate(node, owner) : cluster.release_all(node, owner);
    return;
  }
  const std::uint32_t dice = rng.below(100);
  if (dice < 25) {
    cluster.crash(node);
  } else if (dice < 45) {
    cluster.freeze(node, seconds(1 + rng.below(30)));
  } else if (dice < 57) {
    cluster.partition({rng.below(storm.peers), rng.below(storm.peers), rng.below(storm.peers)});
  } else if (dice < 75) {
    cluster.heal();
  } else {  // Between any two actions: before or after any Persist, before any message.
    cluster.crash_at_action(rng.below(50), milliseconds(rng.below(20'000)));
  }
}

void weather(std::uint64_t seed, const Storm& storm) {
  World world(seed);
  const bool is_large = storm.peers > 50;
  Cluster cluster(world,
                  {.nodes = storm.peers,
                   .range = is_large ? "10.32.0.0/18" : "10.32.0.0/24",
                   .elector_count = 3,
                   .degree = is_large ? NodeId{8} : NodeId{0},
                   .faults = kRough,
                   .replay = fmt::format("WEFT_SEED={}", seed)});
  Rng rng(seed * 7'919);
  for (std::uint64_t step = 0; step < storm.operations; ++step) {
    operate(cluster, rng, storm);
    world.run_for(milliseconds(rng.below(storm.step_ms_max)));
  }

  cluster.no_more_crashes();
  cluster.set_faults({});
  cluster.heal();
  world.run_for(seconds(40));  // Whoever is frozen thaws.
  for (NodeId node = 0; node < storm.peers; ++node) {
    if (!cluster.is_up(node)) {
      cluster.start(node);
    }
  }
  cluster.retry_unanswered();
  world.run_for(seconds(200));

  EXPECT_EQ(cluster.unanswered_count(), 0U);
  EXPECT_TRUE(cluster.rings_agree());
  fmt::print("{} peers, {} operations: {} crashes, {} actions performed, {} events checked\n",
             storm.peers,
             storm.operations,
             cluster.crash_count(),
             cluster.actions_performed(),
             world.events_run());
}

TEST(ScaleScenario, DeathFreezeAndPartitionNeverGiveAnAddressTwoOwners) {
  for (const std::uint64_t seed : seeds(6)) {
    SCOPED_TRACE(seed);
    weather(seed, {.peers = 9, .operations = 600, .fault_permille = 80, .step_ms_max = 500});
  }
}

// One founder, of whom all the others have their space, and a network that loses nearly half of
// what is said: parts of the ring arrive without what went before. What loses and finds again takes
// its time, so nobody dies.
TEST(ScaleScenario, NoRingEverSaysThatAnEntryOwnsMoreThanItDid) {
  for (const std::uint64_t seed : seeds(6)) {
    SCOPED_TRACE(seed);
    World world(seed);
    Cluster cluster(world,
                    {.nodes = 8,
                     .range = "10.32.0.0/25",
                     .elector_count = 1,
                     .degree = 4,
                     .watch_ends = true,
                     .replay = fmt::format("WEFT_SEED={}", seed)});
    Rng rng(seed * 7'919);
    for (NodeId node = 1; node < 8; ++node) {
      cluster.crash(node);
    }
    cluster.prime(0);
    world.run_for(seconds(2));
    for (NodeId node = 1; node < 8; ++node) {
      cluster.start(node);
    }
    world.run_for(seconds(2));
    cluster.set_faults({.loss_percent = 45, .duplicate_percent = 10, .latency_ms_max = 400});
    for (int step = 0; step < 400; ++step) {
      const NodeId node = rng.below(8);
      const std::string owner = fmt::format("n{}c{}", node, rng.below(12));
      rng.below(100) < 60 ? cluster.allocate(node, owner) : cluster.release_all(node, owner);
      world.run_for(milliseconds(rng.below(300)));
    }
    cluster.set_faults({});
    world.run_for(seconds(120));

    EXPECT_TRUE(cluster.rings_agree());
  }
}

// WEFT_IPAM_PEERS=200 WEFT_IPAM_OPERATIONS=100000 WEFT_IPAM_STEP_MS=4 is the long run.
TEST(ScaleScenario, ALargeClusterInAStormNeverGivesAnAddressTwoOwners) {
  const Storm storm{
      .peers = static_cast<NodeId>(number_from("WEFT_IPAM_PEERS", 60)),
      .operations = number_from("WEFT_IPAM_OPERATIONS", 2'000),
      .fault_permille = static_cast<std::uint32_t>(number_from("WEFT_IPAM_FAULTS", 20)),
      .step_ms_max = static_cast<std::uint32_t>(number_from("WEFT_IPAM_STEP_MS", 10))};

  weather(seeds(1).front(), storm);
}

}  // namespace
}  // namespace weft::ipam::sim
