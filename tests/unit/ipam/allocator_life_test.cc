// What becomes of addresses over the lives of containers, agents and stores.
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

}  // namespace
}  // namespace weft::ipam
