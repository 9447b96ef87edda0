// Who may talk to a mesh: strangers, floods, passwords, versions, clones.
#include <chrono>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/channel.h"
#include "tests/unit/router_mesh/mesh_pair.h"

namespace weft::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr TimePoint kStart{};

Psk password(std::uint8_t fill) {
  Psk psk;
  psk.bytes().fill(fill);
  return psk;
}

Mesh::Options member(std::uint64_t name, const Psk& psk) {
  Mesh::Options options = MeshUnderTest::options(name);
  options.psk = psk;
  return options;
}

LinkId dial(MeshUnderTest& mesh, TimePoint now, const std::string& target) {
  mesh->connect(now, target, mesh.out);
  mesh->on_deadline(now, mesh.out);
  return mesh.all<Dial>().back().link;
}

// Everything a channel needs but the mesh around it: a stranger, or a peer of another version.
struct Raw {
  explicit Raw(Channel::Options options) : channel(std::move(options), entropy) {
    channel.start(output);
  }

  // Carries what there is, both ways, until both are quiet.
  void talk_to(MeshUnderTest& mesh, LinkId link, TimePoint now) {
    for (std::size_t seen = 0;;) {
      const Bytes ours = std::exchange(output.bytes, {});
      if (!ours.empty()) {
        mesh->on_bytes(now, link, ours, mesh.out);
      }
      bool any = !ours.empty();
      for (; seen < mesh.out.size(); ++seen) {
        const auto* sent = std::get_if<SendBytes>(&mesh.out[seen]);
        if (sent != nullptr && sent->link == link) {
          channel.on_bytes(sent->bytes, output);
          any = true;
        }
      }
      if (!any) {
        return;
      }
    }
  }

  std::string failure() const {
    for (const Channel::Event& event : output.events) {
      if (const auto* failed = std::get_if<Channel::Failed>(&event)) {
        return failed->error.what;
      }
    }
    return "";
  }

  SeededEntropy entropy{Rng(99)};
  Channel channel;
  Channel::Output output;
};

// A peer that dials `mesh` from `source` and speaks as `options` say.
std::string answer_to(MeshUnderTest& mesh, const Ip& source, Channel::Options options) {
  options.role = Channel::Role::Initiator;
  SeededEntropy entropy{Rng(5)};
  options.key = KeyPair::generate(entropy);
  Raw peer(std::move(options));
  const LinkId link = mesh->on_accepted(kStart, {}, {source, 40000}, mesh.out);
  peer.talk_to(mesh, link, kStart);
  return peer.failure();
}

std::vector<ConnectionStatus> failed(MeshUnderTest& mesh) {
  std::vector<ConnectionStatus> found = mesh->connections();
  std::erase_if(found, [](const ConnectionStatus& connection) {
    return connection.state != ConnectionState::Failed;
  });
  return found;
}

// Strangers and floods -------------------------------------------------------------------------

TEST(MeshAdmission, AThousandHostileConnectionsCostNoMultiplication) {
  MeshUnderTest alice(member(1, password(1)));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    (void)answer_to(alice, Ipv4(1000 + i % 250), {.passwords = {password(9)}});
    alice->check_invariants();
  }

  const HandshakeStats stats = alice->stats().handshakes;

  EXPECT_EQ(stats.accepted, 1000U);
  EXPECT_EQ(stats.dh, 0U);
  EXPECT_EQ(stats.password + stats.busy, 1000U);
  EXPECT_GT(stats.password, 0U);
  EXPECT_GT(stats.busy, 0U);
}

TEST(MeshAdmission, AMemberGetsInWhileStrangersHoldEveryPlace) {
  MeshUnderTest alice(member(1, password(1)));
  MeshUnderTest bob(member(2, password(1)), 2);
  for (std::uint32_t i = 0; i < 400; ++i) {
    (void)alice->on_accepted(kStart, {}, {Ipv4(1000 + i % 30), 40000}, alice.out);
  }

  Wire wire(kStart, bob, dial(bob, kStart, "alice"), alice);
  wire.settle(kStart);

  EXPECT_THAT(bob.all<NeighbourUp>(), SizeIs(1));
  alice->check_invariants();
}

