#include "ipam/allocator.h"

#include <algorithm>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/claims.h"
#include "ipam/messages.h"
#include "ipam/ring.h"
#include "tests/unit/ipam/allocator_host.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(Allocator, HandsOutTheLowestFreeAddressWithThePrefixOfItsSubnet) {
  Host host;

  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.1/24"));
  EXPECT_EQ(host.allocate("c2").value(), cidr("10.32.0.2/24"));
  EXPECT_TRUE(host.allocator->release(host.now, "c1", ip("10.32.0.1"), host.out));
  EXPECT_EQ(host.allocate("c3").value(), cidr("10.32.0.1/24"));
  EXPECT_THAT(host.allocator->held(),
              ElementsAre(Pair("c2", cidr("10.32.0.2/24")), Pair("c3", cidr("10.32.0.1/24"))));
}

TEST(Allocator, AnswersTheSameOwnerAndSubnetWithTheSameAddress) {
  Host host;

  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.1/24"));
  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.1/24"));
  EXPECT_EQ(host.allocate("c1", "10.32.0.64/26").value(), cidr("10.32.0.65/26"));
  host.fresh = true;
  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.2/24"));
}

TEST(Allocator, NeverHandsOutNetworkOrBroadcastAddresses) {
  Host host;
  host.fresh = true;

  EXPECT_EQ(host.allocate("pool", "10.32.0.8/30").value(), cidr("10.32.0.9/30"));
  EXPECT_EQ(host.allocate("pool", "10.32.0.8/30").value(), cidr("10.32.0.10/30"));
  EXPECT_EQ(error_of(host.allocate("pool", "10.32.0.8/30")), "waiting");
  EXPECT_EQ(host.allocator->status().state, AllocatorStatus::State::WaitingForSpace);
  EXPECT_THAT(error_of(host.claim("c1", "10.32.0.8/30")), HasSubstr("network or broadcast"));
  EXPECT_THAT(error_of(host.claim("c1", "10.32.0.255/24")), HasSubstr("network or broadcast"));
}

TEST(Allocator, StaysWithinThePartOfTheSubnetThatIsAskedFor) {
  Host host;

  EXPECT_EQ(host.allocate("c1", "10.32.0.0/24", cidr("10.32.0.128/25")).value(),
            cidr("10.32.0.128/24"));
  EXPECT_THAT(error_of(host.allocate("c2", "10.32.0.0/25", cidr("10.32.0.128/25"))),
              HasSubstr("not in subnet"));
}

TEST(Allocator, RefusesASubnetItCannotServe) {
  Host host;

  EXPECT_THAT(error_of(host.allocate("c1", "10.40.0.0/24")),
              HasSubstr("10.40.0.0/24 is outside the address range 10.32.0.0/24"));
  EXPECT_THAT(error_of(host.allocate("c1", "10.32.0.0/31")), HasSubstr("at least 4 addresses"));
  EXPECT_THAT(error_of(host.allocate("c1", "10.32.0.1/24")), HasSubstr("such as 10.32.0.0/24"));
  EXPECT_THAT(error_of(host.allocate("c1", "fd00::/64")), HasSubstr("of another family"));
  EXPECT_THAT(error_of(host.allocate("")), HasSubstr("owner of 0 bytes"));
}

TEST(Allocator, CreateRefusesOptionsThatMakeNoSense) {
  const auto error = [](Allocator::Options options) {
    return Allocator::create(std::move(options), {}, Rng(1)).error().what;
  };
  const Cidr good = cidr("10.32.0.0/24");

  EXPECT_THAT(
      error(
          {.self = kA, .range = cidr("10.32.0.1/24"), .default_subnet = good, .elector_count = 1}),
      HasSubstr("address range 10.32.0.1/24"));
  EXPECT_THAT(
      error(
          {.self = kA, .range = good, .default_subnet = cidr("10.33.0.0/24"), .elector_count = 1}),
      HasSubstr("default subnet 10.33.0.0/24"));
  EXPECT_THAT(error({.self = kA, .range = good, .default_subnet = good, .elector_count = 0}),
              HasSubstr("0 electors"));
  // The rest of a wider subnet is there for people to give out.
  const Cidr wider = cidr("10.32.0.0/16");
  EXPECT_TRUE(
      Allocator::create(
          {.self = kA, .range = good, .default_subnet = wider, .elector_count = 1}, {}, Rng(1))
          .ok());
}

