// The service around the allocator: order, grouping and what happens when the store fails.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/io/ipam_service.h"
#include "sys/clock.h"
#include "sys/fake/memory_store.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

const Cidr kRange = Cidr::parse("10.32.0.0/24").value();

// Counts transactions and fails on demand.
class WatchedStore final : public sys::Store {
 public:
  Result<Ok> apply(const StoreBatch& batch) override {
    if (is_broken) {
      ++failed_count;
      return Error{Errc::Os, "disk full"};
    }
    ++applied_count;
    return memory.apply(batch);
  }
  Result<StoreTable> load(const std::string& table) override { return memory.load(table); }
  void apply_later(std::shared_ptr<const StoreBatch> batch,
                   boost::asio::any_io_executor executor,
                   OnApplied on_applied) override {
    if (!is_slow) {
      Store::apply_later(std::move(batch), std::move(executor), std::move(on_applied));
      return;
    }
    waiting = [this, batch, on_applied] { on_applied(apply(*batch)); };
  }
  // The disk is done with what it was given while it was slow.
  void finish(boost::asio::io_context& io) { boost::asio::post(io, std::exchange(waiting, {})); }

  sys::MemoryStore memory;
  bool is_broken = false;
  bool is_slow = false;
  std::function<void()> waiting;
  int applied_count = 0;
  int failed_count = 0;
};

class Service : public testing::Test {
 public:
  void start(std::size_t elector_count = 1) {
    service = IpamService::start(io.get_executor(),
                                 clock,
                                 store,
                                 {.self = PeerName(7),
                                  .range = kRange,
                                  .default_subnet = kRange,
                                  .elector_count = elector_count},
                                 [this](AllocatorAction action) {
                                   EXPECT_FALSE(store.is_broken);
                                   gossip.push_back(std::move(action));
                                 })
                  .value();
  }

  RequestId allocate(const std::string& owner) {
    return service->allocate(
        {.id = {}, .owner = owner, .subnet = kRange, .within = {}, .fresh = false},
        [this](const Result<Cidr>& result) { answers.push_back(result); });
  }

  bool run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io.restart();
      io.run_one_for(milliseconds(100));
    }
    return condition();
  }

  // Whatever can run without time passing.
  void run_ready() {
    io.restart();
    io.poll();
  }

  boost::asio::io_context io;
  sys::SystemClock clock;
  WatchedStore store;
  std::unique_ptr<IpamService> service;
  std::vector<AllocatorAction> gossip;
  std::vector<Result<Cidr>> answers;
};

TEST_F(Service, AnswersOnTheExecutorAndNeverWithinTheCall) {
  start();

  allocate("c1");
  EXPECT_TRUE(answers.empty());
  run_ready();

  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].value(), Cidr::parse("10.32.0.1/24").value());
}

TEST_F(Service, ABurstOfRequestsIsOneTransaction) {
  start();

  for (int i = 0; i < 100; ++i) {
    allocate("c" + std::to_string(i));
  }
  run_ready();

  EXPECT_EQ(answers.size(), 100U);
  EXPECT_EQ(store.applied_count, 1);
}

TEST_F(Service, WhatArrivesWhileTheDiskIsBusySharesTheNextTransaction) {
  start();
  store.is_slow = true;
  allocate("c1");
  allocate("c2");
  run_ready();
  for (int i = 3; i < 20; ++i) {
    allocate("c" + std::to_string(i));
    run_ready();
  }
  EXPECT_EQ(store.applied_count, 0);
  EXPECT_TRUE(answers.empty());

  store.finish(io);
  run_ready();
  EXPECT_EQ(answers.size(), 2U);
  store.finish(io);
  run_ready();

  EXPECT_EQ(answers.size(), 19U);
  EXPECT_EQ(store.applied_count, 2);
}