TEST(MeshAdmission, OneSourceHoldsNoMoreThanItsPlaces) {
  MeshUnderTest alice(member(1, password(1)));
  for (std::uint16_t i = 0; i < 50; ++i) {
    (void)alice->on_accepted(kStart, {}, {Ipv4(9), i}, alice.out);
  }

  EXPECT_THAT(alice.all<CloseLink>(), SizeIs(34));
  EXPECT_EQ(alice->stats().handshakes.busy, 34U);
}

TEST(MeshAdmission, WhoIsTurnedAwayIsToldThatWeAreBusy) {
  MeshUnderTest alice(member(1, password(1)));
  for (std::uint16_t i = 0; i < 16; ++i) {
    (void)alice->on_accepted(kStart, {}, {Ipv4(9), i}, alice.out);
  }

  EXPECT_THAT(answer_to(alice, Ipv4(9), {.passwords = {password(1)}}), HasSubstr("busy"));
}

// Refusals an operator sees --------------------------------------------------------------------

TEST(MeshAdmission, AWrongPasswordIsShownOnBothSidesAndStopsNobodyElse) {
  MeshUnderTest alice(member(1, password(1)));
  MeshUnderTest mallory(member(3, password(9)), 3);
  MeshUnderTest bob(member(2, password(1)), 2);
  Wire bad(kStart, mallory, dial(mallory, kStart, "alice"), alice);
  bad.settle(kStart);

  ASSERT_THAT(failed(alice), SizeIs(1));
  EXPECT_THAT(failed(alice)[0].reason, HasSubstr("wrong password"));
  EXPECT_FALSE(failed(alice)[0].outbound);
  ASSERT_THAT(mallory->connections(), SizeIs(1));
  EXPECT_EQ(mallory->connections()[0].state, ConnectionState::Retrying);
  EXPECT_THAT(mallory->connections()[0].reason, HasSubstr("wrong password"));
  EXPECT_THAT(alice.all<MeshEvent>()[0].detail, HasSubstr("wrong password"));
  EXPECT_THAT(mallory.all<MeshEvent>()[0].detail, HasSubstr("wrong password"));
  EXPECT_EQ(alice->stats().handshakes.password, 1U);
  EXPECT_EQ(mallory->stats().handshakes.password, 1U);
  Wire good(kStart, bob, dial(bob, kStart, "alice"), alice);
  good.settle(kStart);
  EXPECT_THAT(bob.all<NeighbourUp>(), SizeIs(1));
}

TEST(MeshAdmission, VersionsThatDoNotMeetAreShownOnBothSides) {
  MeshUnderTest alice(MeshUnderTest::options(1));

  const std::string told = answer_to(alice, Ipv4(9), {.versions = {.lowest = 2, .highest = 2}});

  EXPECT_EQ(told, "peer speaks protocol 1..1, we speak 2..2");
  ASSERT_THAT(failed(alice), SizeIs(1));
  EXPECT_THAT(failed(alice)[0].reason, HasSubstr("peer speaks protocol 2..2, we speak 1..1"));
  EXPECT_EQ(alice->stats().handshakes.version, 1U);
}

TEST(MeshAdmission, ARefusalIsShownWhileItIsFreshAndCountedOnce) {
  MeshUnderTest alice(member(1, password(1)));
  for (int i = 0; i < 3; ++i) {
    (void)answer_to(alice, Ipv4(9), {.passwords = {password(9)}});
  }
  ASSERT_THAT(failed(alice), SizeIs(1));
  EXPECT_THAT(failed(alice)[0].reason, HasSubstr("tried 3 times, last 0 s ago"));

  alice->on_deadline(kStart + minutes(3), alice.out);

  EXPECT_THAT(failed(alice), IsEmpty());
}