TEST(Allocator, PersistsBeforeItAnswers) {
  Host host;
  (void)host.allocate("c1");

  host.allocator->allocate(host.now,
                           {.id = RequestId(50),
                            .owner = "c2",
                            .subnet = cidr("10.32.0.0/24"),
                            .within = {},
                            .fresh = false},
                           host.out);

  ASSERT_EQ(host.out.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Persist>(host.out[0]));
  EXPECT_TRUE(std::holds_alternative<Answer>(host.out[1]));
}

TEST(Allocator, PersistsItsVoteBeforeItShowsIt) {
  Host host(3);
  host.allocator->prime(host.now, RequestId(1), host.out);

  ASSERT_EQ(host.out.size(), 2U);
  EXPECT_EQ(std::get<Persist>(host.out[0]).batch.at(0).table, "ipam_paxos");
  const auto shown = decode_ring_gossip(std::get<GossipAll>(host.out[1]).payload).value();
  host.settle();
  host.restart();
  host.allocator->on_neighbour_up(host.now, kB, host.out);
  const auto kept = decode_ring_gossip(std::get<GossipTo>(host.out.at(0)).payload).value();
  EXPECT_EQ(std::get<ElectorState>(kept).claims, std::get<ElectorNews>(shown).claims);
}

// As a host with a mistake in its range, or with none.
TEST(Allocator, WhoSharesOutAnotherRangeHasNoVoteNorAShare) {
  for (const char* theirs : {"10.99.0.0/16", "0.0.0.0/30"}) {
    SCOPED_TRACE(theirs);
    Host host(1);
    const ElectorState claims{{{kB, {}}}, cidr(theirs)};
    host.allocator->on_gossip(host.now, kB, Topic::Ring, encode(claims), host.out);
    host.settle();

    host.allocator->prime(host.now, RequestId(1), host.out);
    host.settle();

    ASSERT_NE(host.allocator->ring(), nullptr);
    EXPECT_THAT(host.allocator->ring()->seeds(), testing::ElementsAre(kA));
    const bool is_none = cidr(theirs) == no_range();
    EXPECT_EQ(host.allocator->status().conflict.empty(), is_none);
  }
}

TEST(Allocator, NewsOfElectorsTravelsTogetherWhileNobodyNeedsAnAddress) {
  Host host(3);
  const PeerName c(0xc);
  const auto hear = [&host](PeerName elector) {
    const ElectorNews news{{{elector, {}}}};
    host.allocator->on_gossip(host.now, elector, Topic::Ring, encode(news), host.out);
    host.settle();
  };

  hear(kB);
  host.now += std::chrono::milliseconds(900);
  host.allocator->on_deadline(host.now, host.out);
  EXPECT_TRUE(host.out.empty());
  hear(c);
  host.now += std::chrono::milliseconds(100);
  host.allocator->on_deadline(host.now, host.out);

  ASSERT_EQ(host.out.size(), 1U);
  const auto told = decode_ring_gossip(std::get<GossipAll>(host.out[0]).payload).value();
  EXPECT_EQ(std::get<ElectorNews>(told).claims, (ElectorClaims{{kB, {}}, {c, {}}}));
}

TEST(Allocator, NewsOfElectorsDoesNotWaitOnceAnAddressIsNeeded) {
  Host host(3);
  const PeerName lower(0x1);  // Whose turn it is to propose.
  host.allocator->on_peer_reachable(host.now, lower, host.out);
  host.allocator->on_gossip(
      host.now, kB, Topic::Ring, encode(ElectorNews{{{lower, {}}}}), host.out);
  host.settle();

  host.allocator->prime(host.now, RequestId(1), host.out);
  host.settle();
  host.now += std::chrono::milliseconds(50);
  host.allocator->on_deadline(host.now, host.out);

  ASSERT_EQ(host.out.size(), 1U);
  const auto told = decode_ring_gossip(std::get<GossipAll>(host.out[0]).payload).value();
  EXPECT_EQ(std::get<ElectorNews>(told).claims, (ElectorClaims{{lower, {}}}));
}

