#include "router/mesh.h"

#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/router_mesh/mesh_pair.h"

namespace weft::router {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr TimePoint kStart{};
const PeerName kAlice(1);
const PeerName kBob(2);

RecordKey endpoint(std::uint8_t number) {
  return {RecordKind::Endpoint, Bytes(6, number)};
}

class MeshTest : public ::testing::Test {
 protected:
  LinkId dial(MeshUnderTest& mesh, TimePoint now, const std::string& target) {
    const std::size_t before = mesh.all<Dial>().size();
    mesh->connect(now, target, mesh.out);
    mesh->on_deadline(now, mesh.out);
    EXPECT_THAT(mesh.all<Dial>(), SizeIs(before + 1));
    return mesh.all<Dial>().back().link;
  }

  Wire join(TimePoint now) {
    Wire wire(now, alice_, dial(alice_, now, "bob"), bob_);
    wire.settle(now);
    return wire;
  }

  // Both run their timers every 100 ms, and hear each other.
  void run(Wire& wire, TimePoint from, Duration duration) {
    for (Duration at{}; at <= duration; at += milliseconds(100)) {
      wire.settle(from + at);
    }
  }

  // Only Alice's timers run, and nobody hears her.
  void run_alone(TimePoint from, Duration duration) {
    for (Duration at{}; at <= duration; at += milliseconds(100)) {
      alice_->on_deadline(from + at, alice_.out);
    }
  }

  MeshUnderTest alice_{MeshUnderTest::options(1), 1};
  MeshUnderTest bob_{MeshUnderTest::options(2), 2};
};

TEST_F(MeshTest, TwoPeersMeetAndKnowEachOther) {
  (void)join(kStart);

  EXPECT_THAT(alice_.all<NeighbourUp>(), ElementsAre(NeighbourUp{kBob, Ipv4(0x7f000002)}));
  EXPECT_THAT(bob_.all<NeighbourUp>(), ElementsAre(NeighbourUp{kAlice, Ipv4(0x7f000001)}));
  EXPECT_THAT(alice_.all<PeerReachable>(), ElementsAre(PeerReachable{kBob}));
  const auto peers = alice_->peers();
  ASSERT_THAT(peers, SizeIs(2));
  EXPECT_TRUE(peers[0].self);
  EXPECT_EQ(peers[1].nickname, "host-2");
  EXPECT_EQ(peers[1].next_hop, kBob);
  EXPECT_THAT(peers[1].underlay, ElementsAre(Ip(Ipv4(0x7f000002)), Ip(Ipv4(2))));
}

TEST_F(MeshTest, WithoutAPasswordAConnectionIsReportedAsUnauthenticated) {
  (void)join(kStart);

  const auto connections = alice_->connections();
  ASSERT_THAT(connections, SizeIs(1));
  EXPECT_EQ(connections[0].state, ConnectionState::Established);
  EXPECT_EQ(connections[0].address, "127.0.0.2:6783");
  EXPECT_FALSE(connections[0].authenticated);
}

TEST_F(MeshTest, RecordsAndPayloadsCross) {
  alice_->publish(kStart, {endpoint(1), to_bytes("before")}, alice_.out);
  Wire wire = join(kStart);
  alice_->publish(kStart, {endpoint(2), to_bytes("after")}, alice_.out);
  alice_->send(kStart, GossipAll{Topic::Ring, std::nullopt, to_bytes("ring")}, alice_.out);
  alice_->send(kStart, GossipTo{Topic::Ipam, kBob, to_bytes("question")}, alice_.out);
  run(wire, kStart, milliseconds(200));

  EXPECT_THAT(bob_.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(1), to_bytes("before")}));
  EXPECT_THAT(bob_.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(2), to_bytes("after")}));
  EXPECT_THAT(bob_.all<Deliver>(),
              ElementsAre(Deliver{kAlice, Topic::Ring, to_bytes("ring")},
                          Deliver{kAlice, Topic::Ipam, to_bytes("question")}));
}