TEST(MeshAdmission, RefusalsAreBounded) {
  MeshUnderTest alice(member(1, password(1)));

  for (std::uint32_t i = 0; i < 150; ++i) {
    (void)answer_to(alice, Ipv4(1000 + i), {.passwords = {password(9)}});
    alice->check_invariants();
  }

  EXPECT_LE(failed(alice).size(), 64U);
}

// Clones ---------------------------------------------------------------------------------------

TEST(MeshAdmission, ACloneIsRefusedOnBothSidesWithTheCureAndIsNotDialledAgain) {
  MeshUnderTest original(MeshUnderTest::options(1), 1);
  MeshUnderTest copy(MeshUnderTest::options(1), 2);  // The same name and key, another run.

  Wire wire(kStart, copy, dial(copy, kStart, "original"), original);
  wire.settle(kStart);
  for (int second = 0; second < 300; ++second) {
    copy->on_deadline(kStart + seconds(second), copy.out);
  }

  EXPECT_THAT(original->warnings(), ElementsAre(HasSubstr("two hosts share the peer name")));
  EXPECT_THAT(copy->warnings(), ElementsAre(HasSubstr("remove /var/lib/weft there")));
  EXPECT_THAT(copy.all<Dial>(), SizeIs(1));
  ASSERT_THAT(failed(copy), SizeIs(1));
  EXPECT_THAT(failed(copy)[0].reason, HasSubstr("two hosts share"));
  EXPECT_THAT(failed(original), SizeIs(1));
  EXPECT_EQ(copy->stats().handshakes.clone, 1U);
}

TEST(MeshAdmission, AWarningGoesWhenItsCauseHasGone) {
  MeshUnderTest original(MeshUnderTest::options(1), 1);
  MeshUnderTest copy(MeshUnderTest::options(1), 2);
  Wire wire(kStart, copy, dial(copy, kStart, "original"), original);
  wire.settle(kStart);
  ASSERT_THAT(original->warnings(), SizeIs(1));

  original->on_deadline(kStart + minutes(11), original.out);

  EXPECT_THAT(original->warnings(), IsEmpty());
}

// Changing the password ------------------------------------------------------------------------

class Rotation : public ::testing::Test {
 protected:
  void connect(TimePoint now) {
    wire_ = std::make_unique<Wire>(now, bob_, dial(bob_, now, "alice"), alice_);
    wire_->settle(now);
    ASSERT_THAT(bob_->connections(), SizeIs(1));
    ASSERT_EQ(bob_->connections()[0].state, ConnectionState::Established);
  }

  const Psk old_ = password(1);
  const Psk new_ = password(2);
  MeshUnderTest alice_{member(1, old_)};
  MeshUnderTest bob_{member(2, old_), 2};
  std::unique_ptr<Wire> wire_;
};

TEST_F(Rotation, ConnectionsStayWhileBothPasswordsAreGood) {
  connect(kStart);

  alice_->set_passwords(kStart, new_, old_, alice_.out);
  wire_->settle(kStart);

  EXPECT_THAT(alice_.all<NeighbourDown>(), IsEmpty());
  EXPECT_TRUE(alice_->connections()[0].old_password);
  EXPECT_FALSE(bob_->connections()[0].old_password);
}

TEST_F(Rotation, WhoHasTheNewPasswordStillReachesWhoHasNot) {
  bob_->set_passwords(kStart, new_, old_, bob_.out);

  connect(kStart);

  EXPECT_TRUE(bob_->connections()[0].old_password);
  EXPECT_FALSE(alice_->connections()[0].old_password);
}

