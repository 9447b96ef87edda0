// Two allocators behind one face: what goes to which, and what concerns both.
#include "ipam/io/dual_stack.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/clock.h"
#include "sys/fake/memory_store.h"

namespace weft::ipam {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

const Cidr kV4 = cidr("10.32.0.0/24");
const Cidr kV6 = cidr("fd00:32::/64");

class DualStackTest : public testing::Test {
 protected:
  std::unique_ptr<DualStack> make(PeerName self,
                                  sys::Store& store,
                                  std::optional<AddressRange> v6,
                                  std::size_t elector_count = 1,
                                  const Cidr& range = kV4) {
    auto made = DualStack::start(
        io_.get_executor(),
        clock_,
        store,
        {.self = self, .range = range, .default_subnet = range, .elector_count = elector_count},
        v6,
        [this, self](AllocatorAction action) { gossip_.emplace_back(self, std::move(action)); });
    EXPECT_TRUE(made.ok()) << made.error().what;
    return made.ok() ? std::move(made).value() : nullptr;
  }
  std::unique_ptr<DualStack> make(std::optional<AddressRange> v6 = AddressRange{kV6, kV6}) {
    return make(PeerName(7), store_, v6);
  }

  static Allocator::AllocateRequest want(const Owner& owner, const Cidr& subnet) {
    return {.id = {}, .owner = owner, .subnet = subnet, .within = {}, .fresh = false};
  }
  DualStack::OnAnswer note() {
    return [this](const Result<Cidr>& answer) { answers_.push_back(answer); };
  }
  void run_ready() {
    io_.restart();
    io_.poll();
  }
  // What two hosts say to each other arrives, until `condition`.
  bool carry_until(DualStack& a, DualStack& b, const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(20));
      auto waiting = std::exchange(gossip_, {});
      for (const auto& [from, action] : waiting) {
        DualStack& to = from == PeerName(7) ? b : a;
        if (const auto* const all = std::get_if<GossipAll>(&action)) {
          topics_.push_back(all->topic);
          to.on_gossip(from, all->topic, all->payload);
        } else if (const auto* const one = std::get_if<GossipTo>(&action)) {
          topics_.push_back(one->topic);
          to.on_gossip(from, one->topic, one->payload);
        }
      }
    }
    return condition();
  }

  boost::asio::io_context io_;
  sys::SystemClock clock_;
  sys::MemoryStore store_;
  std::vector<Result<Cidr>> answers_;
  std::vector<std::pair<PeerName, AllocatorAction>> gossip_;
  std::vector<Topic> topics_;
};

TEST_F(DualStackTest, GivesAddressesOfBothFamiliesAndKeepsThemOverARestart) {
  auto stack = make();
  stack->allocate(want("c1", kV6), note());
  stack->allocate(want("c1", kV4), note());
  run_ready();
  ASSERT_EQ(answers_.size(), 2U);

  stack = make();

  EXPECT_THAT(stack->held_by("c1"), ElementsAre(cidr("10.32.0.1/24"), cidr("fd00:32::1/64")));
  EXPECT_THAT(stack->held(),
              ElementsAre(std::pair<Owner, Cidr>("c1", cidr("10.32.0.1/24")),
                          std::pair<Owner, Cidr>("c1", cidr("fd00:32::1/64"))));
  EXPECT_THAT(stack->owned(), ElementsAre(Span::of(kV4), Span::of(kV6)));
  EXPECT_FALSE(store_.load("ipam6_ring").value().empty());
  EXPECT_EQ(store_.load("ipam6_owned").value().size(), 1U);
  EXPECT_EQ(store_.load("ipam_owned").value().size(), 1U);
}

TEST_F(DualStackTest, ReleasingAllOfAnOwnerIsToldOnceBothAreFree) {
  const auto stack = make();
  stack->allocate(want("c1", kV6), note());
  stack->allocate(want("c1", kV4), note());
  run_ready();
  int told = 0;

  const std::size_t count = stack->release_all("c1", [&told] { ++told; });
  run_ready();

  EXPECT_EQ(count, 2U);
  EXPECT_EQ(told, 1);
  EXPECT_THAT(stack->held(), IsEmpty());
  EXPECT_EQ(stack->release_all("c1", [&told] { ++told; }), 0U);
  EXPECT_TRUE(store_.load("ipam6_owned").value().empty());
}

