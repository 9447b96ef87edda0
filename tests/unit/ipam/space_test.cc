#include "ipam/space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::ipam {
namespace {

using testing::ElementsAre;

constexpr Span kAll{0, UINT32_MAX};

Space::Want want(Span within) {
  return {.within = within, .usable = within};
}

TEST(IntervalSet, JoinsWhatTouchesAndSplitsWhatIsCut) {
  IntervalSet set;

  set.add({10, 19});
  set.add({30, 39});
  set.add({20, 29});
  EXPECT_THAT(set.spans(), ElementsAre(Span{10, 39}));

  set.remove({15, 24});
  EXPECT_THAT(set.spans(), ElementsAre(Span{10, 14}, Span{25, 39}));
  EXPECT_EQ(set.size(), 20U);
  EXPECT_EQ(set.count_in({12, 26}), 5U);
}

TEST(IntervalSet, ReachesBothEndsOfTheAddressSpace) {
  IntervalSet set;

  set.add(kAll);
  EXPECT_EQ(set.size(), std::uint64_t{1} << 32U);
  set.remove({0, 0});
  set.remove({UINT32_MAX, UINT32_MAX});

  EXPECT_THAT(set.spans(), ElementsAre(Span{1, UINT32_MAX - 1}));
  set.add({0, 0});
  set.add({UINT32_MAX, UINT32_MAX});
  EXPECT_THAT(set.spans(), ElementsAre(kAll));
}

TEST(IntervalSet, AgreesWithASetOfSingleAddresses) {
  Rng rng(42);
  IntervalSet set;
  std::set<Uint128> plain;
  for (int step = 0; step < 5'000; ++step) {
    const std::uint32_t first = rng.below(100);
    const Span span{first, first + rng.below(8)};
    const bool adds = rng.chance(50);
    adds ? set.add(span) : set.remove(span);
    for (Uint128 a = span.first; a <= span.last; ++a) {
      adds ? (void)plain.insert(a) : (void)plain.erase(a);
    }

    const Span probe{rng.below(60), 60 + rng.below(48)};
    const auto low = plain.lower_bound(probe.first);
    const bool found = low != plain.end() && *low <= probe.last;
    ASSERT_EQ(set.size(), plain.size());
    ASSERT_EQ(set.lowest_in(probe), found ? std::optional(*low) : std::nullopt);
    ASSERT_EQ(set.count_in(probe),
              static_cast<std::uint64_t>(std::distance(low, plain.upper_bound(probe.last))));
    ASSERT_EQ(set.contains(probe.first), plain.contains(probe.first));
  }
}

TEST(IntervalSet, ReachesTheEndOfIpv6) {
  IntervalSet set({Span{0, 9}, Span{kUint128Max - 9, kUint128Max}});

  EXPECT_EQ(set.span_count(), 2U);
  EXPECT_EQ(set.size(), 20U);
  set.add({10, kUint128Max - 10});
  EXPECT_EQ(set.span_count(), 1U);
}

TEST(Span, NumbersOfBothFamiliesNeverMeet) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "10.32.0.1", "::", "fd00::1", "::1"}) {
    const Ip address = Ip::parse(text).value();
    EXPECT_EQ(ip_of(number_of(address)), address);
    EXPECT_EQ(is_v4_number(number_of(address)), address.is_v4());
  }
}

TEST(Span, HostsOfASubnetLeaveOutNetworkAndBroadcast) {
  EXPECT_EQ(hosts_of(Cidr::parse("10.32.0.0/30").value()).to_string(), "10.32.0.1-10.32.0.2");
  EXPECT_EQ(hosts_of(Cidr::parse("fd00::/126").value()).to_string(), "fd00::1-fd00::3");
}

TEST(Space, GivesAwayAnAlignedHalfOfAnIpv6Subnet) {
  const Span all = Span::of(Cidr::parse("fd00:10::/32").value());
  Space space;
  space.add(all);

  const auto block = space.donatable({.within = all, .usable = all});

  EXPECT_EQ(*block, Span::of(Cidr::parse("fd00:10:8000::/33").value()));
}

TEST(Space, HandsOutTheLowestFreeAddressFirst) {
  Space space;
  space.add({100, 109});

  space.take(100);
  space.take(101);
  space.take(103);

  EXPECT_EQ(space.lowest_free(kAll), 102U);
  EXPECT_EQ(space.lowest_free({103, 105}), 104U);
  EXPECT_EQ(space.lowest_free({110, 200}), std::nullopt);
  space.give_back(100);
  EXPECT_EQ(space.lowest_free(kAll), 100U);
  EXPECT_EQ(space.used_count(), 2U);
}

TEST(Space, KeepsWhatIsReservedForWhoAsksForIt) {
  Space space;
  space.add({100, 107});

  space.reserve(IntervalSet({{100, 102}, {104, 107}}));

  EXPECT_EQ(space.lowest_free(kAll), 103U);
  EXPECT_EQ(space.lowest_ready(kAll), 103U);
  EXPECT_EQ(space.donatable({.within = {0, 255}, .usable = {0, 255}}), (Span{103, 103}));
  EXPECT_TRUE(space.is_ready(101));
  EXPECT_EQ(space.free_for({101, 101}), (std::vector<Span>{{101, 101}}));
  space.take(103);
  EXPECT_EQ(space.lowest_ready(kAll), std::nullopt);
  EXPECT_FALSE(space.has_ready_for(kAll));
  space.reserve({});
  EXPECT_EQ(space.lowest_ready(kAll), 100U);
}

TEST(Space, DonatesTheUpperHalfOfAFreeBlock) {
  Space space;
  space.add({0, 255});

  EXPECT_EQ(space.donatable(want({0, 255})), (Span{128, 255}));
}

TEST(Space, DonatesAlignedBlocksOfNoMoreThanHalfOfWhatIsFree) {
  Space space;
  space.add({0, 63});
  for (std::uint32_t address = 0; address < 41; ++address) {
    space.take(address);
  }

  // 23 are free, 41 to 63: at most 12 may go, and 8 is the biggest power of two below.
  EXPECT_EQ(space.donatable(want({0, 63})), (Span{56, 63}));
}

TEST(Space, CountsOnlyTheSpanThatIsAskedFor) {
  Space space;
  space.add({0, 255});

  EXPECT_EQ(space.donatable(want({16, 31})), (Span{24, 31}));
  EXPECT_EQ(space.donatable(want({256, 300})), std::nullopt);
}

TEST(Space, DonatesItsLastAddressButNothingNobodyCanUse) {
  Space space;
  space.add({8, 15});
  for (std::uint32_t address = 9; address < 15; ++address) {
    space.take(address);
  }
  const Space::Want subnet{.within = {8, 15}, .usable = {9, 14}};

  EXPECT_EQ(space.donatable(subnet), std::nullopt);  // Only network and broadcast are left.
  space.give_back(12);
  EXPECT_EQ(space.donatable(subnet), (Span{12, 12}));
}

TEST(Space, KeepsAWholeRangeInFewNodes) {
  Space space;
  space.add({0x0a200000, 0x0a2fffff});  // 10.32.0.0/12

  space.take(0x0a200001);

  EXPECT_EQ(space.owned_count(), 1'048'576U);
  EXPECT_EQ(space.owned().span_count(), 1U);
  EXPECT_EQ(space.lowest_free({0x0a200001, 0x0a2fffff}), 0x0a200002U);
}

}  // namespace
}  // namespace weft::ipam