TEST(Allocator, ANeighbourIsToldOfTheElectorsItDoesNotKnow) {
  Host host(3);
  const PeerName c(0xc);
  host.allocator->on_gossip(host.now, c, Topic::Ring, encode(ElectorNews{{{c, {}}}}), host.out);
  host.settle();
  host.now += std::chrono::seconds(1);
  host.allocator->on_deadline(host.now, host.out);
  host.settle();

  host.allocator->on_gossip(
      host.now, kB, Topic::Ring, encode(ElectorState{{{kA, {}}, {kB, {}}}}), host.out);
  host.settle();
  host.now += std::chrono::seconds(1);
  host.allocator->on_deadline(host.now, host.out);

  ASSERT_EQ(host.out.size(), 2U);
  const auto& reply = std::get<GossipTo>(host.out[1]);
  EXPECT_EQ(reply.to, kB);
  EXPECT_EQ(std::get<ElectorNews>(decode_ring_gossip(reply.payload).value()).claims,
            (ElectorClaims{{c, {}}}));
}

TEST(Allocator, KnowsAfterARestartWhatItHandedOut) {
  Host host;
  (void)host.allocate("c1");
  (void)host.claim("c2", "192.168.7.7/24");
  const auto held = host.allocator->held();

  host.restart();

  EXPECT_EQ(host.allocator->held(), held);
  EXPECT_EQ(host.allocate("c1").value(), cidr("10.32.0.1/24"));
  EXPECT_EQ(host.allocate("c3").value(), cidr("10.32.0.2/24"));
}

TEST(Allocator, RefusesToStartWithAnotherRange) {
  Host host;
  (void)host.allocate("c1");
  host.options.range = cidr("10.40.0.0/24");
  host.options.default_subnet = host.options.range;

  const auto created = Allocator::create(host.options, host.stored, Rng(1));

  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().code, Errc::Conflict);
  EXPECT_THAT(created.error().what, HasSubstr("load stored addresses"));
}

TEST(Allocator, AClaimIsRefusedNamingTheHolder) {
  Host host;
  (void)host.allocate("c1");

  EXPECT_THAT(error_of(host.claim("c2", "10.32.0.1/24")), HasSubstr("10.32.0.1 is held by c1"));
  EXPECT_TRUE(host.claim("c1", "10.32.0.1/24").ok());
  EXPECT_TRUE(host.claim("c2", "10.32.0.7/24").ok());
  EXPECT_EQ(host.allocate("c2").value(), cidr("10.32.0.7/24"));
}

TEST(Allocator, AnAddressOutsideTheRangeIsOnlyRecorded) {
  Host host(3);  // There will never be a ring.

  EXPECT_TRUE(host.claim("c1", "192.168.7.7/24").ok());
  EXPECT_TRUE(host.claim("c1", "fd00::7/64").ok());
  EXPECT_THAT(error_of(host.claim("c2", "192.168.7.7/24")), HasSubstr("held by c1"));
  EXPECT_EQ(host.allocator->release_all(host.now, "c1", host.out), 2U);
  EXPECT_TRUE(host.claim("c2", "192.168.7.7/24").ok());
}

TEST(Allocator, ReleasesOnlyWhatTheOwnerHolds) {
  Host host;
  (void)host.allocate("c1");

  EXPECT_FALSE(host.allocator->release(host.now, "c2", ip("10.32.0.1"), host.out));
  EXPECT_FALSE(host.allocator->release(host.now, "c1", ip("10.32.0.2"), host.out));
  EXPECT_EQ(host.allocator->release_all(host.now, "c2", host.out), 0U);
  EXPECT_THAT(host.out, IsEmpty());
}

