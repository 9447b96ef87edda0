#include "router/overlay/reconcile.h"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::router {
namespace {

std::unique_ptr<RecordStore> store_named(std::uint64_t name) {
  auto store = std::make_unique<RecordStore>(
      RecordStore::Options{.self = PeerName(name), .incarnation = Incarnation(1)});
  (void)store->publish({RecordKey{RecordKind::Peer, {}}, to_bytes("x")});
  return store;
}

OriginDelta statement(std::uint64_t origin, std::uint64_t sequence) {
  return {.origin = PeerName(origin),
          .incarnation = Incarnation(1),
          .after = 0,
          .through = sequence,
          .floor = std::nullopt,
          .records = {{RecordKey{RecordKind::Peer, {}}, sequence, to_bytes("x")}}};
}

struct Exchange {
  std::size_t messages = 0;
  std::size_t items = 0;  // Ranges and versions sent.
};

// Carries the whole exchange, and gives each side what it lacks.
Exchange settle(RecordStore& left, RecordStore& right) {
  Exchange done;
  RecordStore* sender = &left;
  RecordStore* receiver = &right;
  Ranges message = open_reconciliation(left);
  while (!message.parts.empty()) {
    done.messages += 1;
    for (const RangePart& part : message.parts) {
      done.items += 1 + part.items.size();
    }
    Difference difference = reconcile(*receiver, message);
    const auto send = [](const RecordStore& from, RecordStore& to, const Digest& origins) {
      Delta delta;
      for (const auto& [origin, held] : origins) {
        if (auto part = from.delta_for(origin, held, 1U << 20U)) {
          delta.origins.push_back(std::move(*part));
        }
      }
      (void)to.merge(delta);
    };
    send(*receiver, *sender, difference.ahead);
    send(*sender, *receiver, difference.behind);
    message = std::move(difference.reply);
    std::swap(sender, receiver);
  }
  return done;
}

TEST(Reconcile, EqualStoresSayOneFingerprint) {
  const auto left_owner = store_named(1);
  RecordStore& left = *left_owner;
  const auto right_owner = store_named(2);
  RecordStore& right = *right_owner;
  settle(left, right);
  (void)left.publish({RecordKey{RecordKind::Endpoint, {1}}, to_bytes("x")});
  (void)right.publish({RecordKey{RecordKind::Endpoint, {2}}, to_bytes("x")});
  settle(left, right);
  settle(right, left);

  EXPECT_EQ(left.digest_hash(), right.digest_hash());
  EXPECT_EQ(settle(left, right).messages, 1U);
}

TEST(Reconcile, AnyTwoStoresBecomeEqual) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    const auto left_owner = store_named(1);
    RecordStore& left = *left_owner;
    const auto right_owner = store_named(2);
    RecordStore& right = *right_owner;
    const std::uint32_t origins = rng.below(400);
    for (std::uint32_t i = 0; i < origins; ++i) {
      const std::uint64_t name = 10 + (rng.next() >> 17U);
      for (RecordStore* store : {&left, &right}) {
        if (rng.chance(80)) {
          (void)store->merge({{statement(name, 1 + rng.below(2))}});
        }
      }
    }

    settle(left, right);
    settle(right, left);

    ASSERT_EQ(left.digest_hash(), right.digest_hash()) << "seed " << seed;
    left.check_invariants();
    right.check_invariants();
  }
}

TEST(Reconcile, TheCostFollowsTheDifferenceAndNotTheSize) {
  Rng rng(1);
  const auto left_owner = store_named(1);
  RecordStore& left = *left_owner;
  const auto right_owner = store_named(2);
  RecordStore& right = *right_owner;
  for (int i = 0; i < 4000; ++i) {
    const Delta same{{statement(10 + (rng.next() >> 17U), 1)}};
    (void)left.merge(same);
    (void)right.merge(same);
  }
  settle(left, right);
  settle(right, left);
  (void)right.merge({{statement(12345678901234, 5)}});

  const Exchange exchange = settle(left, right);

  EXPECT_EQ(left.digest_hash(), right.digest_hash());
  EXPECT_LE(exchange.messages, 5U);
  EXPECT_LE(exchange.items, 100U);  // Of 4,003.
}

TEST(Reconcile, WhatOneSideHasBuriedIsNoDifference) {
  const auto left_owner = store_named(1);
  RecordStore& left = *left_owner;
  const auto right_owner = store_named(1);
  RecordStore& right = *right_owner;
  (void)left.merge({{statement(7, 1)}});

  (void)left.bury(PeerName(7));

  EXPECT_EQ(left.digest_hash(), right.digest_hash());
  left.check_invariants();
}

}  // namespace
}  // namespace weft::router
