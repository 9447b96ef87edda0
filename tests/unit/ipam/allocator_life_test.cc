// What becomes of addresses over the lives of containers, agents and stores.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/claims.h"
#include "tests/unit/ipam/allocator_host.h"

namespace weft::ipam {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

TEST(AllocatorLife, WhatWasFoundInUseIsNotHandedOut) {
  Host host;

  EXPECT_TRUE(host.claim(kFoundOwner, "10.32.0.1/24").ok());
  EXPECT_TRUE(host.claim(kFoundOwner, "10.32.0.2/24").ok());

  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.3/24"));
}

TEST(AllocatorLife, WhoeverNamesAFoundAddressGetsIt) {
  Host host;
  (void)host.claim(kFoundOwner, "10.32.0.1/24");

  EXPECT_TRUE(host.claim("c1", "10.32.0.1/24").ok());
  EXPECT_EQ(error_of(host.claim("c2", "10.32.0.1/24")), "address 10.32.0.1 is held by c1");

  host.restart();
  EXPECT_THAT(host.allocator->held_by("c1"), ElementsAre(cidr("10.32.0.1/24")));
}

TEST(AllocatorLife, WhoeverNamesAFoundAddressMayLetItGo) {
  Host host;
  (void)host.claim(kFoundOwner, "10.32.0.1/24");

  EXPECT_TRUE(host.allocator->release(host.now, "c1", ip("10.32.0.1"), host.out));
  EXPECT_TRUE(host.allocator->held().empty());
}

TEST(AllocatorLife, AnAnonymousAddressGetsAnOwner) {
  Host host;
  (void)host.claim("10.32.0.7", "10.32.0.7/24");

  EXPECT_TRUE(host.claim("c1", "10.32.0.7/24").ok());
  EXPECT_THAT(host.allocator->held_by("c1"), ElementsAre(cidr("10.32.0.7/24")));
}

TEST(AllocatorLife, WhoLostItsStoreFirstWaitsForTheRingOfOthers) {
  Host host;
  host.options.founding_delay = seconds(15);
  host.restart();

  EXPECT_EQ(error_of(host.claim(kFoundOwner, "10.32.0.1/24")), "waiting");
  EXPECT_EQ(error_of(host.allocate("c1")), "waiting");
  EXPECT_EQ(host.allocator->next_deadline(), host.now + seconds(15));
  host.now += seconds(15);
  host.tick();
  host.settle();

  EXPECT_THAT(host.allocator->held_by(kFoundOwner), ElementsAre(cidr("10.32.0.1/24")));
  EXPECT_THAT(host.allocator->held_by("c1"), ElementsAre(cidr("10.32.0.2/24")));
}

// How an operator's removal ended.
std::string end_of_removal(const Host& host) {
  for (const AllocatorAction& action : host.out) {
    if (const auto* removed = std::get_if<PeerRemoved>(&action)) {
      return removed->address_count.ok()
                 ? fmt::format("{} addresses", removed->address_count.value())
                 : removed->address_count.error().what;
    }
  }
  return "waiting";
}

// Peers that have another range, or hand out nothing, are reached and never speak of this ring.
TEST(AllocatorLife, WhoHasNobodyToLeaveItsAddressesToIsToldAtOnce) {
  Host host;
  (void)host.allocate("c1");
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  host.now += seconds(10);

  host.allocator->leave(host.now, RequestId(77), host.out);

  EXPECT_EQ(end_of_removal(host), "no other peer has addresses");
}

TEST(AllocatorLife, WhoLeavesGivesAPeerThatHasOnlyJustComeTimeToSpeak) {
  Host host;
  (void)host.allocate("c1");
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  host.now += seconds(1);

  host.allocator->leave(host.now, RequestId(77), host.out);
  EXPECT_EQ(end_of_removal(host), "waiting");
  host.hear(PeerMessage{.id = 0, .body = Register{.decree = 0, .seq = 1, .nonce = 1, .state = {}}});
  host.tick();
  host.now += seconds(1);
  host.tick();

  EXPECT_EQ(end_of_removal(host), "256 addresses");
}

TEST(AllocatorLife, WhoNeverSpeaksIsNotWaitedForLong) {
  Host host;
  (void)host.allocate("c1");
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  host.allocator->leave(host.now, RequestId(77), host.out);

  host.now += seconds(5);
  host.tick();

  EXPECT_EQ(end_of_removal(host), "no other peer has addresses");
}

TEST(AllocatorLife, WhileWeWaitForAnHeirNobodyElseIsRemoved) {
  Host host;
  const Ring ring = Ring::share_out(cidr("10.32.0.0/24"), {kA, kB});
  host.allocator->on_gossip(host.now, kB, Topic::Ring, encode(ring), host.out);
  host.allocator->leave(host.now, RequestId(77), host.out);
  ASSERT_EQ(end_of_removal(host), "waiting");

  host.allocator->remove_peer(host.now, RequestId(78), kB, host.out);

  EXPECT_EQ(end_of_removal(host), "another peer is being removed");
}

TEST(AllocatorLife, APeerThatLivesIsNotRemovedThoughItHasNoPart) {
  Host host;
  (void)host.allocate("c1");
  host.allocator->on_peer_reachable(host.now, kB, host.out);

  host.allocator->remove_peer(host.now, RequestId(77), kB, host.out);

  EXPECT_EQ(end_of_removal(host), "peer " + kB.to_string() + " is alive: stop it first");
}

}  // namespace
}  // namespace weft::ipam