TEST(Allocator, WaitsForTheRingAndSaysForWhom) {
  Host host(3);
  EXPECT_EQ(host.allocator->status().state, AllocatorStatus::State::Idle);

  EXPECT_EQ(error_of(host.allocate("c1")), "waiting");

  const auto status = host.allocator->status();
  EXPECT_EQ(status.state, AllocatorStatus::State::AwaitingConsensus);
  EXPECT_EQ(status.detail, "quorum: 2, known: 1");
  EXPECT_EQ(status.pending_count, 1U);
}

TEST(Allocator, AdoptsTheRingOfOthersAndAnswersWhoWaited) {
  Host host(3);
  (void)host.allocate("c1");
  host.allocator->prime(host.now, RequestId(90), host.out);
  host.settle();

  host.hear(shared_ring());

  EXPECT_EQ(host.answer(1)->value(), cidr("10.32.0.1/24"));
  EXPECT_TRUE(host.answer(90)->ok());
  host.settle();
  EXPECT_EQ(*host.allocator->ring(), shared_ring());
  EXPECT_TRUE(host.stored.paxos.empty());
}

TEST(Allocator, ACancelledRequestIsNeverAnswered) {
  Host host(3);
  (void)host.allocate("c1");

  host.allocator->cancel(host.now, RequestId(1), host.out);
  host.hear(shared_ring());

  EXPECT_EQ(host.answer(1), std::nullopt);
  EXPECT_THAT(host.allocator->held(), IsEmpty());
  EXPECT_EQ(host.allocator->status().pending_count, 0U);
}

TEST(Allocator, StopsAskingForARingNobodyWaitsFor) {
  Host host(3);
  (void)host.allocate("c1");
  EXPECT_NE(host.allocator->next_deadline(), kNever);

  host.allocator->cancel(host.now, RequestId(1), host.out);

  EXPECT_EQ(host.allocator->next_deadline(), kNever);
  EXPECT_EQ(host.allocator->status().state, AllocatorStatus::State::Idle);
}

TEST(Allocator, RefusesWhoWouldWaitBehindThousands) {
  Host host(3);
  for (int i = 0; i < 4'096; ++i) {
    host.allocator->prime(host.now, RequestId(static_cast<std::uint64_t>(100 + i)), host.out);
  }
  host.settle();

  const auto refused = host.allocate("c1");

  EXPECT_EQ(refused.error().code, Errc::Exhausted);
  EXPECT_EQ(host.allocator->stats().refused_count, 1U);
}

TEST(Allocator, GivesABlockToWhoRunsDryAfterStoringIt) {
  Host host;
  (void)host.allocate("c1");

  host.hear({.id = 7,
             .body = SpaceRequest{{.within = Span::of(cidr("10.32.0.0/24")),
                                   .usable = Span::of(cidr("10.32.0.0/24"))}}});

  ASSERT_GE(host.out.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Persist>(host.out[0]));
  const auto said = host.said_to_b();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].id, 7U);
  const Ring& ring = std::get<Grant>(said[0].body).ring;
  EXPECT_THAT(ring.owned_by(kB).spans(), ElementsAre(Span::of(cidr("10.32.0.128/25"))));
  host.settle();
  host.restart();
  EXPECT_EQ(*host.allocator->ring(), ring);
}

TEST(Allocator, ARepeatedQuestionIsNotASecondGift) {
  Host host;
  (void)host.allocate("c1");
  const Span all = Span::of(cidr("10.32.0.0/24"));
  const PeerMessage question{.id = 7, .body = SpaceRequest{{.within = all, .usable = all}}};
  host.hear(question);
  host.settle();

  host.hear(question);

  EXPECT_EQ(host.said_to_b().size(), 1U);
  EXPECT_EQ(host.allocator->stats().granted_count, 1U);
}

