#include "ipam/ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::ipam {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const PeerName kA(0xa);
const PeerName kB(0xb);
const PeerName kC(0xc);

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

Uint128 address(const char* text) {
  return number_of(Ip::parse(text).value());
}

Ring ring_of(std::vector<PeerName> seeds) {
  return Ring::share_out(cidr("10.32.0.0/24"), std::move(seeds));
}

TEST(Ring, SharesTheRangeOutInAlignedPartsBySortedName) {
  const Ring ring = ring_of({kC, kA, kB});

  EXPECT_EQ(ring, ring_of({kA, kB, kC}));
  EXPECT_THAT(ring.owned_by(kA).spans(),
              ElementsAre(Span{address("10.32.0.0"), address("10.32.0.127")}));
  EXPECT_THAT(ring.owned_by(kB).spans(),
              ElementsAre(Span{address("10.32.0.128"), address("10.32.0.191")}));
  EXPECT_THAT(ring.owned_by(kC).spans(),
              ElementsAre(Span{address("10.32.0.192"), address("10.32.0.255")}));
}

TEST(Ring, SharesAnIpv6RangeOutInAlignedParts) {
  const Ring ring = Ring::share_out(cidr("fd00:10:32::/48"), {kC, kA, kB});

  EXPECT_THAT(ring.owned_by(kA).spans(), ElementsAre(Span::of(cidr("fd00:10:32::/49"))));
  EXPECT_THAT(ring.owned_by(kC).spans(), ElementsAre(Span::of(cidr("fd00:10:32:c000::/50"))));
  EXPECT_EQ(ring.owner(address("fd00:10:32:8000::1")), kB);
}

TEST(Ring, RefusesRangesThatNoContainerCanHaveAnAddressOf) {
  for (const char* range : {"10.32.0.0/31",
                            "fd00::/127",
                            "fd00::1/64",
                            "::/0",
                            "fe80::/64",
                            "ff02::/64",
                            "::ffff:0:0/96",
                            "fc00::/6"}) {
    EXPECT_FALSE(check_range(cidr(range)).ok()) << range;
  }
  EXPECT_THAT(check_range(cidr("10.32.1.0/12")).error().what, HasSubstr("such as 10.32.0.0/12"));
  EXPECT_TRUE(check_range(cidr("fd00::/8")).ok());
}

TEST(Ring, LeavesNobodyOutOfBoundsWhenSeedsOutnumberAddresses) {
  std::vector<PeerName> seeds;
  for (std::uint64_t i = 1; i <= 9; ++i) {
    seeds.emplace_back(i);
  }

  const Ring ring = Ring::share_out(cidr("10.32.0.0/30"), seeds);

  EXPECT_EQ(ring.entries().size(), 4U);
}

TEST(Ring, GrantingABlockCutsItOut) {
  Ring ring = ring_of({kA});
  const Span block{address("10.32.0.64"), address("10.32.0.127")};

  const auto changed = ring.grant(block, kA, kB);

  EXPECT_THAT(*changed, ElementsAre(address("10.32.0.64"), address("10.32.0.128")));
  EXPECT_THAT(ring.owned_by(kB).spans(), ElementsAre(block));
  EXPECT_EQ(ring.owner(address("10.32.0.63")), kA);
  EXPECT_EQ(ring.owner(address("10.32.0.128")), kA);
  EXPECT_EQ(ring.entries().at(block.first).free_count, 64U);
}

TEST(Ring, GrantingWhatWasCutBeforeAddsNoEntries) {
  Ring ring = ring_of({kA});
  const Span block{address("10.32.0.64"), address("10.32.0.127")};
  (void)ring.grant(block, kA, kB);

  (void)ring.grant(block, kB, kA);

  EXPECT_EQ(ring.entries().size(), 3U);
  EXPECT_EQ(ring.owned_by(kA).size(), 256U);
  EXPECT_EQ(ring.entries().at(block.first).version, 3U);
}

TEST(Ring, RefusesToGrowBeyondItsLimit) {
  Ring::Entries entries;
  for (std::uint32_t i = 0; i < kRingEntryMax; ++i) {
    entries[address("10.32.0.0") + 2 * i] = {.owner = kA, .version = 1, .free_count = 2};
  }
  Ring ring = Ring::restore(cidr("10.32.0.0/12"), {kA}, entries).value();

  EXPECT_EQ(ring.grant({address("10.32.0.1"), address("10.32.0.1")}, kA, kB), std::nullopt);
}

TEST(Ring, MergeTakesTheHigherVersionAndSaysWhatIsNew) {
  Ring ours = ring_of({kA, kB});
  Ring theirs = ours;
  (void)theirs.grant({address("10.32.0.192"), address("10.32.0.255")}, kB, kC);

  const auto merged = ours.merge(theirs);

  EXPECT_THAT(merged.value().changed, ElementsAre(address("10.32.0.192")));
  EXPECT_FALSE(merged.value().they_lack_news);
  EXPECT_EQ(ours, theirs);
}

TEST(Ring, MergeNoticesThatTheOtherSideLags) {
  Ring ours = ring_of({kA, kB});
  const Ring theirs = ours;
  ours.set_free_count(address("10.32.0.0"), 7);

  const auto merged = ours.merge(theirs);

  EXPECT_THAT(merged.value().changed, IsEmpty());
  EXPECT_TRUE(merged.value().they_lack_news);
}

