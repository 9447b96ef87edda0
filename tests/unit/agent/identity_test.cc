#include "agent/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/fake/memory_store.h"

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kSeed = 7;

TEST(Identity, IsMadeOnceAndKept) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};

  const Identity first = claim_identity(store, entropy, std::nullopt).value();
  const Identity second = claim_identity(store, entropy, std::nullopt).value();

  EXPECT_EQ(second.name, first.name);
  EXPECT_EQ(second.key.pub, first.key.pub);
  EXPECT_EQ(second.key.secret.bytes(), first.key.secret.bytes());
}

TEST(Identity, HasAHigherIncarnationAtEachStart) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};

  for (std::uint64_t start = 1; start <= 3; ++start) {
    EXPECT_EQ(claim_identity(store, entropy, std::nullopt).value().incarnation, Incarnation(start));
  }
}

TEST(Identity, IsWhatTheBridgeRemembersWhereTheStoreIsLost) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};
  const PeerName kept(0x7a0102030405);

  const Identity found = claim_identity(store, entropy, std::nullopt, kept).value();
  const Identity again =
      claim_identity(store, entropy, std::nullopt, PeerName(0x7a0000000009)).value();

  EXPECT_EQ(found.name, kept);
  EXPECT_TRUE(found.is_new);
  EXPECT_FALSE(found.is_drawn);
  EXPECT_TRUE(found.has_lost_store);
  EXPECT_EQ(again.name, kept) << "the store goes before the bridge";
  EXPECT_TRUE(again.has_lost_store) << "until the store is lost again, or reset";
}

TEST(Identity, CanBeForetoldFromTheSameSources) {
  const PeerName stored(0x7a0000000001);
  const PeerName wanted(0x7a0000000002);
  const PeerName bridge(0x7a0000000003);

  EXPECT_EQ(choose_name(stored, stored, bridge).value(), stored);
  EXPECT_EQ(choose_name(stored, std::nullopt, bridge).value(), stored);
  EXPECT_EQ(choose_name(std::nullopt, wanted, bridge).value(), wanted);
  EXPECT_EQ(choose_name(std::nullopt, std::nullopt, bridge).value(), bridge);
  EXPECT_EQ(choose_name(std::nullopt, std::nullopt, std::nullopt).value(), std::nullopt);
  EXPECT_EQ(choose_name(stored, wanted, bridge).error().code, Errc::Conflict);
}

TEST(Identity, IsReadFromAStoreWithoutChangingIt) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};
  EXPECT_EQ(stored_name(store).value(), std::nullopt);
  const Identity first = claim_identity(store, entropy, std::nullopt).value();

  EXPECT_EQ(stored_name(store).value(), first.name);

  const Identity next = claim_identity(store, entropy, std::nullopt).value();
  EXPECT_EQ(next.incarnation.value(), first.incarnation.value() + 1);
}

TEST(Identity, IsWhatTheOperatorSaysWhateverTheBridgeRemembers) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};

  const Identity given =
      claim_identity(store, entropy, PeerName(0x7a0102030405), PeerName(0x7a0000000009)).value();

  EXPECT_EQ(given.name, PeerName(0x7a0102030405));
  EXPECT_FALSE(given.is_drawn);
  EXPECT_FALSE(given.has_lost_store);
}

TEST(Identity, IsReadFromABridgeOfOursAlone) {
  LinkInfo bridge;
  bridge.kind = "bridge";
  bridge.alias = kLinkAlias;
  bridge.mac = Mac::parse("7a:01:02:03:04:05").value();
  EXPECT_EQ(name_of_bridge(bridge), PeerName(0x7a0102030405));

  LinkInfo foreign = bridge;
  foreign.alias = "";
  LinkInfo device = bridge;
  device.kind = "veth";
  LinkInfo hardware = bridge;
  hardware.mac = Mac::parse("78:01:02:03:04:05").value();
  for (const LinkInfo& other : {foreign, device, hardware}) {
    EXPECT_EQ(name_of_bridge(other), std::nullopt);
  }
}

TEST(Identity, GoesOnAboveTheRunsThatOthersRemember) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};
  const Identity forgetful = claim_identity(store, entropy, PeerName(0x7a0102030405)).value();

  ASSERT_TRUE(outrun(store, Incarnation(7)).ok());

  const Identity back = claim_identity(store, entropy, std::nullopt).value();
  EXPECT_EQ(back.incarnation, Incarnation(8));
  EXPECT_EQ(back.key.secret.bytes(), forgetful.key.secret.bytes());
  EXPECT_FALSE(forgetful.has_lost_store);
  EXPECT_TRUE(back.has_lost_store);
}

TEST(Identity, HasANameThatABridgeMayCarry) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    sys::MemoryStore store;
    SeededEntropy entropy{Rng(seed)};

    const PeerName name = claim_identity(store, entropy, std::nullopt).value().name;

    EXPECT_FALSE(name.as_mac().is_group());
    EXPECT_EQ(name.as_mac().octets()[0] & 0x02, 0x02);
  }
}

TEST(Identity, TakesTheNameOfTheOperatorAtTheFirstStartOnly) {
  sys::MemoryStore store;
  SeededEntropy entropy{Rng(kSeed)};
  const PeerName wanted(0x7a0102030405);

  const auto first = claim_identity(store, entropy, wanted);
  const auto same = claim_identity(store, entropy, wanted);
  const auto other = claim_identity(store, entropy, PeerName(0x7a0000000001));

  EXPECT_EQ(first.value().name, wanted);
  EXPECT_EQ(same.value().name, wanted);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Errc::Conflict);
}

TEST(Identity, RefusesAStoreThatDoesNotDecode) {
  const std::vector<std::pair<const char*, Bytes>> broken{
      {"name", Bytes(7)}, {"name", Bytes(8, 0xff)}, {"key", Bytes(31)}, {"incarnation", Bytes(9)}};
  for (const auto& [key, value] : broken) {
    sys::MemoryStore store;
    SeededEntropy entropy{Rng(kSeed)};
    ASSERT_TRUE(store.apply({{"identity", to_bytes(key), value}}).ok());

    EXPECT_EQ(claim_identity(store, entropy, std::nullopt).error().code, Errc::Invalid) << key;
  }
}

TEST(Targets, OutliveARestart) {
  sys::MemoryStore store;

  ASSERT_TRUE(add_targets(store, {"host2", "host1"}).ok());
  ASSERT_TRUE(add_targets(store, {"host2", "host3:7000"}).ok());
  ASSERT_TRUE(remove_targets(store, {"host1", "unknown"}).ok());

  EXPECT_THAT(load_targets(store).value(), ElementsAre("host2", "host3:7000"));
}

TEST(Targets, AreReplacedAsAWhole) {
  sys::MemoryStore store;
  ASSERT_TRUE(add_targets(store, {"host1", "host2"}).ok());

  ASSERT_TRUE(replace_targets(store, {"host2", "host9"}).ok());
  const auto after = load_targets(store).value();
  ASSERT_TRUE(replace_targets(store, {}).ok());

  EXPECT_THAT(after, ElementsAre("host2", "host9"));
  EXPECT_THAT(load_targets(store).value(), IsEmpty());
}

TEST(Bridge, OfTheLastRunIsRemembered) {
  sys::MemoryStore store;

  const auto before = remembered_bridge(store);
  ASSERT_TRUE(store.apply({bridge_row("weft0")}).ok());

  EXPECT_EQ(before.value(), std::nullopt);
  EXPECT_EQ(remembered_bridge(store).value(), "weft0");
}

}  // namespace
}  // namespace weft::agent