TEST(Allocator, SaysNoWhenItHasNothingToGive) {
  Host host;
  (void)host.allocate("c1");

  host.hear({.id = 7, .body = SpaceRequest{{.within = {1, 2}, .usable = {1, 2}}}});
  host.hear({.id = 8, .body = ClaimRequest{number_of(ip("10.32.0.1"))}});
  host.hear({.id = 9, .body = ClaimRequest{number_of(ip("10.99.0.1"))}});

  EXPECT_THAT(
      host.said_to_b(),
      ElementsAre(
          PeerMessage{.id = 7, .body = Denial{.reason = Denial::Reason::NoSpace, .holder = {}}},
          PeerMessage{.id = 8, .body = Denial{.reason = Denial::Reason::InUse, .holder = "c1"}},
          PeerMessage{.id = 9, .body = Denial{.reason = Denial::Reason::NotOwner, .holder = {}}}));
  EXPECT_EQ(host.allocator->stats().denied_count, 3U);
}

TEST(Allocator, AsksAReachablePeerForAnAddressThatIsItsOwn) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  EXPECT_EQ(error_of(host.claim("c1", "10.32.0.200/24")), "waiting");

  host.tick();

  const auto said = host.said_to_b();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].body, decltype(said[0].body)(ClaimRequest{number_of(ip("10.32.0.200"))}));
  host.out.clear();
  Ring granted = shared_ring();
  (void)granted.grant(Span::of(cidr("10.32.0.200/32")), kB, kA);
  host.hear({.id = said[0].id, .body = Grant{granted}});
  EXPECT_EQ(host.answer(1)->value(), cidr("10.32.0.200/24"));
  host.settle();
}

TEST(Allocator, AClaimThatItsOwnerDeniesIsRefusedNamingTheHolder) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  (void)host.claim("c1", "10.32.0.200/24");
  host.tick();
  const std::uint64_t id = host.said_to_b().at(0).id;

  host.hear({.id = id, .body = Denial{.reason = Denial::Reason::InUse, .holder = "c9"}});

  const auto answer = host.answer(1);
  EXPECT_EQ(answer->error().code, Errc::Conflict);
  EXPECT_THAT(error_of(*answer), HasSubstr("held by c9 on peer " + kB.to_string()));
}

TEST(Allocator, GivesUpAClaimWhoseOwnerStaysSilent) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  (void)host.claim("c1", "10.32.0.200/24");

  std::size_t asked = 0;
  while (!host.answer(1)) {
    host.out.clear();
    host.now = std::max(host.now, host.allocator->next_deadline());
    host.tick();
    asked += host.said_to_b().size();
    ASSERT_LT(host.now, kStart + seconds(30));
  }

  EXPECT_EQ(asked, 5U);
  EXPECT_THAT(error_of(*host.answer(1)), HasSubstr("which does not answer"));
}

TEST(Allocator, BacksOffWhileNobodyHasSpace) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  (void)host.allocate("c1", "10.32.0.128/25");

  std::size_t asked = 0;
  while (host.now < kStart + seconds(120)) {
    host.tick();
    for (const PeerMessage& message : host.said_to_b()) {
      if (std::holds_alternative<SpaceRequest>(message.body)) {
        ++asked;
        host.hear(
            {.id = message.id, .body = Denial{.reason = Denial::Reason::NoSpace, .holder = {}}});
      }
    }
    host.settle();
    host.now = std::max(host.now + milliseconds(1), host.allocator->next_deadline());
  }

  EXPECT_GE(asked, 3U);
  EXPECT_LE(asked, 10U);
}

TEST(Allocator, ARingOfOtherSeedsIsReportedAndChangesNothing) {
  Host host;
  (void)host.allocate("c1");
  const Ring before = *host.allocator->ring();

  host.hear(Ring::share_out(cidr("10.32.0.0/24"), {kB}));
  host.hear(Ring::share_out(cidr("10.40.0.0/24"), {kA}));

  EXPECT_EQ(*host.allocator->ring(), before);
  EXPECT_EQ(host.allocator->stats().conflict_count, 2U);
  EXPECT_THAT(host.allocator->status().conflict, HasSubstr("10.40.0.0/24 differs from ours"));
  EXPECT_EQ(host.allocate("c2").value(), cidr("10.32.0.2/24"));
}

