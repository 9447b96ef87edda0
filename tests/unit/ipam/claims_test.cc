#include "ipam/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::ipam {
namespace {

using testing::ElementsAre;
using testing::Pair;

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

TEST(Claims, ListsWhatEachOwnerHolds) {
  Claims claims;
  claims.add("b", cidr("10.32.0.2/12"));
  claims.add("a", cidr("10.32.0.9/12"));
  claims.add("a", cidr("fd00::1/64"));

  EXPECT_THAT(claims.all(),
              ElementsAre(Pair("a", cidr("10.32.0.9/12")),
                          Pair("a", cidr("fd00::1/64")),
                          Pair("b", cidr("10.32.0.2/12"))));
  EXPECT_EQ(claims.find(Ip::parse("10.32.0.2").value())->owner, "b");
  EXPECT_EQ(claims.find(Ip::parse("10.32.0.3").value()), nullptr);
}

TEST(Claims, FindsTheAddressOfAnOwnerInExactlyOneSubnet) {
  Claims claims;
  claims.add("a", cidr("10.32.0.9/12"));
  claims.add("a", cidr("10.33.0.4/24"));

  EXPECT_EQ(claims.held_in("a", cidr("10.33.0.0/24")), cidr("10.33.0.4/24"));
  EXPECT_EQ(claims.held_in("a", cidr("10.32.0.0/12")), cidr("10.32.0.9/12"));
  EXPECT_EQ(claims.held_in("a", cidr("10.34.0.0/24")), std::nullopt);
  EXPECT_EQ(claims.held_in("b", cidr("10.33.0.0/24")), std::nullopt);
}

TEST(Claims, ForgetsWhatIsRemoved) {
  Claims claims;
  claims.add("a", cidr("10.32.0.9/12"));

  claims.remove(Ip::parse("10.32.0.9").value());

  EXPECT_EQ(claims.count(), 0U);
  EXPECT_TRUE(claims.addresses_of("a").empty());
}

}  // namespace
}  // namespace weft::ipam
