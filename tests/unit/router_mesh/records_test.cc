#include "router/overlay/records.h"

#include <algorithm>
#include <array>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const PeerName kAlice(1);
const PeerName kBob(2);
const PeerName kCarol(3);

RecordKey key(std::uint8_t number) {
  return {RecordKind::Endpoint, {number}};
}

PublishRecord says(std::uint8_t number, std::string_view value) {
  return {key(number), to_bytes(value)};
}

PublishRecord withdraws(std::uint8_t number) {
  return {key(number), std::nullopt};
}

RecordStore store_of(PeerName self, std::uint64_t incarnation = 1) {
  return RecordStore({.self = self, .incarnation = Incarnation(incarnation)});
}

// Everything `to` lacks of what `from` holds.
Delta difference(const RecordStore& from, const RecordStore& to, std::size_t bytes = 1U << 20U) {
  Delta delta;
  for (const auto& [origin, version] : from.digest()) {
    if (auto part = from.delta_for(origin, to.version(origin), bytes)) {
      delta.origins.push_back(std::move(*part));
    }
  }
  return delta;
}

TEST(RecordStore, BringsAnotherStoreLevelAndSaysWhatChanged) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  ASSERT_TRUE(alice.publish(says(2, "two")));

  const auto merged = bob.merge(difference(alice, bob));

  EXPECT_THAT(merged.changes,
              ElementsAre(RecordChanged{kAlice, key(1), to_bytes("one")},
                          RecordChanged{kAlice, key(2), to_bytes("two")}));
  EXPECT_THAT(merged.advanced, ElementsAre(kAlice));
  EXPECT_EQ(*bob.find(kAlice, key(2)), to_bytes("two"));
  EXPECT_THAT(difference(alice, bob).origins, IsEmpty());
}

TEST(RecordStore, PublishingWhatIsAlreadySaidChangesNothing) {
  RecordStore alice = store_of(kAlice);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  const Digest before = alice.digest();

  EXPECT_TRUE(alice.publish(says(1, "one")));
  EXPECT_TRUE(alice.publish(withdraws(2)));

  EXPECT_EQ(alice.digest(), before);
}

TEST(RecordStore, MergesTheSameDeltaOnlyOnce) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  const Delta delta = difference(alice, bob);
  (void)bob.merge(delta);

  const auto again = bob.merge(delta);

  EXPECT_THAT(again.changes, IsEmpty());
  EXPECT_THAT(again.advanced, IsEmpty());
}

TEST(RecordStore, AWithdrawalTravelsAsATombstone) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  (void)bob.merge(difference(alice, bob));

  ASSERT_TRUE(alice.publish(withdraws(1)));
  const auto merged = bob.merge(difference(alice, bob));

  EXPECT_THAT(merged.changes, ElementsAre(RecordChanged{kAlice, key(1), std::nullopt}));
  EXPECT_EQ(bob.find(kAlice, key(1)), nullptr);
}

TEST(RecordStore, AChangeThatDoesNotContinueWhatWeHoldIsAGap) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  ASSERT_TRUE(alice.publish(says(2, "two")));
  const auto late = alice.delta_for(kAlice, OriginVersion{Incarnation(1), 1}, 1000);
  ASSERT_TRUE(late);

  const auto merged = bob.merge({{*late}});

  EXPECT_THAT(merged.gaps, ElementsAre(kAlice));
  EXPECT_THAT(merged.changes, IsEmpty());
  EXPECT_EQ(bob.version(kAlice), std::nullopt);
}

TEST(RecordStore, ABoundedDeltaIsContinuedUntilNothingIsMissing) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  for (std::uint8_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(alice.publish(says(i, "0123456789")));
  }

  int parts = 0;
  for (Delta delta = difference(alice, bob, 200); !delta.origins.empty();
       delta = difference(alice, bob, 200)) {
    (void)bob.merge(delta);
    bob.check_invariants();
    ++parts;
  }

  EXPECT_GT(parts, 5);
  EXPECT_EQ(bob.record_count(kAlice), 50U);
}

TEST(RecordStore, RecordsOfAnEarlierRunStayUntilTheNewOneHasRestatedItsOwn) {
  RecordStore before = store_of(kAlice, 1);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(before.publish(says(1, "stays")));
  ASSERT_TRUE(before.publish(says(2, "goes")));
  (void)bob.merge(difference(before, bob));

  RecordStore after = store_of(kAlice, 2);
  ASSERT_TRUE(after.publish(says(1, "stays")));
  const auto restarted = bob.merge(difference(after, bob));
  EXPECT_THAT(restarted.changes, IsEmpty());
  EXPECT_NE(bob.find(kAlice, key(2)), nullptr);

  after.complete();
  const auto restated = bob.merge(difference(after, bob));

  EXPECT_THAT(restated.changes, ElementsAre(RecordChanged{kAlice, key(2), std::nullopt}));
  EXPECT_EQ(*bob.find(kAlice, key(1)), to_bytes("stays"));
}