TEST_F(MeshTest, GossipToAllSparesTheExcepted) {
  Wire wire = join(kStart);

  alice_->send(kStart, GossipAll{Topic::Ring, kBob, to_bytes("ring")}, alice_.out);
  wire.settle(kStart);

  EXPECT_THAT(bob_.all<Deliver>(), IsEmpty());
}

TEST_F(MeshTest, PayloadsWithoutARouteOrTooLargeAreCounted) {
  alice_->send(kStart, GossipTo{Topic::Ipam, kBob, to_bytes("x")}, alice_.out);
  alice_->send(kStart, GossipTo{Topic::Ipam, kBob, Bytes(kGossipPayloadMax + 1)}, alice_.out);
  alice_->send(
      kStart, GossipAll{Topic::Ring, std::nullopt, Bytes(kGossipPayloadMax + 1)}, alice_.out);
  EXPECT_EQ(alice_->stats().payloads_dropped, 3U);

  alice_->send(kStart, GossipTo{Topic::Ipam, kAlice, to_bytes("note to self")}, alice_.out);
  EXPECT_THAT(alice_.all<Deliver>(),
              ElementsAre(Deliver{kAlice, Topic::Ipam, to_bytes("note to self")}));
}

TEST_F(MeshTest, ALargePayloadCrosses) {
  Wire wire = join(kStart);

  alice_->send(kStart, GossipTo{Topic::Ring, kBob, Bytes(kGossipPayloadMax, 7)}, alice_.out);
  wire.settle(kStart);

  ASSERT_THAT(bob_.all<Deliver>(), SizeIs(1));
  EXPECT_EQ(bob_.all<Deliver>()[0].payload, Bytes(kGossipPayloadMax, 7));
}

TEST_F(MeshTest, WhatIsSaidIsDeflatedAndAStreamThatRestedBeginsAnew) {
  Wire wire = join(kStart);
  run(wire, kStart, seconds(20));
  const std::uint64_t before = alice_->stats().deflated_from;
  EXPECT_GT(before, 0U);

  const TimePoint later = kStart + seconds(20);
  const Bytes said(500, 7);
  alice_->send(later, GossipTo{Topic::Ring, kBob, said}, alice_.out);
  alice_->publish(later, {endpoint(1), Bytes(100, 7)}, alice_.out);
  run(wire, later, seconds(20));

  EXPECT_THAT(bob_.all<Deliver>(), ElementsAre(Deliver{kAlice, Topic::Ring, said}));
  EXPECT_THAT(bob_.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(1), Bytes(100, 7)}));
  EXPECT_GT(alice_->stats().deflated_from, before + 600);
  EXPECT_LT(alice_->stats().deflated_to, before + 150);
  EXPECT_EQ(bob_->stats().frames_refused, 0U);
}

TEST_F(MeshTest, WhoDoesNotInflateIsSpokenToInPlain) {
  Mesh::Options options = MeshUnderTest::options(3);
  options.deflates = false;
  MeshUnderTest carol{options, 3};
  Wire wire(kStart, alice_, dial(alice_, kStart, "carol"), carol);
  wire.settle(kStart);

  alice_->publish(kStart, {endpoint(1), Bytes(100, 7)}, alice_.out);
  carol->publish(kStart, {endpoint(2), Bytes(100, 8)}, carol.out);
  run(wire, kStart, seconds(1));

  EXPECT_THAT(carol.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(1), Bytes(100, 7)}));
  EXPECT_THAT(alice_.all<RecordChanged>(),
              Contains(RecordChanged{PeerName(3), endpoint(2), Bytes(100, 8)}));
  EXPECT_EQ(alice_->stats().deflated_from, 0U);
  EXPECT_EQ(carol->stats().deflated_from, 0U);
}

TEST_F(MeshTest, AQuietConnectionIsKeptAliveByHeartbeats) {
  Wire wire = join(kStart);

  run(wire, kStart, seconds(20));

  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
  EXPECT_THAT(bob_.all<NeighbourDown>(), IsEmpty());
}

