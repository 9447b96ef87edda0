// Parts of rings, and what is gathered before they are sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "ipam/messages.h"
#include "ipam/news/ring_news.h"
#include "ipam/ring.h"

namespace weft::ipam {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<PeerName> kPeers{PeerName(0xa), PeerName(0xb), PeerName(0xc), PeerName(0xd)};
const PeerName kA = kPeers[0];
const PeerName kB = kPeers[1];
const PeerName kC = kPeers[2];

Uint128 address(const char* text) {
  return number_of(Ip::parse(text).value());
}

Span block(const char* first, const char* last) {
  return {address(first), address(last)};
}

Ring ring_of(std::vector<PeerName> seeds) {
  return Ring::share_out(Cidr::parse("10.32.0.0/24").value(), std::move(seeds));
}

// The part that says what a grant changed.
Ring::Part grant(Ring& ring, const Span& given, PeerName from, PeerName to) {
  const auto changed = ring.grant(given, from, to);
  return ring.part({changed->begin(), changed->end()});
}

TEST(RingPart, OfAGrantMakesTheRingThatTheWholeMakes) {
  Ring giver = ring_of({kA});
  Ring hearer = giver;
  const Ring::Part part = grant(giver, block("10.32.0.64", "10.32.0.127"), kA, kB);

  const auto merged = hearer.merge(part);

  EXPECT_THAT(merged.value().changed, ElementsAre(address("10.32.0.64"), address("10.32.0.128")));
  EXPECT_EQ(hearer, giver);
  EXPECT_TRUE(hearer.has(part));
}

TEST(RingPart, WhoseEndIsUnknownIsRefusedLestItsOwnerTakeWhatLiesBehind) {
  Ring giver = ring_of({kA});
  Ring hearer = giver;
  (void)grant(giver, block("10.32.0.128", "10.32.0.191"), kA, kC);  // Was lost.
  const Ring::Part part = grant(giver, block("10.32.0.64", "10.32.0.127"), kA, kB);
  const Ring before = hearer;

  const auto merged = hearer.merge(part);

  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().code, Errc::NotFound);
  EXPECT_THAT(merged.error().what, HasSubstr("what follows 10.32.0.127"));
  EXPECT_EQ(hearer, before);
}

TEST(RingPart, OfAnotherSharingOrDecreeOrOutsideTheRangeIsRefused) {
  Ring ring = ring_of({kA, kB});
  const Ring others = ring_of({kA, kC});
  Ring later = ring;
  Charter charter = ring.charter();
  charter.number = 1;
  later.set_charter(charter);
  Ring::Part outside = ring.part({address("10.32.0.0")});
  outside.pieces[0].span.last = address("10.33.0.0");

  EXPECT_EQ(ring.merge(others.part({address("10.32.0.0")})).error().code, Errc::Conflict);
  EXPECT_EQ(ring.merge(later.part({address("10.32.0.0")})).error().code, Errc::Conflict);
  EXPECT_EQ(ring.merge(outside).error().code, Errc::Invalid);
  EXPECT_EQ(ring, ring_of({kA, kB}));
}

// Such a part would be empty, which nobody takes.
TEST(RingNews, TellsAllToWhomItOwesAnEntryThatTheRingHasLostSince) {
  const Ring ring = ring_of({kA, kB});
  RingNews news;
  news.owe(kC, {address("10.32.0.77")});

  const auto said = news.take(ring);

  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].payload, encode(ring));
}

TEST(RingPart, ThatIsOlderTellsWhatItsSenderLacks) {
  Ring ours = ring_of({kA, kB});
  const Ring::Part theirs = ours.part({address("10.32.0.0"), address("10.32.0.128")});
  ours.set_free_count(address("10.32.0.0"), 7);

  const auto merged = ours.merge(theirs);

  EXPECT_THAT(merged.value().changed, IsEmpty());
  EXPECT_THAT(merged.value().newer, ElementsAre(address("10.32.0.0")));
}

// Owners who give away what is theirs, and hear parts in any order, twice or never.
struct Gossip {
  explicit Gossip(std::uint64_t seed)
      : rng(seed),
        views(kPeers.size(), ring_of({kPeers[0], kPeers[1]})) {}

  std::uint32_t any() { return rng.below(static_cast<std::uint32_t>(kPeers.size())); }

  void give() {
    const std::uint32_t self = any();
    const auto owned = views[self].owned_by(kPeers[self]).spans();
    const std::uint32_t to = (self + 1 + rng.below(3)) % 4;
    if (owned.empty()) {
      return;
    }
    const Span span = owned[rng.below(static_cast<std::uint32_t>(owned.size()))];
    const Uint128 first = span.first + rng.below(static_cast<std::uint32_t>(span.size()));
    const Span given{first, std::min(span.last, first + rng.below(16))};
    under_way.push_back(grant(views[self], given, kPeers[self], kPeers[to]));
  }

  // What a peer knows of some entries, its own or not.
  void pass_on() {
    const Ring& view = views[any()];
    std::set<Uint128> tokens;
    for (const auto& [token, entry] : view.entries()) {
      if (rng.chance(20)) {
        tokens.insert(token);
      }
    }
    under_way.push_back(view.part(tokens));
  }