TEST(RecordStore, AnEarlierRunIsIgnoredOnceTheLaterIsKnown) {
  RecordStore before = store_of(kAlice, 1);
  RecordStore after = store_of(kAlice, 2);
  RecordStore bob = store_of(kBob);
  ASSERT_TRUE(before.publish(says(1, "old")));
  ASSERT_TRUE(after.publish(says(1, "new")));
  const Delta old_news = difference(before, bob);
  (void)bob.merge(difference(after, bob));

  const auto merged = bob.merge(old_news);

  EXPECT_THAT(merged.changes, IsEmpty());
  EXPECT_EQ(*bob.find(kAlice, key(1)), to_bytes("new"));
}

TEST(RecordStore, ARunOfOurNameThatIsLaterThanOursIsAClone) {
  RecordStore alice = store_of(kAlice, 1);
  RecordStore clone = store_of(kAlice, 2);
  ASSERT_TRUE(clone.publish(says(1, "mine")));

  const auto merged = alice.merge(difference(clone, store_of(kBob)));

  EXPECT_EQ(merged.clone, Incarnation(2));
  EXPECT_THAT(merged.changes, IsEmpty());
  EXPECT_EQ(alice.version(kAlice)->incarnation, Incarnation(1));
}

TEST(RecordStore, OurOwnPastIsNoClone) {
  RecordStore past = store_of(kAlice, 1);
  ASSERT_TRUE(past.publish(says(1, "mine")));
  RecordStore alice = store_of(kAlice, 2);

  const auto merged = alice.merge(difference(past, store_of(kBob)));

  EXPECT_EQ(merged.clone, std::nullopt);
}

TEST(RecordStore, TombstonesAreSweptByRestatingAndLateStoresStillLearnOfTheWithdrawals) {
  RecordStore alice({.self = kAlice, .incarnation = Incarnation(1), .tombstones_min = 4});
  RecordStore bob = store_of(kBob);
  alice.restate();
  ASSERT_TRUE(alice.publish(says(0, "lives")));
  ASSERT_TRUE(alice.publish(says(1, "dies")));
  (void)bob.merge(difference(alice, bob));
  ASSERT_TRUE(alice.publish(withdraws(1)));
  for (std::uint8_t i = 10; i < 20; ++i) {
    ASSERT_TRUE(alice.publish(says(i, "x")));
    ASSERT_TRUE(alice.publish(withdraws(i)));
  }

  const Delta delta = difference(alice, bob);
  const auto merged = bob.merge(delta);

  // At most the tombstones since the last sweep travel.
  EXPECT_LE(delta.origins.at(0).records.size(), 6U);
  EXPECT_THAT(merged.changes, ElementsAre(RecordChanged{kAlice, key(1), std::nullopt}));
  EXPECT_EQ(bob.record_count(kAlice), 1U);
  bob.check_invariants();
}

TEST(RecordStore, LimitsHoldAgainstOurselvesAndOthers) {
  RecordStore alice({.self = kAlice, .incarnation = Incarnation(1), .records_max = 2});
  EXPECT_TRUE(alice.publish(says(1, "a")));
  EXPECT_TRUE(alice.publish(says(2, "a")));
  EXPECT_FALSE(alice.publish(says(3, "a")));
  EXPECT_FALSE(alice.publish({key(1), Bytes(kRecordValueMax + 1)}));
  EXPECT_FALSE(alice.publish({{RecordKind::Endpoint, Bytes(kRecordKeyMax + 1)}, Bytes()}));
  EXPECT_TRUE(alice.publish(withdraws(1)));
  EXPECT_EQ(alice.refused(), 3U);

  RecordStore carol = store_of(kCarol);
  for (std::uint8_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(carol.publish(says(i, "c")));
  }
  const auto merged = alice.merge(difference(carol, alice));
  EXPECT_EQ(merged.changes.size(), 2U);
  EXPECT_EQ(alice.record_count(kCarol), 2U);
  // What was refused does not come again and again.
  EXPECT_THAT(difference(carol, alice).origins, IsEmpty());
  alice.check_invariants();
}

TEST(RecordStore, RefusesMoreOriginsThanItsLimit) {
  RecordStore alice({.self = kAlice, .incarnation = Incarnation(1), .origins_max = 2});
  RecordStore bob = store_of(kBob);
  RecordStore carol = store_of(kCarol);
  ASSERT_TRUE(bob.publish(says(1, "b")));
  ASSERT_TRUE(carol.publish(says(1, "c")));

  (void)alice.merge(difference(bob, alice));
  (void)alice.merge(difference(carol, alice));

  EXPECT_EQ(alice.origin_count(), 2U);
  EXPECT_EQ(alice.refused(), 1U);
}

