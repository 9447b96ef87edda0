// Two meshes that dial each other several times at once, over wires on which every message waits
// until the schedule lets it arrive: the connections share nothing, so any of them may be ahead.
#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/router_mesh/mesh_pair.h"

namespace weft::router {
namespace {

constexpr TimePoint kStart{};

// What picks the next message to arrive, of `count` that are first in their direction.
using Schedule = std::function<std::size_t(std::size_t count)>;

class Crossing {
 public:
  Crossing(std::size_t by_alice, std::size_t by_bob) {
    for (std::size_t i = 0; i < by_alice; ++i) {
      dial(0, i);
    }
    for (std::size_t i = 0; i < by_bob; ++i) {
      dial(1, i);
    }
  }

  // Everything up to the last message of each handshake, the same in every run.
  void shake_hands() {
    for (Wire& wire : wires_) {
      deliver(wire, 1 - wire.dialler);  // Greetings, both ways.
      deliver(wire, wire.dialler);
      deliver(wire, 1 - wire.dialler);  // The first message and the second.
      deliver(wire, wire.dialler);
    }
  }

  // One message arrives; false if none is under way.
  bool step(const Schedule& schedule) {
    std::vector<std::pair<Wire*, std::size_t>> ready;
    for (Wire& wire : wires_) {
      for (const std::size_t side : {0U, 1U}) {
        if (!wire.toward[side].empty()) {
          ready.emplace_back(&wire, side);
        }
      }
    }
    if (ready.empty()) {
      return false;
    }
    const auto& [wire, side] = ready.at(schedule(ready.size()));
    deliver(*wire, side);
    return true;
  }

  std::size_t ready_count() const {
    return std::accumulate(
        wires_.begin(), wires_.end(), std::size_t{0}, [](std::size_t sum, const Wire& wire) {
          return sum + (wire.toward[0].empty() ? 0U : 1U) + (wire.toward[1].empty() ? 0U : 1U);
        });
  }

  std::size_t downs() const {
    return ends_[0]->all<NeighbourDown>().size() + ends_[1]->all<NeighbourDown>().size();
  }

  // Both ends use one connection, and it is the same.
  void expect_one_survivor() const {
    std::vector<bool> open[2];
    for (const std::size_t side : {0U, 1U}) {
      const auto closed = ends_[side]->all<CloseLink>();
      for (const Wire& wire : wires_) {
        open[side].push_back(
            std::none_of(closed.begin(), closed.end(), [&](const CloseLink& action) {
              return action.link == wire.links[side];
            }));
      }
      const auto shown = ends_[side]->operator->()->connections();
      EXPECT_EQ(std::count_if(shown.begin(),
                              shown.end(),
                              [](const ConnectionStatus& connection) {
                                return connection.state == ConnectionState::Established;
                              }),
                1);
      EXPECT_EQ(shown.size(), 1U);
      ends_[side]->operator->()->check_invariants();
    }
    EXPECT_EQ(std::count(open[0].begin(), open[0].end(), true), 1);
    EXPECT_EQ(open[0], open[1]);
  }

 private:
  struct Wire {
    std::size_t dialler = 0;
    LinkId links[2];
    std::deque<MeshAction> toward[2];
  };

  void dial(std::size_t side, std::size_t number) {
    MeshUnderTest& dialler = *ends_[side];
    const std::string where = "10.0." + std::to_string(number) + "." + std::to_string(2 - side);
    dialler->connect(kStart, where, dialler.out);
    dialler->on_deadline(kStart, dialler.out);
    collect();
    Wire wire;
    wire.dialler = side;
    wire.links[side] = dialler.all<Dial>().back().link;
    const Endpoint here{Ipv4(0x0a000001), 40000};
    const Endpoint there{Ipv4(0x0a000002), 6783};
    MeshUnderTest& listener = *ends_[1 - side];
    wire.links[1 - side] = listener->on_accepted(kStart, there, here, listener.out);
    wires_.push_back(std::move(wire));
    dialler->on_connected(kStart, wires_.back().links[side], here, there, dialler.out);
    collect();
  }

