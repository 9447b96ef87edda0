// The parts of the council (docs/adr/0010) one by one; tests/sim/ipam has them together.
#include <chrono>
#include <map>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/council/proposal.h"
#include "ipam/council/tenure.h"
#include "ipam/council/voter.h"

namespace weft::ipam {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using Life = Promise::Word::Life;

constexpr TimePoint kStart = TimePoint{} + std::chrono::hours(1);
const PeerName kA(1);
const PeerName kB(2);
const PeerName kC(3);
const PeerName kOutsider(9);
const Cidr kRange = Cidr::parse("10.32.0.0/24").value();

Ring ring_of(const std::vector<PeerName>& seeds) {
  return Ring::share_out(kRange, seeds);
}

IntervalSet cold_of(const Ring& ring, PeerName peer) {
  const auto found = ring.charter().cold.find(peer);
  return found == ring.charter().cold.end() ? IntervalSet() : found->second;
}

Tenure begun(PeerName self, const Ring& ring) {
  Tenure tenure(self);
  tenure.begin(ring.charter(), ring.owned_by(self), cold_of(ring, self), 0);
  return tenure;
}

TEST(Council, HasOneTwoThreeFiveOrSevenMembersTheSeatedFirst) {
  const std::vector<PeerName> four{kA, kB, kC, kOutsider};

  EXPECT_EQ(make_council({kA}, {}).size(), 1U);
  EXPECT_EQ(make_council({kA, kB}, {}).size(), 2U);
  EXPECT_THAT(make_council(four, {}), ElementsAre(kA, kB, kC));
  EXPECT_THAT(make_council(four, {kB, kC, kOutsider}), ElementsAre(kB, kC, kOutsider));
}

TEST(Council, EveryWriteQuorumMeetsEveryDecreeQuorum) {
  for (std::size_t count = 1; count <= kCouncilMax; ++count) {
    EXPECT_GT(write_quorum(count) + decree_quorum(count), count);
    EXPECT_LE(removal_quorum(count), count);
  }
}

TEST(Tenure, EndsEightSecondsAfterTheWordThatAMajorityAcknowledgedWasSent) {
  const Ring ring = ring_of({kA, kB, kC});
  Tenure tenure = begun(kA, ring);
  tenure.propose(ring.owned_by(kA), cold_of(ring, kA));
  EXPECT_EQ(tenure.expiry(), TimePoint::min());

  (void)tenure.on_own(kStart);
  EXPECT_EQ(tenure.expiry(), TimePoint::min()) << "one voice of three";
  const std::uint64_t nonce = tenure.ask(kStart, kB);
  EXPECT_TRUE(tenure.on_registered(kB, tenure.seq(), nonce));

  EXPECT_EQ(tenure.expiry(), kStart + kTenureMax);
}

TEST(Tenure, AnAnswerToAnOlderQuestionProvesNoMoreThanWhenThatWasAsked) {
  const Ring ring = ring_of({kA, kB, kC});
  Tenure tenure = begun(kA, ring);
  const std::uint64_t early = tenure.ask(kStart, kB);
  (void)tenure.ask(kStart + seconds(5), kB);

  (void)tenure.on_registered(kB, 0, early);

  EXPECT_EQ(tenure.expiry(), kStart + kTenureMax);
  (void)tenure.on_registered(kB, 0, early);  // Twice says nothing new.
  EXPECT_EQ(tenure.expiry(), kStart + kTenureMax);
}

TEST(Tenure, WithholdsEveryColdSetThatADecreeMayFind) {
  const Ring ring = ring_of({kA, kB, kC});
  Tenure tenure = begun(kA, ring);
  const IntervalSet before = tenure.cold();
  ASSERT_GT(before.size(), 0U);

  tenure.propose(ring.owned_by(kA), IntervalSet());  // All of it is to become hot.
  EXPECT_EQ(tenure.cold_union(), before) << "until a majority knows";
  (void)tenure.on_own(kStart);
  (void)tenure.on_registered(kB, tenure.seq(), tenure.ask(kStart, kB));

  EXPECT_EQ(tenure.cold_union().size(), 0U);
}

TEST(Tenure, WhoIsGivenSpaceUnderACouncilOfTwoNeedsBothToKnow) {
  const Ring ring = ring_of({kA, kB});
  Tenure tenure = begun(kC, ring);
  tenure.propose(ring.owned_by(kA), IntervalSet());  // As if A had given us all it has.

  EXPECT_FALSE(tenure.on_registered(kA, tenure.seq(), tenure.ask(kStart, kA)));
  EXPECT_EQ(tenure.owned().size(), 0U);
  EXPECT_TRUE(tenure.on_registered(kB, tenure.seq(), tenure.ask(kStart, kB)));

  EXPECT_EQ(tenure.owned(), ring.owned_by(kA));
}

TEST(Tenure, AWordFromALifeThatWasForgottenIsOutbid) {
  const Ring ring = ring_of({kA, kB, kC});
  Tenure tenure = begun(kA, ring);
  tenure.propose(ring.owned_by(kA), IntervalSet());

  EXPECT_FALSE(tenure.on_registered(kB, 41, tenure.ask(kStart, kB)));

  EXPECT_EQ(tenure.seq(), 42U);
  EXPECT_TRUE(tenure.is_pending());
}

class Seat : public testing::Test {
 public:
  Seat() { voter.begin(kStart, ring.charter(), {}, {kB}); }

