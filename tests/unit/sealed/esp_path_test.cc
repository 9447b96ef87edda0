// The kernel's ESP beside the sealed path, on a kernel in memory.
#include "router/io/esp/esp_path.h"

#include <memory>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/sealed/kernel_keys.h"
#include "sys/fake/fake_xfrm.h"

namespace weft::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

const Ip kHere = Ipv4(0xc0000201);
const Ip kThere = Ipv4(0xc0000202);
const PeerName kPeer(2);

class EspPathTest : public testing::Test {
 protected:
  static AddSession session(SessionIndex local, SessionIndex remote, std::uint8_t secret) {
    AddSession session;
    session.peer = kPeer;
    session.local = local;
    session.remote = remote;
    session.send_key.bytes().fill(secret);
    session.receive_key.bytes().fill(static_cast<std::uint8_t>(secret + 1));
    session.esp = true;
    return session;
  }
  void begin(SessionIndex local, SessionIndex remote, std::uint8_t secret) {
    path_.add(kThere, session(local, remote, secret));
    path_.use(kThere, local);
  }
  bool has(const Ip& to, std::uint32_t spi) const {
    return xfrm_->associations.contains({to, spi});
  }

  std::shared_ptr<sys::FakeXfrm> xfrm_ = std::make_shared<sys::FakeXfrm>();
  std::vector<std::pair<Ip, bool>> told_;
  EspPath path_{xfrm_, {.port = 6784}, [this](const Ip& underlay, bool ready) {
                  told_.emplace_back(underlay, ready);
                }};
};

TEST_F(EspPathTest, PutsBothDirectionsIntoTheKernelBeforeItSaysReady) {
  path_.set_source(kThere, kHere);

  path_.add(kThere, session(1000, 2000, 7));
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_TRUE(xfrm_->requirements.at(kThere).in);
  path_.use(kThere, 1000);

  EXPECT_TRUE(has(kHere, 1000));
  EXPECT_TRUE(has(kThere, 2000));
  EXPECT_EQ(xfrm_->requirements.at(kThere).out, 2000U);
  EXPECT_THAT(told_, ElementsAre(Pair(kThere, true)));
  EXPECT_TRUE(path_.is_ready(kThere));
}

TEST_F(EspPathTest, TwoSidesOfASessionSealUnderTheSameKeysCrossed) {
  Secret one;
  one.bytes().fill(1);
  Secret other;
  other.bytes().fill(2);

  EXPECT_EQ(esp_key(one), esp_key(one));
  EXPECT_NE(esp_key(one), esp_key(other));
  // Never the session's own.
  EXPECT_FALSE(std::equal(one.bytes().begin(), one.bytes().end(), esp_key(one).begin()));
}

TEST_F(EspPathTest, RekeyingChangesOverInOneStepAndKeepsTheOldKeysForWhatIsOnTheWay) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);

  path_.add(kThere, session(1001, 2001, 3));
  EXPECT_EQ(xfrm_->requirements.at(kThere).out, 2000U);
  path_.use(kThere, 1001);
  EXPECT_EQ(xfrm_->requirements.at(kThere).out, 2001U);
  EXPECT_TRUE(has(kHere, 1000));
  path_.remove(1000);

  EXPECT_FALSE(has(kHere, 1000));
  EXPECT_FALSE(has(kThere, 2000));
  EXPECT_TRUE(has(kHere, 1001));
  EXPECT_THAT(told_, ElementsAre(Pair(kThere, true)));
}

TEST_F(EspPathTest, VxlanIsStillRefusedInClearWhenTheKeysAreGone) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);

  path_.remove(1000);

  EXPECT_THAT(told_, ElementsAre(Pair(kThere, true), Pair(kThere, false)));
  EXPECT_THAT(xfrm_->associations, IsEmpty());
  EXPECT_EQ(xfrm_->requirements.at(kThere), (sys::FakeXfrm::Requirement{.in = true, .out = 2000}));
}

TEST_F(EspPathTest, KeysThatSomebodyTookAwayAreMissedAndNeverGivenToTheKernelAgain) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);
  xfrm_->carried = 55;
  EXPECT_EQ(path_.look(kThere), 55U);

  xfrm_->associations.clear();
  EXPECT_EQ(path_.look(kThere), 0U);

  EXPECT_THAT(told_, ElementsAre(Pair(kThere, true), Pair(kThere, false)));
  EXPECT_THAT(xfrm_->keys_seen, SizeIs(2));
  EXPECT_THAT(xfrm_->associations, IsEmpty());
  begin(1001, 2001, 3);
  EXPECT_TRUE(path_.is_ready(kThere));
}

TEST_F(EspPathTest, SessionsThatDidNotAgreeToItGoWithout) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);
  AddSession without = session(1001, 2001, 3);
  without.esp = false;

  path_.add(kThere, without);
  path_.use(kThere, 1001);

  EXPECT_FALSE(path_.is_ready(kThere));
  EXPECT_FALSE(has(kHere, 1001));
}

TEST_F(EspPathTest, WithoutAnAddressOfOursOrWithAReservedSpiThereIsNone) {
  begin(1000, 2000, 1);
  path_.set_source(kThere, kHere);
  begin(1001, 255, 3);

  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(xfrm_->associations, IsEmpty());
}

TEST_F(EspPathTest, WhatTheKernelRefusesIsSaidAndLeavesNothingBehind) {
  path_.set_source(kThere, kHere);
  xfrm_->is_refusing = true;
  begin(1000, 2000, 1);

  EXPECT_FALSE(path_.is_ready(kThere));
  EXPECT_FALSE(path_.failure().empty());
  EXPECT_THAT(xfrm_->associations, IsEmpty());
}

TEST_F(EspPathTest, AnotherAddressOfOursEndsWhatWasMadeForTheOldOne) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);

  path_.set_source(kThere, Ipv4(0xc0000209));

  EXPECT_THAT(told_, ElementsAre(Pair(kThere, true), Pair(kThere, false)));
  EXPECT_THAT(xfrm_->associations, IsEmpty());
  EXPECT_THAT(xfrm_->requirements, IsEmpty());
}

TEST_F(EspPathTest, AForgottenPeerLeavesNothing) {
  path_.set_source(kThere, kHere);
  begin(1000, 2000, 1);

  path_.forget(kThere);

  EXPECT_THAT(xfrm_->associations, IsEmpty());
  EXPECT_THAT(xfrm_->requirements, IsEmpty());
}

TEST(EspPayload, FillsThePacketAsFarAsPaddingLets) {
  // RFC 4303, 2.4: 8 UDP + 8 VXLAN + 14 Ethernet + 1416 + 2 is divisible by four.
  EXPECT_EQ(EspPath::payload_max(1500), 1416U);
  EXPECT_EQ(EspPath::payload_max(1503), 1416U);
  EXPECT_EQ(EspPath::payload_max(1504), 1420U);
  EXPECT_EQ(EspPath::payload_max(80), 0U);
  EXPECT_EQ(EspPath::payload_max(0), 0U);
}

}  // namespace
}  // namespace weft::router