TEST_F(DualStackTest, CancellingARequestOfOneFamilyLeavesThatOfTheOther) {
  const auto stack = make(PeerName(7), store_, AddressRange{kV6, kV6}, 3);  // No quorum.
  const RequestId v4 = stack->allocate(want("c1", kV4), note());
  const RequestId v6 = stack->allocate(want("c1", kV6), note());
  run_ready();

  EXPECT_NE(v4, v6);
  EXPECT_TRUE(stack->cancel(v6));
  EXPECT_EQ(stack->status().pending_count, 1U);
  EXPECT_EQ(stack->status_v6()->pending_count, 0U);
  EXPECT_THAT(answers_, IsEmpty());
}

TEST_F(DualStackTest, WithoutAnIpv6RangeAddressesOfIpv6AreRecordedAndLaterReleased) {
  auto stack = make(std::nullopt);
  stack->claim("weft:found", cidr("fd00:99::5/64"), note());
  run_ready();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0].ok());
  EXPECT_FALSE(stack->status_v6().has_value());

  stack = make();  // The operator has chosen a range.

  EXPECT_THAT(stack->held_by("weft:found"), ElementsAre(cidr("fd00:99::5/64")));
  EXPECT_TRUE(stack->release("weft:found", cidr("fd00:99::5/64").address(), [] {}));
  EXPECT_THAT(stack->held(), IsEmpty());
}

TEST_F(DualStackTest, WithoutARangeNothingIsHandedOutAndWhatIsClaimedIsRecorded) {
  auto stack = make(PeerName(7), store_, std::nullopt, 2, no_range());
  EXPECT_FALSE(stack->hands_out());
  stack->on_peer_reachable(PeerName(8));
  stack->on_neighbour_up(PeerName(8));
  stack->claim("c1", cidr("10.2.1.1/24"), note());
  stack->claim("c2", cidr("10.2.1.1/24"), note());
  stack->claim("c2", cidr("fd00:99::5/64"), note());
  stack->allocate(want("c1", kV4), note());
  run_ready();

  ASSERT_EQ(answers_.size(), 4U);
  EXPECT_TRUE(answers_[0].ok());
  EXPECT_FALSE(answers_[1].ok());  // Somebody has it.
  EXPECT_TRUE(answers_[2].ok());
  EXPECT_FALSE(answers_[3].ok());
  EXPECT_THAT(gossip_, IsEmpty());  // Others' ring is no matter of this host's.

  stack = make(PeerName(7), store_, std::nullopt);  // The operator has chosen a range.

  EXPECT_TRUE(stack->hands_out());
  EXPECT_THAT(stack->held_by("c1"), ElementsAre(cidr("10.2.1.1/24")));
  stack->allocate(want("c1", kV4), note());
  run_ready();
  ASSERT_EQ(answers_.size(), 5U);
  EXPECT_EQ(answers_[4].value(), cidr("10.32.0.1/24"));
  const auto back =
      DualStack::start(io_.get_executor(),
                       clock_,
                       store_,
                       {.self = PeerName(7), .range = no_range(), .default_subnet = no_range()},
                       std::nullopt,
                       [](const AllocatorAction&) {});
  EXPECT_EQ(back.error().what,
            "load stored addresses: the stored addresses are of range 10.32.0.0/24, not none: "
            "start with --ipalloc-range "
            "10.32.0.0/24, or run `weft reset` on every host to change it");
}

TEST_F(DualStackTest, TwoHostsAgreeOnTheRingsOfBothFamilies) {
  sys::MemoryStore other_store;
  const auto a = make(PeerName(7), store_, AddressRange{kV6, kV6}, 2);
  const auto b = make(PeerName(8), other_store, AddressRange{kV6, kV6}, 2);
  for (DualStack* const stack : {a.get(), b.get()}) {
    const PeerName peer = stack == a.get() ? PeerName(8) : PeerName(7);
    stack->on_peer_reachable(peer);
    stack->on_neighbour_up(peer);
  }
  std::vector<Result<Cidr>> primed;
  a->prime([&primed](const Result<Cidr>& ready) { primed.push_back(ready); });
  a->allocate(want("c1", kV6), note());
  b->allocate(want("c2", kV6), note());

  EXPECT_TRUE(carry_until(*a, *b, [&] { return answers_.size() == 2 && primed.size() == 1; }));

  ASSERT_EQ(answers_.size(), 2U);
  ASSERT_TRUE(answers_[0].ok() && answers_[1].ok());
  EXPECT_NE(answers_[0].value(), answers_[1].value());
  EXPECT_EQ(a->status_v6()->ranges.size(), 2U);
  EXPECT_THAT(topics_, testing::Contains(Topic::Ring6));
  EXPECT_THAT(topics_, testing::Contains(Topic::Ipam6));
  EXPECT_THAT(topics_, testing::Contains(Topic::Ring));
}

}  // namespace
}  // namespace weft::ipam
