#include "agent/ipam/guests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

sys::Guest guest(const char* port, const char* address) {
  return {.port = port,
          .name = "eth0",
          .pid = 7,
          .mac = {},
          .is_ours = true,
          .addresses = {cidr(address)}};
}

TEST(FoundGuests, ClaimsAndPlugsWhatNobodyRemembers) {
  FoundGuests found;

  const auto steps = found.look({guest("p1", "10.32.0.1/24")}, {});

  EXPECT_THAT(steps.claim, ElementsAre(cidr("10.32.0.1/24")));
  EXPECT_THAT(steps.plug, ElementsAre(guest("p1", "10.32.0.1/24")));
  EXPECT_FALSE(found.empty());
}

TEST(FoundGuests, LeavesAloneWhatIsOnRecord) {
  FoundGuests found;

  const auto steps = found.look({guest("p1", "10.32.0.1/24")},
                                {.held = {cidr("10.32.0.1/24").address()}, .ports = {"p1"}});

  EXPECT_THAT(steps.claim, IsEmpty());
  EXPECT_THAT(steps.plug, IsEmpty());
  EXPECT_TRUE(found.empty());
}

TEST(FoundGuests, ClaimsTheAddressButNotThePortOfOthers) {
  FoundGuests found;
  auto strange = guest("theirs", "10.32.0.1/24");
  strange.is_ours = false;

  const auto steps = found.look({strange}, {});

  EXPECT_THAT(steps.claim, ElementsAre(cidr("10.32.0.1/24")));
  EXPECT_THAT(steps.plug, IsEmpty());
}

TEST(FoundGuests, LetsGoOfWhatTwoLooksInARowMissed) {
  FoundGuests found;
  const FoundGuests::Known known{.held = {cidr("10.32.0.1/24").address()}, .ports = {}};
  (void)found.look({guest("p1", "10.32.0.1/24")}, {});

  const auto once = found.look({}, known);
  (void)found.look({guest("p1", "10.32.0.1/24")}, known);
  const auto again = found.look({}, known);
  const auto twice = found.look({}, known);

  EXPECT_THAT(once.release, IsEmpty());
  EXPECT_THAT(again.release, IsEmpty());
  EXPECT_THAT(twice.release, ElementsAre(cidr("10.32.0.1/24").address()));
  EXPECT_THAT(twice.unplug, ElementsAre(guest("p1", "10.32.0.1/24")));
  EXPECT_TRUE(found.empty());
}

TEST(FoundGuests, RemembersClaimsOfAnEarlierRun) {
  FoundGuests found;
  found.remember(cidr("10.32.0.9/24").address());

  (void)found.look({}, {});
  const auto steps = found.look({}, {});

  EXPECT_THAT(steps.release, ElementsAre(cidr("10.32.0.9/24").address()));
}

}  // namespace
}  // namespace weft::agent