TEST(RecordStore, ABuriedOriginDoesNotComeBackThroughRepairButDoesWhenItLives) {
  RecordStore alice = store_of(kAlice);
  RecordStore bob = store_of(kBob);
  RecordStore carol = store_of(kCarol);
  ASSERT_TRUE(alice.publish(says(1, "one")));
  (void)bob.merge(difference(alice, bob));
  (void)carol.merge(difference(alice, carol));

  const auto changes = bob.bury(kAlice);
  EXPECT_THAT(changes, ElementsAre(RecordChanged{kAlice, key(1), std::nullopt}));
  EXPECT_THAT(difference(carol, bob).origins, IsEmpty());
  EXPECT_THAT(difference(bob, store_of(kCarol)).origins, IsEmpty());

  ASSERT_TRUE(alice.publish(says(2, "two")));
  (void)bob.merge(difference(alice, bob));  // A gap: what was dropped is missing.
  (void)bob.merge(difference(alice, bob));
  EXPECT_EQ(bob.record_count(kAlice), 2U);
}

// Every store holds of each origin what the origin itself holds.
void expect_agreement(const std::vector<RecordStore>& stores, std::uint64_t seed) {
  for (const RecordStore& store : stores) {
    ASSERT_EQ(store.digest(), stores[0].digest()) << "seed " << seed;
    ASSERT_EQ(store.digest_hash(), stores[0].digest_hash());
    for (std::uint64_t origin = 1; origin <= 3; ++origin) {
      for (std::uint8_t number = 0; number < 6; ++number) {
        const Bytes* truth = stores[origin - 1].find(PeerName(origin), key(number));
        const Bytes* held = store.find(PeerName(origin), key(number));
        ASSERT_EQ(truth == nullptr, held == nullptr) << "seed " << seed;
        ASSERT_TRUE(truth == nullptr || *truth == *held) << "seed " << seed;
      }
    }
  }
}

// Stores that talk in any order, repeat, cut short and restart end up the same.
TEST(RecordStoreProperty, AnyOrderOfExchangesConverges) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    std::vector<RecordStore> stores;
    std::array<std::uint64_t, 3> incarnations{1, 1, 1};
    for (std::uint64_t i = 0; i < 3; ++i) {
      stores.push_back(store_of(PeerName(i + 1)));
    }
    std::vector<Delta> in_flight;
    for (int step = 0; step < 150; ++step) {
      const std::uint32_t a = rng.below(3);
      const std::uint32_t b = rng.below(3);
      switch (rng.below(8)) {
        case 0:
        case 1:
          (void)stores[a].publish(
              says(static_cast<std::uint8_t>(rng.below(6)), std::to_string(rng.below(100))));
          break;
        case 2:
          (void)stores[a].publish(withdraws(static_cast<std::uint8_t>(rng.below(6))));
          break;
        case 3:
          stores[a].restate();
          break;
        case 4:
          in_flight.push_back(difference(stores[a], stores[b], 1 + rng.below(100)));
          break;
        case 5:
          if (!in_flight.empty()) {
            // Arrives anywhere, and stays to be repeated.
            (void)stores[b].merge(
                in_flight[rng.below(static_cast<std::uint32_t>(in_flight.size()))]);
          }
          break;
        case 6:
          (void)stores[b].merge(difference(stores[a], stores[b]));
          break;
        default:
          if (rng.chance(10)) {
            std::destroy_at(&stores[a]);
            std::construct_at(&stores[a],
                              RecordStore::Options{.self = PeerName(a + 1),
                                                   .incarnation = Incarnation(++incarnations[a])});
          }
      }
      stores[b].check_invariants();
    }
    for (RecordStore& store : stores) {
      store.restate();
    }
    for (int round = 0; round < 4; ++round) {
      for (RecordStore& to : stores) {
        for (const RecordStore& from : stores) {
          (void)to.merge(difference(from, to));
        }
      }
    }
    expect_agreement(stores, seed);
  }
}

TEST(RecordStoreProperty, MergingTwoDeltasCommutes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    RecordStore alice = store_of(kAlice);
    RecordStore carol = store_of(kCarol);
    for (int i = 0; i < 20; ++i) {
      RecordStore& store = rng.chance(50) ? alice : carol;
      (void)store.publish(rng.chance(70) ? says(static_cast<std::uint8_t>(rng.below(5)), "v")
                                         : withdraws(static_cast<std::uint8_t>(rng.below(5))));
    }
    const Delta one = difference(alice, store_of(kBob));
    const Delta two = difference(carol, store_of(kBob));
    RecordStore left = store_of(kBob);
    RecordStore right = store_of(kBob);

    (void)left.merge(one);
    (void)left.merge(two);
    (void)right.merge(two);
    (void)right.merge(one);
    (void)right.merge(one);

    ASSERT_EQ(left.digest(), right.digest());
    for (const PeerName origin : {kAlice, kCarol}) {
      for (std::uint8_t number = 0; number < 5; ++number) {
        const Bytes* a = left.find(origin, key(number));
        const Bytes* b = right.find(origin, key(number));
        ASSERT_EQ(a == nullptr, b == nullptr);
      }
    }
  }
}

}  // namespace
}  // namespace weft::router
