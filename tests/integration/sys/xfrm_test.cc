// One contract for the kernel's ESP and for its twin in memory. Kernels of the machines that build
// weft may lack it: there the twin alone is held to it, and tests/vm/esp_test.sh runs the other
// half under Debian's kernel (WEFT_KERNEL_XFRM).
#include "sys/xfrm/xfrm.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/aead/aead.h"
#include "sys/clock.h"
#include "sys/fake/fake_xfrm.h"
#include "sys/netns.h"
#include "sys/xfrm/esp_speed.h"

namespace weft::sys {
namespace {

std::vector<std::string> worlds() {
  std::vector<std::string> all{"Fake"};
  if (std::getenv("WEFT_KERNEL_XFRM") != nullptr) {
    all.emplace_back("Kernel");
  }
  return all;
}

class XfrmTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Fake") {
      xfrm_ = std::make_unique<FakeXfrm>();
      return;
    }
    // Probing needs a second thread, which the namespace cannot be entered with: in this order.
    ASSERT_TRUE(enter_new_namespace().ok());
    Result<std::unique_ptr<Xfrm>> opened = open_xfrm();
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    xfrm_ = std::move(opened).value();
  }
  void TearDown() override {
    if (xfrm_) {
      EXPECT_TRUE(xfrm_->clear().ok());
    }
  }

  static EspAssociation association(EspDirection direction, std::uint32_t spi, std::uint8_t key) {
    EspAssociation association{
        .direction = direction, .spi = spi, .key = {}, .packets_max = 1000, .seconds_max = 100};
    association.key.fill(key);
    return association;
  }

  static inline const EspPair kPair{
      .local = Ipv4(0xc0000201), .peer = Ipv4(0xc0000202), .port = 6784, .group = 3};
  static constexpr std::uint32_t kSpi = 0x10002000;
  std::unique_ptr<Xfrm> xfrm_;
};

TEST_P(XfrmTest, KeysThatWereAddedAreThereUntilTheyAreRemoved) {
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::Out, kSpi, 1)).ok());
  const auto there = xfrm_->packets(kPair, EspDirection::Out, kSpi);
  const Result<Ok> removed = xfrm_->remove(kPair, EspDirection::Out, kSpi);
  const auto gone = xfrm_->packets(kPair, EspDirection::Out, kSpi);

  ASSERT_TRUE(there.ok()) << there.error().what;
  EXPECT_EQ(there.value(), 0U);
  EXPECT_TRUE(removed.ok());
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().code, Errc::NotFound);
}

TEST_P(XfrmTest, AnSpiIsGivenOutOncePerDirection) {
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::In, kSpi, 1)).ok());

  const Result<Ok> again = xfrm_->add(kPair, association(EspDirection::In, kSpi, 2));
  const Result<Ok> otherwise = xfrm_->add(kPair, association(EspDirection::Out, kSpi, 3));

  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Errc::Conflict);
  EXPECT_TRUE(otherwise.ok());
}

TEST_P(XfrmTest, SeveralKeysStandBesideEachOther) {
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::In, kSpi, 1)).ok());
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::In, kSpi + 1, 2)).ok());

  ASSERT_TRUE(xfrm_->remove(kPair, EspDirection::In, kSpi).ok());

  EXPECT_TRUE(xfrm_->packets(kPair, EspDirection::In, kSpi + 1).ok());
}

TEST_P(XfrmTest, WhatIsNotThereIsRemovedWithoutComplaint) {
  EXPECT_TRUE(xfrm_->remove(kPair, EspDirection::In, kSpi).ok());
  EXPECT_TRUE(xfrm_->release(kPair).ok());
  EXPECT_TRUE(xfrm_->clear().ok());
}

TEST_P(XfrmTest, RequirementsAreSetAgainAndReleased) {
  EXPECT_TRUE(xfrm_->require_in(kPair).ok());
  EXPECT_TRUE(xfrm_->require_in(kPair).ok());
  EXPECT_TRUE(xfrm_->require_out(kPair, kSpi).ok());
  EXPECT_TRUE(xfrm_->require_out(kPair, kSpi + 1).ok());

  EXPECT_TRUE(xfrm_->release(kPair).ok());
}

TEST_P(XfrmTest, EverythingOfOursIsFoundAgainAndCleared) {
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::In, kSpi, 1)).ok());
  ASSERT_TRUE(xfrm_->add(kPair, association(EspDirection::Out, kSpi, 2)).ok());
  ASSERT_TRUE(xfrm_->require_out(kPair, kSpi).ok());

  ASSERT_TRUE(xfrm_->clear().ok());

  EXPECT_FALSE(xfrm_->packets(kPair, EspDirection::In, kSpi).ok());
  EXPECT_FALSE(xfrm_->packets(kPair, EspDirection::Out, kSpi).ok());
}

// Carries datagrams through the kernel's ESP where there is one.
TEST(EspSpeed, IsMeasuredOrTheReasonIsSaid) {
  const SystemClock clock;
  const std::vector<MeasuredAead> aeads = choose_aeads(clock);
  const auto key = aeads.front().aead->make_key({});

  const Result<EspCost> cost = measure_esp(*key, clock);

  ASSERT_TRUE(cost.ok() || std::getenv("WEFT_KERNEL_XFRM") == nullptr) << cost.error().what;
  if (cost.ok()) {
    EXPECT_GT(cost.value().kernel.count(), 0);
    EXPECT_GT(cost.value().ours.count(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(, XfrmTest, testing::ValuesIn(worlds()), [](const auto& world) {
  return world.param;
});

}  // namespace
}  // namespace weft::sys