  void deliver(Wire& wire, std::size_t side) {
    if (wire.toward[side].empty()) {
      return;
    }
    const MeshAction action = std::move(wire.toward[side].front());
    wire.toward[side].pop_front();
    MeshUnderTest& end = *ends_[side];
    if (const auto* sent = std::get_if<SendBytes>(&action)) {
      end->on_bytes(kStart, wire.links[side], sent->bytes, end.out);
    } else {
      end->on_link_closed(kStart, wire.links[side], "closed by the peer", end.out);
    }
    end->on_deadline(kStart, end.out);
    collect();
  }

  // Puts what came out of the meshes on its way.
  void collect() {
    for (const std::size_t side : {0U, 1U}) {
      for (; collected_[side] < ends_[side]->out.size(); ++collected_[side]) {
        const MeshAction& action = ends_[side]->out[collected_[side]];
        const auto* sent = std::get_if<SendBytes>(&action);
        const auto* closed = std::get_if<CloseLink>(&action);
        for (Wire& wire : wires_) {
          if ((sent != nullptr && sent->link == wire.links[side])
              || (closed != nullptr && closed->link == wire.links[side])) {
            wire.toward[1 - side].push_back(action);
          }
        }
      }
    }
  }

  std::unique_ptr<MeshUnderTest> ends_[2] = {
      std::make_unique<MeshUnderTest>(MeshUnderTest::options(1), 1),
      std::make_unique<MeshUnderTest>(MeshUnderTest::options(2), 2)};
  std::size_t collected_[2] = {0, 0};
  std::deque<Wire> wires_;
};

// What is left arrives in turns.
void finish(Crossing& crossing) {
  std::size_t turn = 0;
  while (crossing.step([&](std::size_t count) { return ++turn % count; })) {
  }
}

// Each way in which the first `depth` messages after the handshakes can arrive.
std::size_t explore(std::size_t by_alice, std::size_t by_bob, std::size_t depth) {
  std::size_t runs = 0;
  std::vector<std::size_t> choices;
  do {
    Crossing crossing(by_alice, by_bob);
    crossing.shake_hands();
    std::vector<std::size_t> counts;
    while (counts.size() < depth && crossing.ready_count() > 0) {
      choices.resize(std::max(choices.size(), counts.size() + 1));
      const std::size_t choice = choices[counts.size()];
      counts.push_back(crossing.ready_count());
      crossing.step([choice](std::size_t) { return choice; });
    }
    finish(crossing);
    crossing.expect_one_survivor();
    EXPECT_EQ(crossing.downs(), 0U);
    ++runs;
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "order of arrival: " << ::testing::PrintToString(choices);
      return runs;
    }
    // The next order: the last choice that has another alternative takes it.
    choices.resize(counts.size());
    while (!choices.empty() && choices.back() + 1 == counts[choices.size() - 1]) {
      choices.pop_back();
    }
    if (!choices.empty()) {
      ++choices.back();
    }
  } while (!choices.empty());
  return runs;
}

TEST(MeshDuplicates, TwoThatDialEachOtherKeepOneConnectionInEveryOrderOfArrival) {
  EXPECT_GE(explore(1, 1, 8), 1000U);
}

TEST(MeshDuplicates, OneThatDialsTwiceKeepsOneConnectionInEveryOrderOfArrival) {
  EXPECT_GE(explore(2, 0, 7), 400U);
  EXPECT_GE(explore(0, 2, 7), 400U);
}

TEST(MeshDuplicates, UpToThreeDialsEachWayLeaveOneConnectionInManyOrdersOfArrival) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    const std::size_t by_alice = rng.below(4);
    const std::size_t by_bob = by_alice == 0 ? 1 + rng.below(3) : rng.below(4);
    Crossing crossing(by_alice, by_bob);
    while (crossing.step(
        [&](std::size_t count) { return rng.below(static_cast<std::uint32_t>(count)); })) {
    }

    crossing.expect_one_survivor();
    EXPECT_EQ(crossing.downs(), 0U);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", " << by_alice << " + " << by_bob;
  }
}

}  // namespace
}  // namespace weft::router
