#include "agent/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/fake/memory_store.h"

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const PeerName kPeer(0x7a0102030405);
const Ip kV4 = Ip::parse("192.0.2.2").value();
const Ip kOtherV4 = Ip::parse("198.51.100.2").value();
const Ip kV6 = Ip::parse("fd00::2").value();

Placement load(sys::Store& store) {
  return Placement::load(store).value();
}

TEST(Placement, IsWhereThePeerIsSeen) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;

  EXPECT_EQ(placement.choose(kPeer, {kV6, kV4}, changes), kV6);
}

TEST(Placement, KeepsTheFamilyOverAReconnection) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;
  placement.choose(kPeer, {kV4, kV6}, changes);

  EXPECT_EQ(placement.choose(kPeer, {kV6, kV4}, changes), kV4);
}

TEST(Placement, KeepsTheFamilyOverARestart) {
  sys::MemoryStore store;
  Placement before = load(store);
  StoreBatch changes;
  before.choose(kPeer, {kV4, kV6}, changes);
  ASSERT_TRUE(store.apply(changes).ok());
  changes.clear();

  Placement after = load(store);

  EXPECT_EQ(after.choose(kPeer, {kV6, kV4}, changes), kV4);
  EXPECT_THAT(changes, IsEmpty());
}

TEST(Placement, FollowsAPeerToAnotherAddressOfItsFamily) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;
  placement.choose(kPeer, {kV4, kOtherV4}, changes);

  EXPECT_EQ(placement.choose(kPeer, {kOtherV4, kV4}, changes), kOtherV4);
}

TEST(Placement, ChangesTheFamilyWhenTheOldAddressIsGone) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;
  placement.choose(kPeer, {kV4}, changes);

  EXPECT_EQ(placement.choose(kPeer, {kV6, kOtherV4}, changes), kV6);
}

TEST(Placement, TellsSomeOfThePlaces) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;
  placement.choose(kPeer, {kV4}, changes);
  placement.choose(PeerName(0x7a0102030406), {kV6}, changes);

  EXPECT_THAT(placement.some(1), ElementsAre(kV4));
  EXPECT_THAT(placement.some(9), ElementsAre(kV4, kV6));
}

TEST(Placement, ForgetsAPeerThatIsGoneForGood) {
  sys::MemoryStore store;
  Placement placement = load(store);
  StoreBatch changes;
  placement.choose(kPeer, {kV4, kV6}, changes);
  placement.forget(kPeer, changes);
  ASSERT_TRUE(store.apply(changes).ok());
  changes.clear();

  placement.forget(kPeer, changes);

  EXPECT_THAT(changes, IsEmpty());
  EXPECT_EQ(load(store).choose(kPeer, {kV6, kV4}, changes), kV6);
}

TEST(Placement, RefusesAStoreThatDoesNotDecode) {
  const std::vector<std::pair<Bytes, Bytes>> broken{
      {Bytes(7), kV4.bytes()}, {Bytes(8, 0xff), kV4.bytes()}, {Bytes(8), Bytes(5)}};
  for (const auto& [key, value] : broken) {
    sys::MemoryStore store;
    ASSERT_TRUE(store.apply({{"placement", key, value}}).ok());

    EXPECT_FALSE(Placement::load(store).ok());
  }
}

}  // namespace
}  // namespace weft::agent