  Ring ring = ring_of({kA, kB, kC});
  Voter voter;
};

TEST_F(Seat, CallsNobodySilentThatHasNotHadItsTime) {
  EXPECT_EQ(voter.life_of(kStart + kSilenceMax, kC), Life::Unknown);
  EXPECT_EQ(voter.life_of(kStart + kSilenceMax + seconds(1), kC), Life::Silent);
}

TEST_F(Seat, CallsNobodySilentThatTheMeshReaches) {
  (void)voter.on_register(kStart, kB, 1, IntervalSet());
  EXPECT_EQ(voter.life_of(kStart + seconds(3'600), kB), Life::Heard);

  voter.on_unreachable(kStart + seconds(3'600), kB);

  EXPECT_EQ(voter.life_of(kStart + seconds(3'600) + kSilenceMax, kB), Life::Unknown);
  EXPECT_EQ(voter.life_of(kStart + seconds(3'601) + kSilenceMax, kB), Life::Silent);
}

TEST_F(Seat, IsCalmWhileAllAreReachableOrHaveNothingToLose) {
  EXPECT_FALSE(voter.is_calm(kStart, kA, ring.charter())) << "C may be about to be missed";
  voter.on_reachable(kC);
  EXPECT_TRUE(voter.is_calm(kStart, kA, ring.charter()));
  voter.on_unreachable(kStart, kC);
  EXPECT_FALSE(voter.is_calm(kStart + seconds(60), kA, ring.charter())) << "it has cold space";
}

TEST_F(Seat, RefusesTheBallotWhosePromiseItTookBackAndEveryLowerOne) {
  ASSERT_TRUE(voter.on_prepare(kStart, {.decree = 0, .ballot = {3, kC}, .removed = {}}));

  EXPECT_TRUE(voter.retract());

  EXPECT_FALSE(voter.is_sealed());
  EXPECT_TRUE(voter.on_register(kStart, kB, 2, IntervalSet()));
  EXPECT_FALSE(voter.on_accept({.decree = 0, .ballot = {3, kC}, .value = ring}));
  EXPECT_FALSE(voter.on_prepare(kStart, {.decree = 0, .ballot = {3, kC}, .removed = {}}));
  EXPECT_TRUE(voter.on_prepare(kStart, {.decree = 0, .ballot = {4, kA}, .removed = {}}));
}

TEST_F(Seat, TakesNoPromiseBackOnceItHasAcceptedAValue) {
  ASSERT_TRUE(voter.on_prepare(kStart, {.decree = 0, .ballot = {3, kC}, .removed = {}}));
  ASSERT_TRUE(voter.on_accept({.decree = 0, .ballot = {3, kC}, .value = ring}));

  EXPECT_FALSE(voter.retract());

  EXPECT_TRUE(voter.is_sealed());
}

TEST_F(Seat, AcknowledgesNothingOnceItHasPromised) {
  ASSERT_TRUE(voter.on_register(kStart, kB, 1, IntervalSet()));

  EXPECT_TRUE(voter.on_prepare(kStart, {.decree = 0, .ballot = {1, kA}, .removed = {}}));

  EXPECT_TRUE(voter.is_sealed());
  EXPECT_FALSE(voter.on_register(kStart, kB, 2, IntervalSet()));
  EXPECT_EQ(voter.registrations().at(kB).seq, 1U);
}

TEST_F(Seat, PromisesNoLowerBallotAndAcceptsNone) {
  ASSERT_TRUE(voter.on_prepare(kStart, {.decree = 0, .ballot = {2, kB}, .removed = {}}));

  EXPECT_FALSE(voter.on_prepare(kStart, {.decree = 0, .ballot = {2, kA}, .removed = {}}));
  EXPECT_FALSE(voter.on_accept({.decree = 0, .ballot = {1, kC}, .value = ring}));
  EXPECT_TRUE(voter.on_accept({.decree = 0, .ballot = {2, kB}, .value = ring}));
}

TEST_F(Seat, RefusesToRemoveWhomItHears) {
  (void)voter.on_register(kStart, kC, 1, IntervalSet());
  const Prepare prepare{.decree = 0, .ballot = {1, kA}, .removed = kC};

  EXPECT_FALSE(voter.on_prepare(kStart + kSilenceMax, prepare));
  EXPECT_TRUE(voter.on_prepare(kStart + kSilenceMax + seconds(1), prepare));
}

// What two members promise when both have, or one of them has not, missed C.
std::map<PeerName, Promise> promises(const Ring& ring, Life of_c_at_b) {
  std::map<PeerName, Promise> given;
  for (const PeerName& member : {kA, kB}) {
    Promise promise{.decree = 0, .ballot = {1, kA}, .words = {}, .ring = ring, .accepted = {}};
    for (const auto& [peer, cold] : ring.charter().cold) {
      const Life life = peer != kC ? Life::Heard : member == kA ? Life::Silent : of_c_at_b;
      promise.words.emplace(peer,
                            Promise::Word{.registration = {.seq = 1, .cold = cold}, .life = life});
    }
    given.emplace(member, promise);
  }
  return given;
}

TEST(Decree, GivesTheColdSpaceOfWhomAllMissToTheHeirAndLeavesTheRest) {
  const Ring ring = ring_of({kA, kB, kC});
  const IntervalSet cold = cold_of(ring, kC);
  const Uint128 owned = ring.owned_by(kC).size();

  const auto next = make_decree(
      promises(ring, Life::Silent), {1, kA}, {.removed = {}, .leaving = {}, .heir = kA});

  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value().charter().number, 1U);
  EXPECT_EQ(next.value().owned_by(kC).size(), owned - cold.size());
  EXPECT_THAT(next.value().charter().council, ElementsAre(kA, kB));
  EXPECT_TRUE(cold.minus(next.value().charter().cold.at(kA)).empty()) << "cold with its heir too";
  EXPECT_TRUE(next.value().charter().gone.empty()) << "it may come back";
}

TEST(Decree, TakesNothingFromWhomOneOfThemHears) {
  const Ring ring = ring_of({kA, kB, kC});

  const auto next =
      make_decree(promises(ring, Life::Heard), {1, kA}, {.removed = {}, .leaving = {}, .heir = kA});

  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value().owned_by(kC), ring.owned_by(kC));
  EXPECT_THAT(next.value().charter().council, ElementsAre(kA, kB, kC));
}

TEST(Decree, TakesEverythingFromWhomAnOperatorRemoves) {
  const Ring ring = ring_of({kA, kB, kC});

  const auto next = make_decree(
      promises(ring, Life::Silent), {1, kA}, {.removed = kC, .leaving = {}, .heir = kB});

  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value().owned_by(kC).size(), 0U);
  EXPECT_EQ(next.value().owned_by(kB).size(), ring.owned_by(kB).size() + ring.owned_by(kC).size());
  EXPECT_THAT(next.value().charter().gone, ElementsAre(kC));
}

TEST(Decree, NamesWhoWasRemovedUntilItIsBack) {
  const Ring ring = ring_of({kA, kB, kC});
  const auto removed = make_decree(
      promises(ring, Life::Silent), {1, kA}, {.removed = kC, .leaving = {}, .heir = kB});
  ASSERT_TRUE(removed.ok());
  const Proposal::Aim nothing{.removed = {}, .leaving = {}, .heir = kA};

  auto given = promises(removed.value(), Life::Silent);  // It has no cold space, so nobody's word.
  const auto later = make_decree(given, {2, kA}, nothing);
  given.at(kA).words[kC] = {.registration = {.seq = 1, .cold = {}}, .life = Life::Heard};
  const auto back = make_decree(given, {2, kA}, nothing);

  ASSERT_TRUE(later.ok() && back.ok());
  EXPECT_THAT(later.value().charter().gone, ElementsAre(kC));
  EXPECT_TRUE(back.value().charter().gone.empty());
}

TEST(Decree, TakesEverythingFromWhomAllWhoPromiseGiveUp) {
  const Ring ring = ring_of({kA, kB, kC});
  auto given = promises(ring, Life::Silent);
  given.at(kA).words.at(kC).life = Life::Forfeit;

  const auto one = make_decree(given, {1, kA}, {.removed = {}, .leaving = {}, .heir = kA});
  given.at(kB).words.at(kC).life = Life::Forfeit;
  const auto both = make_decree(given, {1, kA}, {.removed = {}, .leaving = {}, .heir = kA});

  ASSERT_TRUE(one.ok() && both.ok());
  EXPECT_GT(one.value().owned_by(kC).size(), 0U) << "what it uses";
  EXPECT_EQ(both.value().owned_by(kC).size(), 0U);
  EXPECT_THAT(both.value().charter().council, ElementsAre(kA, kB));
}

TEST(Proposal, TakesUpTheValueThatMayHaveBeenChosenAlready) {
  const Ring ring = ring_of({kA, kB, kC});
  Proposal proposal(kA, 4);
  const Prepare prepare = proposal.start(kStart, ring, {.removed = {}, .leaving = {}, .heir = kA});
  EXPECT_EQ(prepare.ballot.round, 5U);
  auto given = promises(ring, Life::Silent);
  Ring rival = ring;
  rival.set_charter(
      {.number = 1, .ballot = {2, kB}, .council = {kA, kB, kC}, .cold = {}, .gone = {}});
  given.at(kA).ballot = given.at(kB).ballot = prepare.ballot;
  given.at(kB).accepted = {{2, kB}, rival};

  EXPECT_FALSE(proposal.on_promise(kA, given.at(kA)));
  const auto accept = proposal.on_promise(kB, given.at(kB));

  ASSERT_TRUE(accept.has_value());
  EXPECT_EQ(accept->value, rival);
}

}  // namespace
}  // namespace weft::ipam