TEST_F(MeshTest, ASilentConnectionIsLostAndRetried) {
  (void)join(kStart);

  run_alone(kStart, milliseconds(1600));
  EXPECT_THAT(alice_.all<PeerUnreachable>(), IsEmpty());
  run_alone(kStart + milliseconds(1600), milliseconds(600));
  EXPECT_THAT(alice_.all<PeerUnreachable>(), ElementsAre(PeerUnreachable{kBob}));
  run_alone(kStart + milliseconds(2200), milliseconds(2700));
  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
  run_alone(kStart + milliseconds(4900), milliseconds(200));

  EXPECT_THAT(alice_.all<NeighbourDown>(), ElementsAre(NeighbourDown{kBob}));
  EXPECT_THAT(alice_.all<CloseLink>().back().reason, HasSubstr("silent for 5 s"));
  const auto connections = alice_->connections();
  const auto at = std::find_if(connections.begin(), connections.end(), [](const auto& connection) {
    return connection.address == "bob:6783";
  });
  ASSERT_NE(at, connections.end());
  EXPECT_EQ(at->state, ConnectionState::Retrying);
  EXPECT_THAT(at->reason, HasSubstr("silent for 5 s; next attempt in"));
  EXPECT_THAT(alice_->peers(), SizeIs(2));  // Known still, and its records kept.
  EXPECT_FALSE(alice_->peers()[1].reachable);
}

TEST_F(MeshTest, TimeInWhichWeDidNotRunIsNotTheirSilence) {
  (void)join(kStart);

  alice_->on_deadline(kStart + seconds(30), alice_.out);
  run_alone(kStart + seconds(30), seconds(3));

  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
}

TEST_F(MeshTest, SilenceIsNotJudgedInATurnThatComesLate) {
  (void)join(kStart);
  const std::uint64_t before = alice_->stats().accusations;

  alice_->on_deadline(kStart + milliseconds(1900), alice_.out);

  EXPECT_EQ(alice_->stats().accusations, before);
  EXPECT_GT(alice_->stats().health_score, 0U);
}

TEST_F(MeshTest, ADialThatIsNotAnsweredIsGivenUpAndRetried) {
  const LinkId link = dial(alice_, kStart, "nowhere");
  EXPECT_EQ(alice_->connections()[0].state, ConnectionState::Connecting);

  run_alone(kStart, seconds(5));

  EXPECT_THAT(alice_.all<CloseLink>(), ElementsAre(CloseLink{link, "waited 5 s for an answer"}));
  EXPECT_EQ(alice_->connections()[0].state, ConnectionState::Retrying);
  run_alone(kStart + seconds(5), seconds(3));
  EXPECT_THAT(alice_.all<Dial>(), SizeIs(2));
}

TEST_F(MeshTest, AHandshakeThatStallsIsGivenUpWithWhatWasMissing) {
  const LinkId link = alice_->on_accepted(kStart, {}, {Ipv4(9), 1}, alice_.out);
  EXPECT_EQ(alice_->connections()[0].state, ConnectionState::Pending);

  run_alone(kStart, seconds(5));

  EXPECT_THAT(alice_.all<CloseLink>(), ElementsAre(CloseLink{link, "waited 5 s for its greeting"}));
  ASSERT_THAT(alice_->connections(), SizeIs(1));
  EXPECT_EQ(alice_->connections()[0].state, ConnectionState::Failed);
}

TEST_F(MeshTest, GarbageClosesThatConnectionAndNothingElse) {
  Wire wire = join(kStart);
  const LinkId bad = alice_->on_accepted(kStart, {}, {Ipv4(9), 1}, alice_.out);

  alice_->on_bytes(kStart, bad, to_bytes("GET / HTTP/1.1\r\n\r\n"), alice_.out);
  wire.settle(kStart);

  EXPECT_EQ(alice_.all<CloseLink>().back().link, bad);
  EXPECT_EQ(alice_->stats().handshakes.broken, 1U);
  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
}

