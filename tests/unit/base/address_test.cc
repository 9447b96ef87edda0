#include "base/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/peer_name.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

TEST(Ip, ParsesBothFamiliesAndPrintsThemCanonically) {
  EXPECT_EQ(Ip::parse("10.32.0.1").value(), Ip(Ipv4(0x0a200001)));
  EXPECT_EQ(Ip::parse("2001:db8:0:0::1").value().to_string(), "2001:db8::1");
  EXPECT_EQ(Ip::parse("10.32.0.1").value().to_string(), "10.32.0.1");
}

TEST(Ip, RefusesWhatIsNeither) {
  for (const char* text : {"", "10.32.0", "10.32.0.256", "host", "::g", "10.32.0.1 "}) {
    const auto ip = Ip::parse(text);
    ASSERT_FALSE(ip.ok()) << text;
    EXPECT_EQ(ip.error().code, Errc::Invalid);
  }
}

TEST(Ip, KnowsLoopbackOfBothFamilies) {
  for (const char* own : {"127.0.0.1", "127.255.255.255", "::1"}) {
    EXPECT_TRUE(Ip::parse(own).value().is_loopback()) << own;
  }
  for (const char* other : {"126.255.255.255", "128.0.0.0", "0.0.0.0", "::", "::2", "fe80::1"}) {
    EXPECT_FALSE(Ip::parse(other).value().is_loopback()) << other;
  }
}

TEST(Ip, RoundTripsThroughOctets) {
  const Ip v6 = Ip::parse("fe80::1").value();
  EXPECT_EQ(Ip::from_bytes(v6.bytes()).value(), v6);
  EXPECT_FALSE(Ip::from_bytes(Bytes(5)).ok());
}

TEST(Mac, ParsesPrintsAndKnowsTheGroupBit) {
  const Mac mac = Mac::parse("02:42:0A:20:00:01").value();
  EXPECT_EQ(mac.to_string(), "02:42:0a:20:00:01");
  EXPECT_FALSE(mac.is_group());
  EXPECT_TRUE(Mac::broadcast().is_group());
  EXPECT_FALSE(Mac::parse("02-42-0a-20-00-01").ok());
  EXPECT_FALSE(Mac::parse("02:42:0a:20:00").ok());
}

TEST(Cidr, KnowsItsBoundsInBothFamilies) {
  const Cidr v4 = Cidr::parse("10.40.1.2/12").value();
  EXPECT_FALSE(v4.is_network());
  EXPECT_EQ(v4.first().to_string(), "10.32.0.0");
  EXPECT_EQ(v4.last().to_string(), "10.47.255.255");
  EXPECT_EQ(v4.v4_count(), 1U << 20U);

  const Cidr v6 = Cidr::parse("2001:db8::/60").value();
  EXPECT_EQ(v6.last().to_string(), "2001:db8:0:f:ffff:ffff:ffff:ffff");
}

TEST(Cidr, OverlapsWhenOneContainsTheOther) {
  const auto cidr = [](const char* text) { return Cidr::parse(text).value(); };
  EXPECT_TRUE(cidr("10.0.0.0/8").overlaps(cidr("10.32.0.0/12")));
  EXPECT_TRUE(cidr("10.32.0.0/12").overlaps(cidr("10.0.0.0/8")));
  EXPECT_TRUE(cidr("0.0.0.0/0").overlaps(cidr("10.32.0.0/12")));
  EXPECT_FALSE(cidr("10.32.0.0/12").overlaps(cidr("10.48.0.0/12")));
  EXPECT_FALSE(cidr("0.0.0.0/0").overlaps(cidr("::/0")));
}

TEST(Cidr, RefusesBadPrefixesAndSaysTheRange) {
  EXPECT_THAT(Cidr::parse("10.0.0.0/33").error().what, HasSubstr("expected 0 to 32"));
  EXPECT_THAT(Cidr::parse("10.0.0.0").error().what, HasSubstr("expected a/len"));
  EXPECT_FALSE(Cidr::parse("10.0.0.0/").ok());
  EXPECT_FALSE(Cidr::parse("10.0.0.0/-1").ok());
}

TEST(Endpoint, ParsesBothFamiliesAndRoundTrips) {
  EXPECT_EQ(Endpoint::parse("10.0.0.1:6783").value().to_string(), "10.0.0.1:6783");
  EXPECT_EQ(Endpoint::parse("[fe80::1]:6783").value().to_string(), "[fe80::1]:6783");
  for (const char* text : {"10.0.0.1", "fe80::1:1", "[10.0.0.1]:1", "10.0.0.1:65536", "[::1]"}) {
    EXPECT_FALSE(Endpoint::parse(text).ok()) << text;
  }
}

TEST(PeerName, IsWrittenLikeAMacAddress) {
  const PeerName name = PeerName::parse("00:00:00:00:01:02").value();
  EXPECT_EQ(name.number(), 0x0102U);
  EXPECT_EQ(name.to_string(), "00:00:00:00:01:02");
}

}  // namespace
}  // namespace weft