TEST_F(Service, NothingLeavesWhileTheStoreFails) {
  start();
  store.is_broken = true;
  allocate("c1");
  service->on_neighbour_up(PeerName(9));
  run_ready();
  EXPECT_TRUE(answers.empty());
  EXPECT_TRUE(gossip.empty());
  EXPECT_GE(store.failed_count, 1);

  store.is_broken = false;
  ASSERT_TRUE(run_until([this] { return !answers.empty(); }));

  EXPECT_TRUE(answers[0].ok());
  EXPECT_FALSE(gossip.empty());
}

TEST_F(Service, AReleaseIsDurableWhenItIsConfirmed) {
  start();
  allocate("c1");
  run_ready();
  std::optional<StoreTable> rows;

  EXPECT_TRUE(service->release(
      "c1", Ip::parse("10.32.0.1").value(), [&] { rows = store.load("ipam_owned").value(); }));
  EXPECT_FALSE(rows.has_value());
  run_ready();

  ASSERT_TRUE(rows.has_value());
  EXPECT_TRUE(rows->empty());
  EXPECT_FALSE(service->release("c1", Ip::parse("10.32.0.1").value(), [] {}));
}

TEST_F(Service, ACancelledRequestIsNotAnswered) {
  start(3);

  const RequestId id = allocate("c1");
  run_ready();
  EXPECT_TRUE(service->cancel(id));
  EXPECT_FALSE(service->cancel(id));
  run_ready();

  EXPECT_EQ(service->allocator().status().pending_count, 0U);
  service.reset();
  run_ready();
  EXPECT_TRUE(answers.empty());
}

TEST_F(Service, ARequestThatWasDecidedIsAnsweredInsteadOfCancelled) {
  start();

  const RequestId id = allocate("c1");
  EXPECT_FALSE(service->cancel(id));
  run_ready();

  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(answers[0].ok());
  EXPECT_FALSE(service->cancel(id));
}

TEST_F(Service, TwoServicesAgreeOnARingOverGossip) {
  start(2);
  WatchedStore other_store;
  std::vector<AllocatorAction> other_gossip;
  auto other =
      IpamService::start(
          io.get_executor(),
          clock,
          other_store,
          {.self = PeerName(9), .range = kRange, .default_subnet = kRange, .elector_count = 2},
          [&](AllocatorAction action) { other_gossip.push_back(std::move(action)); })
          .value();
  const auto carry = [](std::vector<AllocatorAction>& from, PeerName sender, IpamService& to) {
    for (const AllocatorAction& action : std::exchange(from, {})) {
      if (const auto* all = std::get_if<GossipAll>(&action)) {
        to.on_gossip(sender, all->topic, all->payload);
      } else if (const auto* one = std::get_if<GossipTo>(&action)) {
        to.on_gossip(sender, one->topic, one->payload);
      }
    }
  };
  service->on_peer_reachable(PeerName(9));
  other->on_peer_reachable(PeerName(7));
  service->on_neighbour_up(PeerName(9));
  other->on_neighbour_up(PeerName(7));

  allocate("c1");
  std::optional<Result<Cidr>> primed;
  other->prime([&](const Result<Cidr>& result) { primed = result; });
  const bool agreed = run_until([&] {
    carry(gossip, PeerName(7), *other);
    carry(other_gossip, PeerName(9), *service);
    return primed.has_value() && !answers.empty();
  });

  ASSERT_TRUE(agreed);
  EXPECT_EQ(answers[0].value(), Cidr::parse("10.32.0.1/24").value());
  EXPECT_EQ(primed->value(), kRange);
  EXPECT_EQ(service->allocator().status().ranges.size(), 2U);
}

TEST_F(Service, RefusesAStoreOfAnotherRange) {
  start();
  allocate("c1");
  run_ready();
  service.reset();
  const Cidr other = Cidr::parse("10.40.0.0/16").value();

  const auto started = IpamService::start(
      io.get_executor(),
      clock,
      store,
      {.self = PeerName(7), .range = other, .default_subnet = other, .elector_count = 1},
      [](auto) {});

  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().what, HasSubstr("weft reset"));
}

}  // namespace
}  // namespace weft::ipam
