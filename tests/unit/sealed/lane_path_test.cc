// The kernel's lane over an in-memory kernel: keys come before they are used, go when their session
// does, and are never used twice.
#include "router/io/lane/lane_path.h"

#include <algorithm>
#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/sealed/kernel_keys.h"
#include "sys/fake/fake_kernel_lane.h"

namespace weft::router {
namespace {

using ::testing::IsEmpty;

const Ip kThere = Ip::parse("192.0.2.2").value();
const Endpoint kAt{kThere, 6783};

AddSession session(SessionIndex local, SessionIndex remote, std::uint8_t seed) {
  AddSession action;
  action.local = local;
  action.remote = remote;
  action.send_key.bytes().fill(seed);
  action.receive_key.bytes().fill(static_cast<std::uint8_t>(seed + 1));
  action.lane = true;
  return action;
}

class LanePathTest : public ::testing::Test {
 protected:
  std::shared_ptr<sys::FakeKernelLane> kernel_ = std::make_shared<sys::FakeKernelLane>();
  std::unique_ptr<LanePath> path_ =
      std::make_unique<LanePath>(kernel_, LanePath::Options{.port = 6783});
};

TEST_F(LanePathTest, OpensBeforeItSealsAndUnderKeysDerivedForItAlone) {
  const AddSession action = session(1000, 2000, 7);
  path_->add(kThere, action);
  EXPECT_EQ(kernel_->openings.at(1000), lane_key(action.receive_key));
  EXPECT_THAT(kernel_->sealings, IsEmpty());

  path_->use(kThere, 1000, kAt);
  const sys::LaneSealing& sealing = kernel_->sealings.at(kThere);
  EXPECT_EQ(sealing.receiver, 2000U);
  EXPECT_EQ(sealing.key, lane_key(action.send_key));
  EXPECT_EQ(sealing.udp_source, 6783);
  EXPECT_EQ(sealing.udp_destination, 6783);
  EXPECT_GT(kernel_->signs_of_life, 0);
  // Neither the session's own key nor ESP's.
  const auto own = action.send_key.bytes();
  EXPECT_FALSE(std::equal(own.begin(), own.end(), sealing.key.begin()));
  const auto esp = esp_key(action.send_key);
  EXPECT_FALSE(std::equal(sealing.key.begin(), sealing.key.end(), esp.begin()));
}

TEST_F(LanePathTest, SessionsThatDidNotAgreeLeaveItToTheAgent) {
  AddSession action = session(1000, 2000, 7);
  action.lane = false;
  path_->add(kThere, action);
  path_->use(kThere, 1000, kAt);
  EXPECT_THAT(kernel_->openings, IsEmpty());
  EXPECT_THAT(kernel_->sealings, IsEmpty());
}

TEST_F(LanePathTest, BehindAnAddressTranslationTheAgentSeals) {
  path_->add(kThere, session(1000, 2000, 7));
  path_->use(kThere, 1000, {Ip::parse("198.51.100.1").value(), 6783});
  EXPECT_THAT(kernel_->sealings, IsEmpty());
}

// A responder's session waits for its first packet; meanwhile the mesh may tell where the peer is
// now.
TEST_F(LanePathTest, ASessionFollowsItsPeerToAnotherAddress) {
  const Ip elsewhere = Ip::parse("192.0.2.3").value();
  path_->add(kThere, session(1000, 2000, 1));
  kernel_->counts_opened[1000] = {.packets = 3, .octets = 300};
  path_->forget(kThere);
  path_->use(elsewhere, 1000, {elsewhere, 6783});

  EXPECT_EQ(kernel_->sealings.at(elsewhere).receiver, 2000U);
  EXPECT_EQ(path_->traffic(elsewhere).opened.packets, 3U);
  EXPECT_EQ(path_->traffic(kThere).opened.packets, 0U);
  path_->remove(1000);
  EXPECT_THAT(kernel_->openings, IsEmpty());
  EXPECT_THAT(kernel_->sealings, IsEmpty());
}

TEST_F(LanePathTest, RenewalKeepsTheOldKeyForWhatIsOnTheWay) {
  path_->add(kThere, session(1000, 2000, 1));
  path_->use(kThere, 1000, kAt);
  path_->add(kThere, session(1001, 2001, 3));
  EXPECT_EQ(kernel_->sealings.at(kThere).receiver, 2000U);
  path_->use(kThere, 1001, kAt);
  EXPECT_EQ(kernel_->sealings.at(kThere).receiver, 2001U);
  EXPECT_TRUE(kernel_->openings.contains(1000));

  path_->remove(1000);
  EXPECT_FALSE(kernel_->openings.contains(1000));
  EXPECT_EQ(kernel_->sealings.at(kThere).receiver, 2001U);
  path_->remove(1001);
  EXPECT_THAT(kernel_->openings, IsEmpty());
  EXPECT_THAT(kernel_->sealings, IsEmpty());
}

TEST_F(LanePathTest, NoKeySealsTwiceHoweverOftenItIsUsed) {
  path_->add(kThere, session(1000, 2000, 1));
  path_->use(kThere, 1000, kAt);
  path_->use(kThere, 1000, kAt);
  path_->stop(kThere);
  path_->use(kThere, 1000, kAt);
  path_->add(kThere, session(1001, 2001, 3));
  path_->use(kThere, 1001, kAt);

  const std::set<sys::LaneKey> distinct(kernel_->keys_sealed_under.begin(),
                                        kernel_->keys_sealed_under.end());
  EXPECT_EQ(distinct.size(), kernel_->keys_sealed_under.size());
  EXPECT_EQ(distinct.size(), 2U);
}

TEST_F(LanePathTest, CountsGoOnOverSessions) {
  path_->add(kThere, session(1000, 2000, 1));
  path_->use(kThere, 1000, kAt);
  kernel_->counts[kThere] = {.packets = 5, .octets = 500};
  kernel_->counts_opened[1000] = {.packets = 3, .octets = 300};
  path_->add(kThere, session(1001, 2001, 3));
  path_->use(kThere, 1001, kAt);
  path_->remove(1000);
  kernel_->counts[kThere] = {.packets = 2, .octets = 200};
  kernel_->counts_opened[1001] = {.packets = 1, .octets = 100};

  const LanePath::Traffic traffic = path_->traffic(kThere);
  EXPECT_EQ(traffic.sealed, (sys::LaneCount{.packets = 7, .octets = 700}));
  EXPECT_EQ(traffic.opened, (sys::LaneCount{.packets = 4, .octets = 400}));
  EXPECT_EQ(traffic.counter, 2U);
}

TEST_F(LanePathTest, WhatTheKernelRefusesTheAgentSeals) {
  kernel_->is_refusing = true;
  path_->add(kThere, session(1000, 2000, 1));
  path_->use(kThere, 1000, kAt);
  EXPECT_FALSE(path_->failure().empty());
  EXPECT_THAT(kernel_->sealings, IsEmpty());
  EXPECT_EQ(path_->traffic(kThere).sealed.packets, 0U);
}

TEST_F(LanePathTest, WipesItsKeysWhenItGoes) {
  path_->add(kThere, session(1000, 2000, 1));
  path_->use(kThere, 1000, kAt);
  path_.reset();
  EXPECT_THAT(kernel_->openings, IsEmpty());
  EXPECT_THAT(kernel_->sealings, IsEmpty());
}

}  // namespace
}  // namespace weft::router