TEST_F(MeshTest, AConnectionToOurselvesIsNeverRetried) {
  const LinkId out = dial(alice_, kStart, "myself");
  const LinkId in = alice_->on_accepted(kStart, {}, {Ipv4(1), 1}, alice_.out);
  alice_->on_connected(kStart, out, {}, {Ipv4(1), 6783}, alice_.out);
  for (std::size_t i = 0; i < alice_.out.size(); ++i) {
    const MeshAction action = alice_.out[i];
    if (const auto* sent = std::get_if<SendBytes>(&action)) {
      alice_->on_bytes(kStart, sent->link == out ? in : out, sent->bytes, alice_.out);
    }
  }

  run_alone(kStart, seconds(300));

  EXPECT_THAT(alice_.all<Dial>(), SizeIs(1));
  ASSERT_THAT(alice_->connections(), SizeIs(1));
  EXPECT_EQ(alice_->connections()[0].state, ConnectionState::Failed);
  EXPECT_THAT(alice_->connections()[0].reason, HasSubstr("this is ourselves"));
}

TEST_F(MeshTest, OfTwoConnectionsBothEndsKeepTheOneDialledByTheLowerName) {
  const LinkId from_bob = dial(bob_, kStart, "alice");
  const LinkId from_alice = dial(alice_, kStart, "bob");
  Wire second(kStart, bob_, from_bob, alice_);
  Wire first(kStart, alice_, from_alice, bob_);
  while (second.carry(kStart) || first.carry(kStart)) {
  }

  ASSERT_THAT(alice_->connections(), SizeIs(1));
  ASSERT_THAT(bob_->connections(), SizeIs(1));
  EXPECT_TRUE(alice_->connections()[0].outbound);
  EXPECT_FALSE(bob_->connections()[0].outbound);
  EXPECT_EQ(bob_->connections()[0].state, ConnectionState::Established);
  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
  alice_->check_invariants();
  bob_->check_invariants();
}

TEST_F(MeshTest, ForgettingATargetStopsRetriesButKeepsTheConnection) {
  Wire wire = join(kStart);
  EXPECT_THAT(alice_->targets(), ElementsAre("bob"));

  alice_->forget(kStart, "bob", alice_.out);

  EXPECT_THAT(alice_->targets(), IsEmpty());
  run(wire, kStart, seconds(2));
  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
}

TEST_F(MeshTest, ATargetThatMakesNoSenseIsRefusedWithTheReason) {
  alice_->connect(kStart, "a b", alice_.out);

  EXPECT_THAT(alice_->targets(), IsEmpty());
  ASSERT_THAT(alice_.all<MeshEvent>(), SizeIs(1));
  EXPECT_THAT(alice_.all<MeshEvent>()[0].detail, HasSubstr("expected HOST or HOST:PORT"));
}

TEST_F(MeshTest, OurPeerRecordCannotBePublishedByAModule) {
  alice_->publish(kStart, {{RecordKind::Peer, {}}, to_bytes("lies")}, alice_.out);

  (void)join(kStart);

  EXPECT_EQ(bob_->peers()[1].nickname, "host-1");
}

TEST_F(MeshTest, ConnectionsOverTheLimitAreRefusedWithTheReason) {
  Mesh::Options options = MeshUnderTest::options(3);
  options.links_max = 1;
  MeshUnderTest carol(options, 3);
  Wire one(kStart, carol, dial(carol, kStart, "bob"), bob_);
  one.settle(kStart);

  Wire two(kStart, alice_, dial(alice_, kStart, "carol"), carol);
  two.settle(kStart);

  EXPECT_EQ(carol->stats().links_refused, 1U);
  EXPECT_THAT(alice_.all<CloseLink>().back().reason, HasSubstr("limit of 1 connections"));
}

TEST_F(MeshTest, ConnectionsThatAreStillBeingAgreedOnCountToo) {
  Mesh::Options options = MeshUnderTest::options(3);
  options.links_max = 1;
  MeshUnderTest carol(options, 3);
  Wire one(kStart, carol, dial(carol, kStart, "bob"), bob_);
  Wire two(kStart, alice_, dial(alice_, kStart, "carol"), carol);
  for (bool busy = true; busy;) {
    busy = one.carry(kStart);
    busy = two.carry(kStart) || busy;
  }

  EXPECT_THAT(carol.all<NeighbourUp>(), SizeIs(1));
  EXPECT_EQ(carol->stats().links_refused, 1U);
  carol->check_invariants();
}