TEST(Allocator, ARingThatTakesAUsedAddressFromUsIsRefused) {
  Host host;
  (void)host.allocate("c1");
  const Ring before = *host.allocator->ring();
  Ring stolen = before;
  (void)stolen.grant(Span::of(cidr("10.32.0.0/30")), kA, kB);

  host.hear(stolen);

  EXPECT_EQ(*host.allocator->ring(), before);
  EXPECT_THAT(host.allocator->status().conflict, HasSubstr("addresses held on this host"));
  host.settle();
}

TEST(Allocator, CountsWhatDoesNotDecode) {
  Host host;

  host.allocator->on_gossip(host.now, kB, Topic::Ring, Bytes{1, 2, 3}, host.out);
  host.allocator->on_gossip(host.now, kB, Topic::Ipam, Bytes{}, host.out);

  EXPECT_EQ(host.allocator->stats().invalid_count, 2U);
  EXPECT_THAT(host.out, IsEmpty());
}

TEST(Allocator, ShowsANewNeighbourItsRing) {
  Host host;
  (void)host.allocate("c1");

  host.allocator->on_neighbour_up(host.now, kB, host.out);

  ASSERT_EQ(host.out.size(), 1U);
  const auto& gossip = std::get<GossipTo>(host.out[0]);
  EXPECT_EQ(gossip.to, kB);
  EXPECT_EQ(decode_ring_gossip(gossip.payload).value(), RingGossip(*host.allocator->ring()));
}

TEST(Allocator, ShowsWhoLagsItsRing) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  Ring newer = shared_ring();
  newer.set_free_count(number_of(ip("10.32.0.128")), 3);
  host.hear(newer);
  host.settle();

  host.hear(shared_ring());
  host.now += seconds(1);
  host.tick();

  std::size_t shown = 0;
  for (const AllocatorAction& action : host.out) {
    const auto* gossip = std::get_if<GossipTo>(&action);
    const Bytes lacking = encode(newer.part({number_of(ip("10.32.0.128"))}));
    shown += gossip != nullptr && gossip->payload == lacking ? 1U : 0U;
  }
  EXPECT_EQ(shown, 1U);
}

TEST(Allocator, TellsNeighboursOfGiftsTogether) {
  Host host;
  (void)host.allocate("c1", "10.32.0.0/24");
  for (const char* within : {"10.32.0.128/26", "10.32.0.64/27", "10.32.0.32/28"}) {
    const Span span = Span::of(cidr(within));
    host.hear({.id = ++host.last_id, .body = SpaceRequest{{.within = span, .usable = span}}});
  }
  host.settle();

  host.now += seconds(1);
  host.tick();

  std::vector<RingGossip> told;
  for (const AllocatorAction& action : host.out) {
    if (const auto* gossip = std::get_if<GossipAll>(&action)) {
      told.push_back(decode_ring_gossip(gossip->payload).value());
    }
  }
  ASSERT_EQ(told.size(), 1U);
  Ring heard = *host.allocator->ring();
  const auto& whole = std::get<Ring>(told[0]);  // Three gifts change most of so small a ring.
  EXPECT_EQ(whole, heard);
}

TEST(Allocator, AsksAboutAPartThatDoesNotFitAndKeepsItsRing) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  Ring theirs = shared_ring();
  (void)theirs.grant(
      {number_of(ip("10.32.0.192")), number_of(ip("10.32.0.207"))}, kB, PeerName(0xc));
  const Ring::Part part = theirs.part({number_of(ip("10.32.0.128"))});

  host.allocator->on_gossip(host.now, kB, Topic::Ring, encode(part), host.out);
  host.now += seconds(1);
  host.tick();

  EXPECT_EQ(*host.allocator->ring(), shared_ring());
  EXPECT_EQ(host.allocator->stats().misfit_count, 1U);
  EXPECT_THAT(host.said_to_b(),
              testing::Contains(PeerMessage{.id = 0, .body = RingDigest{shared_ring().digest()}}));
}

TEST(Allocator, AsksForTheWholeWhenItHearsOfARingForTheFirstTime) {
  Host host;
  const Ring theirs = shared_ring();

  host.allocator->on_gossip(
      host.now, kB, Topic::Ring, encode(theirs.part({number_of(ip("10.32.0.0"))})), host.out);

  EXPECT_EQ(host.allocator->ring(), nullptr);
  EXPECT_THAT(host.said_to_b(), testing::Contains(PeerMessage{.id = 0, .body = RingDigest{0}}));
}