  void hear() {
    if (under_way.empty()) {
      return;
    }
    const auto& part = under_way[rng.below(static_cast<std::uint32_t>(under_way.size()))];
    const auto merged = views[any()].merge(part);
    ++(merged.ok() ? merged_count : refused_count);
    if (merged.ok()) {
      EXPECT_THAT(merged.value().conflicts, IsEmpty());
    }
  }

  void step() {
    const std::uint32_t dice = rng.below(100);
    if (dice < 20) {
      give();
    } else if (dice < 35) {
      pass_on();
    } else if (dice < 97) {
      hear();
    } else {
      EXPECT_TRUE(views[any()].merge(views[any()]).ok());
    }
  }

  // Nobody believes to own what another believes to own.
  void expect_one_owner_each() const {
    for (std::size_t i = 0; i < kPeers.size(); ++i) {
      const IntervalSet mine = views[i].owned_by(kPeers[i]);
      for (std::size_t j = 0; j < i; ++j) {
        ASSERT_EQ(IntervalSet(mine.minus(views[j].owned_by(kPeers[j]))), mine);
      }
    }
  }

  Rng rng;
  std::vector<Ring> views;
  std::vector<Ring::Part> under_way;
  std::size_t merged_count = 0;
  std::size_t refused_count = 0;
};

TEST(RingPart, InAnyOrderTwiceOrNeverLetsNoTwoPeersBelieveToOwnOneAddress) {
  std::size_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Gossip gossip(seed);
    for (int i = 0; i < 150; ++i) {
      gossip.step();
      ASSERT_NO_FATAL_FAILURE(gossip.expect_one_owner_each());
    }
    refused += gossip.refused_count;
    EXPECT_GT(gossip.merged_count, 0U);

    Ring all = gossip.views[0];
    for (const Ring& view : gossip.views) {
      ASSERT_TRUE(all.merge(view).ok());
    }
    for (std::size_t i = 0; i < kPeers.size(); ++i) {
      ASSERT_TRUE(gossip.views[i].merge(all).ok());
      ASSERT_EQ(gossip.views[i], all);
    }
    gossip.expect_one_owner_each();
  }
  EXPECT_GT(refused, 0U);
}

TEST(RingNews, ABurstOfChangesIsOneMessageToAllButWhoToldUsOfAllOfThem) {
  Ring ring = ring_of(kPeers);
  const Uint128 first = address("10.32.0.0");
  const Uint128 second = address("10.32.0.64");
  RingNews news;
  news.on_changed(kB, {first});
  news.on_changed(kB, {second});

  const auto said = news.take(ring);

  EXPECT_THAT(said,
              ElementsAre(RingNews::Message{.to = std::nullopt,
                                            .except = kB,
                                            .topic = Topic::Ring,
                                            .payload = encode(ring.part({first, second}))}));
  EXPECT_THAT(news.take(ring), IsEmpty());
}

TEST(RingNews, ChangesOfTwoSourcesAreForEverybody) {
  const Ring ring = ring_of(kPeers);
  RingNews news;
  news.on_changed(kB, {address("10.32.0.0")});
  news.on_changed(std::nullopt, {address("10.32.0.64")});

  const auto said = news.take(ring);

  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].except, std::nullopt);
}

TEST(RingNews, ADecreeAndMostOfARingTravelWhole) {
  const Ring ring = ring_of(kPeers);
  RingNews news;
  news.on_changed(kB, {address("10.32.0.0")});
  news.on_replaced(kB);
  news.owe(kC);
  const auto decreed = news.take(ring);
  news.on_changed(kB, {address("10.32.0.0"), address("10.32.0.64"), address("10.32.0.128")});

  const auto most = news.take(ring);

  ASSERT_EQ(decreed.size(), 2U);
  EXPECT_EQ(decreed[0].payload, encode(ring));
  EXPECT_EQ(decreed[1].to, kC);
  EXPECT_EQ(decreed[1].payload, encode(ring));
  ASSERT_EQ(most.size(), 1U);
  EXPECT_EQ(most[0].payload, encode(ring));
}

TEST(RingNews, WhoLagsIsToldWhatTheNewsForAllDoNotTell) {
  const Ring ring = ring_of(kPeers);
  const Uint128 first = address("10.32.0.0");
  const Uint128 second = address("10.32.0.64");
  RingNews news;
  news.on_changed(kB, {first});
  news.owe(kB, {first});  // Not for B: it hears no news that it told.
  news.owe(kC, {first, second});

  const auto said = news.take(ring);

  ASSERT_EQ(said.size(), 3U);
  EXPECT_EQ(said[1].to, kB);
  EXPECT_EQ(said[1].payload, encode(ring.part({first})));
  EXPECT_EQ(said[2].to, kC);
  EXPECT_EQ(said[2].payload, encode(ring.part({second})));
}

TEST(RingNews, WhoSaidWhatDoesNotFitIsAskedForItsDigest) {
  const Ring ring = ring_of(kPeers);
  RingNews news;
  news.doubt(kB);
  news.doubt(kB);

  const auto said = news.take(ring);

  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].topic, Topic::Ipam);
  EXPECT_EQ(decode_peer_message(said[0].payload).value(),
            (PeerMessage{.id = 0, .body = RingDigest{ring.digest()}}));
}

}  // namespace
}  // namespace weft::ipam
