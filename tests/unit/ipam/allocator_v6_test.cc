#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ipam/allocator_host.h"

namespace weft::ipam {
namespace {

using testing::HasSubstr;

TEST(AllocatorV6, HandsOutTheLowestFreeAddressOfASubnet) {
  Host host(1, "fd00:10:32::/48");

  EXPECT_EQ(host.allocate("c1", "fd00:10:32::/64").value(), cidr("fd00:10:32::1/64"));
  EXPECT_EQ(host.allocate("c2", "fd00:10:32::/64").value(), cidr("fd00:10:32::2/64"));
  EXPECT_EQ(host.allocate("c2", "fd00:10:32::/64").value(), cidr("fd00:10:32::2/64"));
  EXPECT_EQ(host.allocate("c2", "fd00:10:32:7::/64").value(), cidr("fd00:10:32:7::1/64"));
  EXPECT_THAT(error_of(host.allocate("c1", "10.32.0.0/24")), HasSubstr("of another family"));
  EXPECT_THAT(error_of(host.allocate("c1", "fd00:10:33::/64")), HasSubstr("outside the address"));
}

TEST(AllocatorV6, HandsOutTheLastAddressButNotTheFirst) {
  Host host(1, "fd00::/64");
  host.fresh = true;

  EXPECT_EQ(host.allocate("pool", "fd00::8/126").value(), cidr("fd00::9/126"));
  EXPECT_EQ(host.allocate("pool", "fd00::8/126").value(), cidr("fd00::a/126"));
  EXPECT_EQ(host.allocate("pool", "fd00::8/126").value(), cidr("fd00::b/126"));
  EXPECT_EQ(error_of(host.allocate("pool", "fd00::8/126")), "waiting");
  EXPECT_THAT(error_of(host.claim("c1", "fd00::8/126")), HasSubstr("network"));
}

TEST(AllocatorV6, KeepsWhatIsHeldOverARestart) {
  Host host(1, "fd00::/64");
  (void)host.allocate("c1", "fd00::/64");
  (void)host.claim("c2", "fd00::42/64");
  (void)host.claim("c3", "fd99::1/64");

  host.restart();

  EXPECT_EQ(host.allocator->held_by("c1").at(0), cidr("fd00::1/64"));
  EXPECT_EQ(host.allocate("c4", "fd00::/64").value(), cidr("fd00::2/64"));
  EXPECT_EQ(error_of(host.claim("c5", "fd00::42/64")), "address fd00::42 is held by c2");
  EXPECT_EQ(error_of(host.claim("c5", "fd99::1/64")), "address fd99::1 is held by c3");
}

TEST(AllocatorV6, GivesHalfOfItsSpaceToWhoAsks) {
  Host host(1, "fd00:10:32::/48");
  (void)host.allocate("c1", "fd00:10:32::/64");
  const Span subnet = Span::of(cidr("fd00:10:32::/64"));
  host.allocator->on_peer_reachable(host.now, kB, host.out);

  host.hear({.id = 5, .body = SpaceRequest{{.within = subnet, .usable = subnet}}});

  const auto said = host.said_to_b();
  ASSERT_FALSE(said.empty());
  const auto& grant = std::get<Grant>(said.back().body);
  EXPECT_EQ(grant.ring.owner(subnet.last), kB);
  EXPECT_EQ(grant.ring.owner(subnet.first), kA);
  EXPECT_EQ(grant.ring.owned_by(kB).size(), subnet.size() / 2);
}

TEST(AllocatorV6, StatusCountsBeyond64Bits) {
  Host host(1, "fd00:10:32::/48");
  (void)host.allocate("c1", "fd00:10:32::/64");

  EXPECT_EQ(host.allocator->status().ranges.at(0).address_count, Uint128{1} << 80U);
}

}  // namespace
}  // namespace weft::ipam