TEST(Allocator, StatusListsOurselvesFirstAndWhoIsUnreachable) {
  Host host;
  host.hear(shared_ring());
  host.settle();
  (void)host.allocate("c1");

  const auto status = host.allocator->status();

  ASSERT_EQ(status.ranges.size(), 2U);
  EXPECT_EQ(status.ranges[0].owner, kA);
  EXPECT_EQ(status.ranges[0].address_count, 128U);
  EXPECT_EQ(status.ranges[0].used_count, 1U);
  EXPECT_EQ(status.ranges[1].owner, kB);
  EXPECT_FALSE(status.ranges[1].reachable);
  host.allocator->on_peer_reachable(host.now, kB, host.out);
  EXPECT_TRUE(host.allocator->status().ranges[1].reachable);
  host.allocator->on_peer_unreachable(host.now, kB, host.out);
  EXPECT_FALSE(host.allocator->status().ranges[1].reachable);
}

TEST(Allocator, SleepsWhenNothingIsToBeDone) {
  Host host;
  (void)host.allocate("c1");
  host.now += seconds(5);
  host.tick();
  host.settle();

  EXPECT_EQ(host.allocator->next_deadline(), kNever);
}

TEST(Allocator, AHostThatWasAloneTakesOverTheRingOfAClusterAndKeepsWhatIsFreeThere) {
  Host host;
  ASSERT_TRUE(host.allocate("c1").ok());
  const Ring theirs = Ring::share_out(cidr("10.32.0.0/24"), {kB, PeerName(0xc)});

  host.allocator->on_peer_reachable(host.now, kB, host.out);
  host.hear(theirs);
  host.settle();

  EXPECT_EQ(host.allocator->ring()->seeds(), theirs.seeds());
  EXPECT_EQ(host.allocator->authority().size(), 0U);
  EXPECT_EQ(host.allocator->status().conflict, "");
  EXPECT_THAT(host.allocator->held(), ElementsAre(Pair("c1", cidr("10.32.0.1/24"))));
  host.now += seconds(1);
  host.allocator->on_deadline(host.now, host.out);
  const auto asked = host.said_to_b();
  EXPECT_TRUE(std::any_of(asked.begin(), asked.end(), [](const PeerMessage& message) {
    return std::holds_alternative<ClaimRequest>(message.body);
  })) << "for the address of c1";
  host.settle();
  host.restart();
  EXPECT_EQ(host.allocator->ring()->seeds(), theirs.seeds());
  EXPECT_EQ(host.allocator->authority().size(), 0U);
}

TEST(Allocator, OfTwoHostsThatWereAloneOneGivesWay) {
  const Ring of_a = Ring::share_out(cidr("10.32.0.0/24"), {kA});
  const Ring of_b = Ring::share_out(cidr("10.32.0.0/24"), {kB});
  Host host;
  ASSERT_TRUE(host.allocate("c1").ok());

  host.hear(of_b);

  const bool gave_way = host.allocator->ring()->seeds() == of_b.seeds();
  EXPECT_EQ(gave_way, of_b.seed_id() < of_a.seed_id());
  EXPECT_NE(gave_way, host.allocator->status().conflict.find("weft reset") != std::string::npos);
}

TEST(Allocator, ARingThatOthersOwnAPartOfDoesNotGiveWay) {
  Host host;
  Ring ours = Ring::share_out(cidr("10.32.0.0/24"), {kA, kB});
  host.hear(ours);
  ASSERT_EQ(host.allocator->ring()->seeds(), ours.seeds());

  host.hear(Ring::share_out(cidr("10.32.0.0/24"), {kB, PeerName(0xc)}));

  EXPECT_EQ(host.allocator->ring()->seeds(), ours.seeds());
  EXPECT_THAT(host.allocator->status().conflict, HasSubstr("weft reset"));
}

}  // namespace
}  // namespace weft::ipam
