// Small clusters over months: hosts come, crash, lose their power together, are cut apart, leave
// and are removed, in any order and at any moment. No address ever has two owners (the checkers of
// the cluster), and once all is well again whoever asks is answered.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/sim/ipam/cluster.h"

namespace weft::ipam::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Faults kRough{.loss_percent = 5, .duplicate_percent = 5, .latency_ms_max = 60};

constexpr seconds kDowntime{3};           // Of an agent that its host starts again.
constexpr std::uint32_t kOwnerCount = 8;  // On each host.

class Life {
 public:
  Life(std::uint64_t seed, NodeId node_count)
      : world_(seed),
        rng_(seed * 6'271 + node_count),
        node_count_(node_count),
        cluster_(world_,
                 {.nodes = node_count,
                  .range = "10.32.0.0/25",
                  .elector_count = node_count,
                  .faults = kRough,
                  .replay = fmt::format("WEFT_SEED={}", seed)}) {
    for (NodeId node = 0; node < node_count; ++node) {
      newcomers_.insert(node);
    }
  }

  void live(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      world_.run_for(rng_.chance(20) ? seconds(rng_.below(15)) : milliseconds(rng_.below(1'500)));
    }
  }

  std::size_t unanswered_once_all_is_well() {
    cluster_.set_faults({});
    cluster_.heal();
    cluster_.no_more_crashes();
    world_.run_for(seconds(20));  // Whoever is frozen thaws.
    for (NodeId node = 0; node < node_count_; ++node) {
      if (!cluster_.is_up(node)) {
        cluster_.start(node);
      }
    }
    world_.run_for(seconds(60));
    cluster_.everyone_allocates(2);
    cluster_.retry_unanswered();
    world_.run_for(seconds(120));
    return cluster_.unanswered_count();
  }

  bool rings_agree() const { return cluster_.rings_agree(); }
  std::string details() const {
    std::string text;
    for (NodeId node = 0; node < node_count_; ++node) {
      const AllocatorStatus status = cluster_.allocator(node).status();
      text += fmt::format("{}: decree {}, {} pending, {} {}\n",
                          cluster_.name(node).to_string(),
                          status.decree,
                          status.pending_count,
                          status.detail,
                          status.conflict);
    }
    return text;
  }

 private:
  void step() {
    const NodeId node = rng_.below(node_count_);
    const std::uint32_t dice = rng_.below(100);
    if (dice < 2) {
      cut_the_power();
    } else if (dice < 6) {
      is_cut_ = true;
      cluster_.partition({node});
    } else if (dice < 14) {
      is_cut_ = false;
      cluster_.heal();
    } else if (dice < 16) {
      const auto duration = seconds(1 + rng_.below(20));
      thawed_ = std::max(thawed_, world_.now() + duration);
      cluster_.freeze(node, duration);
    } else if (dice < 18) {
      cluster_.crash_at_action(rng_.below(30), kDowntime);
    } else if (!cluster_.is_up(node)) {
      dice < 32 ? remove(node) : cluster_.start(node);
    } else if (dice < 26) {
      cluster_.crash(node);
    } else if (dice < 31) {
      leave(node);
    } else if (const auto owner = fmt::format("n{}c{}", node, rng_.below(kOwnerCount)); dice < 75) {
      cluster_.allocate(node, owner);
    } else {
      cluster_.release_all(node, owner);
    }
  }

  void cut_the_power() {
    for (NodeId node = 0; node < node_count_; ++node) {
      if (cluster_.is_up(node)) {
        cluster_.crash(node);
      }
    }
    world_.run_for(seconds(rng_.below(20)));
    for (NodeId node = 0; node < node_count_; ++node) {
      if (rng_.chance(80) && !cluster_.is_up(node)) {
        cluster_.start(node);
      }
    }
  }

  NodeId up_count() const {
    NodeId count = 0;
    for (NodeId node = 0; node < node_count_; ++node) {
      count += cluster_.is_up(node) ? 1U : 0U;
    }
    return count;
  }

  // The addresses that the last removal or departure moved, if it has ended well.
  bool has_succeeded(std::size_t before) const {
    const auto& removals = cluster_.removals();
    return removals.size() > before
           && removals.back().find_first_not_of("0123456789") == std::string::npos;
  }

  // Enough of those who have no ring, cut off from the others, found one of their own. That is two
  // clusters, which no scenario here is about.
  bool knows_no_other_newcomer(NodeId node) {
    for (NodeId other = 0; other < node_count_; ++other) {
      if (cluster_.is_up(other) && cluster_.allocator(other).ring() != nullptr) {
        newcomers_.erase(other);
      }
    }
    return newcomers_.empty() || newcomers_ == std::set<NodeId>{node};
  }

  void install_anew(NodeId node) {
    cluster_.lose_store(node);
    newcomers_.insert(node);
  }

  // So that what an operator does about a host is not crossed by its own fate.
  void calm_down() {
    cluster_.no_more_crashes();
    world_.run_for(kDowntime);
  }

  // `gone` is down. Its machine is installed anew.
  void remove(NodeId gone) {
    calm_down();
    const NodeId by = rng_.below(node_count_);
    if (!cluster_.is_up(by) || cluster_.is_up(gone) || cluster_.allocator(by).ring() == nullptr
        || !knows_no_other_newcomer(gone)) {
      return;
    }
    const std::size_t before = cluster_.removals().size();
    cluster_.abandon(gone);
    cluster_.remove_peer(by, gone);
    while (cluster_.removals().size() == before && cluster_.is_up(by)) {
      world_.run_for(milliseconds(200));  // It is given up after a while.
    }
    if (has_succeeded(before)) {
      install_anew(gone);
    }
  }

  // Somebody has to be there who remembers.
  void leave(NodeId node) {
    calm_down();
    if (!cluster_.is_up(node) || world_.now() < thawed_ || up_count() < 3 || is_cut_
        || !knows_no_other_newcomer(node)) {
      return;
    }
    const std::size_t before = cluster_.removals().size();
    cluster_.abandon(node);
    cluster_.leave(node);
    while (cluster_.removals().size() == before) {
      world_.run_for(milliseconds(200));
    }
    if (has_succeeded(before)) {
      world_.run_for(milliseconds(rng_.below(4'000)));
      cluster_.crash(node);
      install_anew(node);
    }
  }

  World world_;
  Rng rng_;
  NodeId node_count_;
  Cluster cluster_;
  bool is_cut_ = false;
  TimePoint thawed_{};
  std::set<NodeId> newcomers_;  // Who may have no ring.
};

class LifeScenario : public testing::TestWithParam<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Seeds, LifeScenario, testing::ValuesIn(seeds(40)));
// In which a removal that was given up took place after all, once its victim had come back.
INSTANTIATE_TEST_SUITE_P(LateRemoval, LifeScenario, testing::Values(552));

TEST_P(LifeScenario, WhoeverAsksIsAnsweredOnceAllIsWell) {
  for (const NodeId node_count : {2U, 3U, 4U, 5U, 7U}) {
    Life life(GetParam(), node_count);

    life.live(150);

    EXPECT_EQ(life.unanswered_once_all_is_well(), 0U)
        << node_count << " hosts, WEFT_SEED=" << GetParam() << "\n"
        << life.details();
    EXPECT_TRUE(life.rings_agree()) << node_count << " hosts, WEFT_SEED=" << GetParam() << "\n"
                                    << life.details();
  }
}

}  // namespace
}  // namespace weft::ipam::sim