TEST_F(MeshTest, APeerUnreachableForADayIsForgotten) {
  alice_->publish(kStart, {endpoint(1), to_bytes("x")}, alice_.out);
  Wire wire = join(kStart);
  run(wire, kStart, seconds(1));
  bob_->on_link_closed(kStart + seconds(1), wire.link(1), "reset", bob_.out);

  for (int minutes = 0; minutes < 23 * 60; ++minutes) {
    bob_->on_deadline(kStart + seconds(60 * minutes), bob_.out);
  }
  EXPECT_THAT(bob_->peers(), SizeIs(2));
  bob_->on_deadline(kStart + hours(25), bob_.out);

  EXPECT_THAT(bob_->peers(), SizeIs(1));
  EXPECT_THAT(bob_.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(1), std::nullopt}));
  bob_->check_invariants();
}

TEST_F(MeshTest, APeerThatWasDismissedIsForgottenOnceItIsOutOfReach) {
  alice_->publish(kStart, {endpoint(1), to_bytes("x")}, alice_.out);
  Wire wire = join(kStart);
  run(wire, kStart, seconds(1));
  bob_->dismiss(kStart + seconds(1), kAlice);
  bob_->dismiss(kStart + seconds(1), PeerName(77));  // Whom nobody knows.
  run(wire, kStart + seconds(1), seconds(2));
  EXPECT_THAT(bob_->peers(), SizeIs(2));  // It has not gone yet.

  bob_->on_link_closed(kStart + seconds(3), wire.link(1), "reset", bob_.out);
  for (int second = 3; second < 30; ++second) {
    bob_->on_deadline(kStart + seconds(second), bob_.out);
  }
  EXPECT_THAT(bob_->peers(), SizeIs(1));
  EXPECT_THAT(bob_.all<RecordChanged>(),
              Contains(RecordChanged{kAlice, endpoint(1), std::nullopt}));
  bob_->check_invariants();
}

// Whoever removed it could not see it, but we could.
TEST_F(MeshTest, APeerThatIsInReachLongAfterItsDismissalIsMissedLikeOthers) {
  alice_->publish(kStart, {endpoint(1), to_bytes("x")}, alice_.out);
  Wire wire = join(kStart);
  run(wire, kStart, seconds(1));
  bob_->dismiss(kStart + seconds(1), kAlice);
  run(wire, kStart + seconds(1), seconds(70));

  bob_->on_link_closed(kStart + seconds(72), wire.link(1), "reset", bob_.out);
  for (int second = 72; second < 100; ++second) {
    bob_->on_deadline(kStart + seconds(second), bob_.out);
  }

  EXPECT_THAT(bob_.all<PeerUnreachable>(), ElementsAre(PeerUnreachable{kAlice}));
  EXPECT_THAT(bob_->peers(), SizeIs(2));
  EXPECT_THAT(bob_.all<RecordChanged>(),
              Not(Contains(RecordChanged{kAlice, endpoint(1), std::nullopt})));
}

TEST_F(MeshTest, ALostConnectionIsReportedOnceHoweverOftenItIsRetried) {
  (void)dial(alice_, kStart, "nowhere");

  for (int second = 0; second < 120; ++second) {
    const TimePoint now = kStart + seconds(second);
    alice_->on_deadline(now, alice_.out);
    for (const Dial& attempt : alice_.all<Dial>()) {
      alice_->on_link_closed(now, attempt.link, "connection refused", alice_.out);
    }
  }

  EXPECT_GE(alice_.all<Dial>().size(), 4U);
  EXPECT_LE(alice_.all<Dial>().size(), 12U);
  EXPECT_THAT(alice_.all<MeshEvent>(), SizeIs(1));
}

}  // namespace
}  // namespace weft::router
