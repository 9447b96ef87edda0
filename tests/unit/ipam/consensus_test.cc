#include "ipam/consensus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using Extent = Consensus::Extent;

const PeerName kA(0xa);
const PeerName kB(0xb);
const PeerName kC(0xc);
constexpr TimePoint kStart{};

Consensus elector(PeerName self, std::size_t count = 3, Consensus::Memory memory = {}) {
  return Consensus({.self = self, .elector_count = count}, std::move(memory), Rng(self.number()));
}

// Everybody hears everybody until nothing is news.
void talk(std::vector<Consensus*> electors) {
  bool news = true;
  while (news) {
    news = false;
    for (Consensus* from : electors) {
      for (Consensus* to : electors) {
        if (from != to) {
          const auto change = to->merge(from->claims(), Extent::All);
          news = news || !change.news.empty();
        }
      }
    }
  }
}

TEST(Consensus, ALoneElectorChoosesItselfAtOnce) {
  Consensus alone = elector(kA, 1);

  const auto change = alone.start(kStart);

  EXPECT_TRUE(change.memory);
  EXPECT_EQ(alone.chosen(), std::vector<PeerName>{kA});
}

TEST(Consensus, NobodyProposesUnasked) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);

  talk({&a, &b});

  EXPECT_EQ(a.next_deadline(), kNever);
  EXPECT_EQ(a.chosen(), std::nullopt);
}

TEST(Consensus, AQuorumChoosesTheElectorsItKnows) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  EXPECT_EQ(a.quorum(), 2U);

  a.start(kStart);
  EXPECT_EQ(a.chosen(), std::nullopt);
  talk({&a, &b});

  EXPECT_EQ(a.chosen(), (std::vector{kA, kB}));
  EXPECT_EQ(b.chosen(), a.chosen());
}

TEST(Consensus, WhoseTurnItIsNotWaitsForTheOtherAndThenProposesItself) {
  Consensus b = elector(kB);

  const auto change = b.start(kStart, Consensus::Turn::Others);

  EXPECT_TRUE(change.nudge);
  EXPECT_FALSE(b.is_under_way());
  const TimePoint first = b.next_deadline();
  EXPECT_GE(first, kStart + milliseconds(600));
  EXPECT_LE(first, kStart + milliseconds(1200));
  EXPECT_TRUE(b.on_deadline(first).own);
}

TEST(Consensus, AnElectionThatGetsOnIsLeftAloneButNotForEver) {
  Consensus b = elector(kB);
  b.start(kStart, Consensus::Turn::Others);

  b.on_progress(kStart + milliseconds(500));

  EXPECT_GE(b.next_deadline(), kStart + milliseconds(1100));
  for (TimePoint now = kStart; now < kStart + seconds(60); now += milliseconds(100)) {
    b.on_progress(now);
  }
  EXPECT_LE(b.next_deadline(), kStart + milliseconds(6200));
}

TEST(Consensus, RivalProposersChooseOneValue) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  Consensus c = elector(kC);

  a.start(kStart);
  b.start(kStart);
  c.start(kStart);
  talk({&a, &b});
  talk({&b, &c});
  talk({&a, &b, &c});

  ASSERT_TRUE(a.chosen().has_value());
  EXPECT_EQ(b.chosen(), a.chosen());
  EXPECT_EQ(c.chosen(), a.chosen());
}

TEST(Consensus, ALaterBallotKeepsWhatAQuorumMayHaveChosen) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  Consensus c = elector(kC);
  a.start(kStart);
  talk({&a, &b});
  ASSERT_EQ(a.chosen(), (std::vector{kA, kB}));

  c.start(kStart);  // Hears of nobody yet and has a value of its own in mind.
  c.on_deadline(c.next_deadline());
  c.on_deadline(c.next_deadline());
  talk({&b, &c});

  EXPECT_EQ(c.chosen(), (std::vector{kA, kB}));
}

TEST(Consensus, AProposalThatFailsIsRepeatedLaterAndLater) {
  Consensus a = elector(kA);
  a.start(kStart);
  const TimePoint first = a.next_deadline();

  EXPECT_FALSE(a.on_deadline(kStart).own);  // Too early.
  EXPECT_TRUE(a.on_deadline(first).own);

  EXPECT_EQ(a.claims().at(kA).promised.round, 2U);
  EXPECT_GT(a.next_deadline() - first, Duration::zero());
  a.stop();
  EXPECT_EQ(a.next_deadline(), kNever);
}

TEST(Consensus, APromiseSurvivesARestart) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  Consensus c = elector(kC);
  a.start(kStart);
  talk({&a, &b});
  ASSERT_TRUE(b.chosen().has_value());

  Consensus reborn = elector(kB, 3, b.memory());
  c.start(kStart);
  talk({&reborn, &c});

  EXPECT_EQ(c.chosen(), (std::vector{kA, kB}));
}

TEST(Consensus, APeerToldOfNobodyNeedsThoseThatJoinedIt) {
  Consensus first = elector(kA, 1);
  Consensus second = elector(kB, 2);
  Consensus third = elector(kC, 2);
  talk({&first, &second, &third});

  EXPECT_EQ(first.quorum(), 2U);
  first.start(kStart);
  EXPECT_EQ(first.chosen(), std::nullopt);
  const Consensus reborn = elector(kA, 1, first.memory());
  EXPECT_EQ(reborn.quorum(), 2U);
}

TEST(Consensus, NobodyElseChangesOurClaim) {
  Consensus a = elector(kA);
  const ElectorClaim forged{.promised = {9, kB}, .accepted = {9, kB}, .electors = {kB}};

  const auto change = a.merge({{kA, forged}}, Extent::All);

  EXPECT_TRUE(change.news.empty());
  EXPECT_EQ(a.claims().at(kA), ElectorClaim{});
}

TEST(Consensus, RemembersOnlySoManyElectors) {
  Consensus a = elector(kA);
  ElectorClaims many;
  for (std::uint64_t i = 0; i < 1'100; ++i) {
    many[PeerName(0x1000 + i)] = {};
  }

  a.merge(many, Extent::All);

  EXPECT_EQ(a.known_count(), 1'024U);
  EXPECT_EQ(a.refused_count(), 77U);
}

TEST(Consensus, SaysWhenTheOtherSideLags) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  const ElectorClaims old = a.claims();
  a.start(kStart);

  EXPECT_EQ(a.merge(old, Extent::All).they_lack, std::set<PeerName>{kA});
  EXPECT_EQ(a.merge(b.claims(), Extent::All).they_lack, std::set<PeerName>{kA});
  EXPECT_TRUE(a.merge(a.claims(), Extent::All).they_lack.empty());
}

TEST(Consensus, NewsAloneDoesNotMeanThatTheOtherSideLags) {
  Consensus a = elector(kA);
  Consensus b = elector(kB);
  const ElectorClaims old = a.claims();
  a.start(kStart);
  const auto change = b.start(kStart);

  EXPECT_TRUE(a.merge(old, Extent::News).they_lack.empty());
  const auto learned = a.merge(b.claims_of(change.news), Extent::News);
  EXPECT_TRUE(learned.they_lack.empty());
  EXPECT_TRUE(learned.news.contains(kB));
}

}  // namespace
}  // namespace weft::ipam