TEST_F(Rotation, ConnectionsOnAPasswordThatIsGoneEndAndComeBackAtOnce) {
  connect(kStart);
  alice_->set_passwords(kStart, new_, old_, alice_.out);
  bob_->set_passwords(kStart, new_, std::nullopt, bob_.out);
  ASSERT_THAT(bob_.all<NeighbourDown>(), SizeIs(1));
  wire_->settle(kStart);

  const std::size_t dials = bob_.all<Dial>().size();
  Wire again(kStart, bob_, bob_.all<Dial>().back().link, alice_);
  again.settle(kStart);

  EXPECT_EQ(dials, 2U);  // At once: the clock has not moved.
  ASSERT_THAT(bob_->connections(), SizeIs(1));
  EXPECT_EQ(bob_->connections()[0].state, ConnectionState::Established);
  EXPECT_FALSE(bob_->connections()[0].old_password);
  EXPECT_FALSE(alice_->connections()[0].old_password);
}

TEST_F(Rotation, KeysOfALongConnectionChange) {
  connect(kStart);

  for (Duration at{}; at <= minutes(11); at += milliseconds(500)) {
    wire_->settle(kStart + at);
  }
  alice_->send(
      kStart + minutes(11),
      GossipAll{.topic = Topic::Ring, .except = std::nullopt, .payload = to_bytes("still here")},
      alice_.out);
  wire_->settle(kStart + minutes(11));

  EXPECT_THAT(bob_.all<Deliver>(), SizeIs(1));
  EXPECT_THAT(bob_.all<NeighbourDown>(), IsEmpty());
}

// Where we are ---------------------------------------------------------------------------------

TEST(MeshObserved, WhatANeighbourSeesOfUsIsOneOfOurAddresses) {
  MeshUnderTest alice(MeshUnderTest::options(1), 1);
  MeshUnderTest bob(MeshUnderTest::options(2), 2);

  Wire wire(kStart, bob, dial(bob, kStart, "alice"), alice);
  wire.settle(kStart);

  // The wire shows the dialler as 127.0.0.1 and the listener as 127.0.0.2.
  EXPECT_THAT(bob->peers()[0].underlay, ElementsAre(Ipv4(2), Ipv4(0x7f000001)));
  EXPECT_THAT(alice->peers()[0].underlay, ElementsAre(Ipv4(1), Ipv4(0x7f000002)));
}

TEST(MeshObserved, APeerThatIsLostIsDialledAtAllItsAddresses) {
  MeshUnderTest alice(MeshUnderTest::options(1), 1);
  MeshUnderTest bob(MeshUnderTest::options(2), 2);
  Wire wire(kStart, bob, dial(bob, kStart, "alice"), alice);
  for (Duration at{}; at <= seconds(2); at += milliseconds(100)) {
    wire.settle(kStart + at);
  }

  alice->on_link_closed(kStart + seconds(2), wire.link(1), "reset", alice.out);
  for (Duration at = seconds(2); at <= seconds(30); at += milliseconds(100)) {
    alice->on_deadline(kStart + at, alice.out);
  }

  // As it says, and as we said we see it; each time another one is preferred.
  const auto dials = alice.all<Dial>();
  ASSERT_GE(dials.size(), 2U);
  EXPECT_EQ(dials[0].host, "0.0.0.2");
  EXPECT_THAT(dials[0].others, ElementsAre(Endpoint{Ipv4(0x7f000001), 6783}));
  EXPECT_EQ(dials[1].host, "127.0.0.1");
  EXPECT_THAT(dials[1].others, ElementsAre(Endpoint{Ipv4(2), 6783}));
}

TEST(MeshObserved, APeerIsFoundByItsName) {
  MeshUnderTest alice(MeshUnderTest::options(1), 1);
  MeshUnderTest bob(MeshUnderTest::options(2), 2);
  Wire wire(kStart, bob, dial(bob, kStart, "alice"), alice);
  wire.settle(kStart);

  ASSERT_TRUE(alice->peer(PeerName(2)).has_value());
  EXPECT_EQ(alice->peer(PeerName(2))->nickname, "host-2");
  EXPECT_TRUE(alice->peer(PeerName(1))->self);
  EXPECT_FALSE(alice->peer(PeerName(3)).has_value());
}

}  // namespace
}  // namespace weft::router
