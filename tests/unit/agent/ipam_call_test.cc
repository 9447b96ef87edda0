#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/ipam/call.h"
#include "agent/ipam/init.h"

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Cidr kDefault = Cidr::parse("10.32.0.0/12").value();

template <class Call>
Call parsed(const char* method, const char* target) {
  return std::get<Call>(parse_ipam_call(method, target, kDefault).value());
}

Error refused(const char* method, const char* target) {
  return parse_ipam_call(method, target, kDefault).error();
}

TEST(IpamCall, AllocatesInTheDefaultSubnetOrTheOneNamed) {
  EXPECT_EQ(parsed<TakeAddress>("POST", "/ip/abc").subnet, kDefault);
  EXPECT_EQ(parsed<TakeAddress>("POST", "/ip/abc/10.32.1.0/24?check-alive=true").subnet,
            Cidr::parse("10.32.1.0/24").value());
  EXPECT_EQ(parsed<TakeAddress>("POST", "/ip/weft%3aexpose").owner, "weft:expose");
}

TEST(IpamCall, LooksUpListsAndFrees) {
  EXPECT_TRUE(
      std::holds_alternative<ListAddresses>(parse_ipam_call("GET", "/ip", kDefault).value()));
  EXPECT_EQ(parsed<LookUpAddresses>("GET", "/ip/abc").owner, "abc");
  EXPECT_EQ(parsed<FreeAllAddresses>("DELETE", "/ip/abc").owner, "abc");
  EXPECT_EQ(parsed<FreeAddress>("DELETE", "/ip/abc/10.32.0.9").address,
            Ip::parse("10.32.0.9").value());
}

TEST(IpamCall, HoldsAnAnonymousClaimUnderItsOwnText) {
  const auto claim = parsed<ClaimAddress>("PUT", "/ip/_/10.32.0.9/12?noErrorOnUnknown=true");

  EXPECT_EQ(claim.owner, "10.32.0.9");
  EXPECT_TRUE(claim.tolerant);
  EXPECT_FALSE(claim.check_alive);
  EXPECT_TRUE(parsed<ClaimAddress>("PUT", "/ip/a/10.32.0.9/12?check-alive=true").check_alive);
  EXPECT_EQ(parsed<FreeAddress>("DELETE", "/ip/_/10.32.0.9").owner, "10.32.0.9");
}

TEST(IpamCall, KnowsThePathsThatAreItsOwn) {
  EXPECT_TRUE(is_ipam_path("/ip"));
  EXPECT_TRUE(is_ipam_path("/ring"));
  EXPECT_TRUE(is_ipam_path("/peer/host3"));
  EXPECT_FALSE(is_ipam_path("/ipx"));
  EXPECT_FALSE(is_ipam_path("/status/ipam"));
}

TEST(IpamCall, RefusesWhatIsNoCallOrMalformed) {
  EXPECT_EQ(refused("POST", "/ip").code, Errc::NotFound);
  EXPECT_EQ(refused("GET", "/ip/a/b/c/d/e/f").code, Errc::NotFound);
  EXPECT_EQ(refused("POST", "/ip/abc/10.32.0.1/24").code, Errc::Invalid);
  EXPECT_EQ(refused("POST", "/ip/a%zz").code, Errc::Invalid);
  EXPECT_EQ(refused("PUT", "/ip/abc/10.32.0.1/99").code, Errc::Invalid);
  EXPECT_EQ(refused("DELETE", "/ip/abc/nonsense").code, Errc::Invalid);
}

TEST(IpamInit, TakesTheThreeWaysToFoundACluster) {
  EXPECT_EQ(parse_ipam_init("").value().elector_count, std::nullopt);
  EXPECT_EQ(parse_ipam_init("consensus=3").value().elector_count, 3U);
  EXPECT_TRUE(parse_ipam_init("observer").value().observer);
  EXPECT_THAT(parse_ipam_init("seed=::2,::1").value().seeds, ElementsAre(PeerName(1), PeerName(2)));
}

TEST(IpamInit, RefusesEmptyAndRepeatedSeeds) {
  EXPECT_THAT(parse_ipam_init("seed=").error().what, HasSubstr("0 seeds"));
  EXPECT_THAT(parse_ipam_init("seed=::1,::1").error().what, HasSubstr("repetitions"));
  EXPECT_FALSE(parse_ipam_init("seed=x").ok());
}

}  // namespace
}  // namespace weft::agent