TEST(Ring, OneVersionWithTwoMeaningsIsAConflictAndOursStays) {
  Ring ours = ring_of({kA, kB});
  Ring theirs = ours;
  ours.set_free_count(address("10.32.0.0"), 7);
  (void)theirs.grant({address("10.32.0.0"), address("10.32.0.127")}, kA, kC);
  const Ring before = ours;

  const auto merged = ours.merge(theirs);

  ASSERT_EQ(merged.value().conflicts.size(), 1U);
  EXPECT_EQ(merged.value().conflicts[0].code, Errc::Conflict);
  EXPECT_THAT(merged.value().conflicts[0].what, HasSubstr(kC.to_string()));
  EXPECT_EQ(ours, before);
}

TEST(Ring, RefusesARingSeededByOthersNamingBoth) {
  Ring ours = ring_of({kA, kB});

  const auto merged = ours.merge(ring_of({kC}));

  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().code, Errc::Conflict);
  EXPECT_THAT(merged.error().what, HasSubstr("by " + kC.to_string()));
  EXPECT_THAT(merged.error().what, HasSubstr("by " + kA.to_string() + "," + kB.to_string()));
  EXPECT_NE(ours.seed_id(), ring_of({kC}).seed_id());
}

TEST(Ring, RefusesARingOfAnotherRange) {
  Ring ours = ring_of({kA});

  const auto merged = ours.merge(Ring::share_out(cidr("10.40.0.0/24"), {kA}));

  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().code, Errc::Conflict);
  EXPECT_THAT(merged.error().what, HasSubstr("10.40.0.0/24 differs from ours, 10.32.0.0/24"));
}

TEST(Ring, RestoreRefusesWhatBreaksAnInvariant) {
  const Cidr range = cidr("10.32.0.0/24");
  const RingEntry good{.owner = kA, .version = 1, .free_count = 0};
  const Uint128 first = address("10.32.0.0");
  const auto code = [&](std::vector<PeerName> seeds, Ring::Entries entries) {
    const auto ring = Ring::restore(range, std::move(seeds), std::move(entries));
    return ring.ok() ? std::optional<Errc>() : ring.error().code;
  };

  EXPECT_EQ(code({kA}, {{first, good}}), std::nullopt);
  EXPECT_EQ(code({}, {{first, good}}), Errc::Invalid);
  EXPECT_EQ(code({kB, kA}, {{first, good}}), Errc::Invalid);
  EXPECT_EQ(code({kA}, {}), Errc::Invalid);
  EXPECT_EQ(code({kA}, {{first + 1, good}}), Errc::Invalid);
  EXPECT_EQ(code({kA}, {{first, good}, {first + 256, good}}), Errc::Invalid);
  EXPECT_EQ(code({kA}, {{first, {.owner = kA, .version = 0, .free_count = 0}}}), Errc::Invalid);
  EXPECT_EQ(code({kA}, {{first, {.owner = kA, .version = kRingVersionMax + 1, .free_count = 0}}}),
            Errc::Invalid);
  EXPECT_EQ(code({kA}, {{first, {.owner = kA, .version = 1, .free_count = 257}}}), Errc::Invalid);
}

// Three owners who change only what is theirs and hear of each other now and then.
std::vector<Ring> random_views(std::uint64_t seed) {
  Rng rng(seed);
  const std::vector<PeerName> peers{kA, kB, kC};
  std::vector<Ring> views(3, ring_of(peers));
  for (int step = 0; step < 60; ++step) {
    const std::uint32_t self = rng.below(3);
    if (rng.chance(30)) {
      EXPECT_TRUE(views[self].merge(views[rng.below(3)]).ok());
      continue;
    }
    const auto owned = views[self].owned_by(peers[self]).spans();
    if (owned.empty()) {
      continue;
    }
    const Span span = owned[rng.below(static_cast<std::uint32_t>(owned.size()))];
    const Uint128 first = span.first + rng.below(static_cast<std::uint32_t>(span.size()));
    const std::uint32_t to = (self + 1 + rng.below(2)) % 3;
    (void)views[self].grant(
        {first, std::min(span.last, first + rng.below(16))}, peers[self], peers[to]);
  }
  return views;
}

Ring joined(Ring left, const Ring& right) {
  const auto merged = left.merge(right);
  EXPECT_TRUE(merged.ok());
  EXPECT_THAT(merged.value().conflicts, IsEmpty());
  return left;
}

TEST(Ring, MergeIsCommutativeAssociativeAndIdempotent) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const auto views = random_views(seed);

    const Ring left = joined(joined(views[0], views[1]), views[2]);
    const Ring right = joined(views[0], joined(views[2], views[1]));

    ASSERT_EQ(left, right);
    ASSERT_EQ(joined(left, views[1]), left);
    ASSERT_EQ(left.digest(), right.digest());
  }
}

TEST(Ring, WhatAPeerBelievesToOwnNobodyElseBelievesToOwn) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const auto views = random_views(seed);
    const IntervalSet a = views[0].owned_by(kA);
    const IntervalSet b = views[1].owned_by(kB);
    const IntervalSet c = views[2].owned_by(kC);

    const IntervalSet all = joined(joined(views[0], views[1]), views[2]).owned_by(kA);

    ASSERT_EQ(IntervalSet(a.minus(b)), a);
    ASSERT_EQ(IntervalSet(a.minus(c)), a);
    ASSERT_EQ(IntervalSet(b.minus(c)), b);
    ASSERT_THAT(a.minus(all), IsEmpty());  // Only a peer itself gives away what it has.
  }
}

}  // namespace
}  // namespace weft::ipam
