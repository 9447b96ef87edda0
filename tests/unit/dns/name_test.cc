#include "dns/name.h"

#include <gtest/gtest.h>

namespace weft::dns {
namespace {

TEST(Name, IsReadAndWritten) {
  EXPECT_EQ(Name::parse("web.weft.local").value().to_string(), "web.weft.local.");
  EXPECT_EQ(Name::parse("web.weft.local.").value(), Name::parse("web.weft.local").value());
  EXPECT_EQ(Name::parse("my_app.weft.local").value().label_count(), 3U);
  EXPECT_EQ(Name::parse(".").value().to_string(), ".");
}

TEST(Name, RefusesWhatCannotTravel) {
  for (const std::string& text : {std::string(),
                                  std::string("a..b"),
                                  std::string("a b"),
                                  std::string("a\n"),
                                  std::string(64, 'x'),
                                  std::string(128, 'x').replace(63, 1, ".").substr(0, 128)}) {
    EXPECT_EQ(Name::parse(text).ok(), false) << text;
  }
  std::string longest;
  for (int i = 0; i < 63; ++i) {
    longest += "abc.";
  }
  EXPECT_TRUE(Name::parse(longest + "a").ok());
  EXPECT_EQ(Name::parse(longest + "ab").error().code, Errc::Invalid);
}

TEST(Name, KnowsWhatLiesWithinADomain) {
  const Name domain = Name::parse("weft.local").value();
  EXPECT_TRUE(Name::parse("a.b.WEFT.local").value().is_within(domain));
  EXPECT_TRUE(domain.is_within(domain));
  EXPECT_FALSE(Name::parse("eft.local").value().is_within(domain));
  EXPECT_FALSE(Name::parse("xweft.local").value().is_within(domain));
  EXPECT_FALSE(Name::parse("local").value().is_within(domain));
}

TEST(Name, ReversesAddresses) {
  EXPECT_EQ(Name::reverse_of(Ip::parse("10.32.0.1").value()).to_string(),
            "1.0.32.10.in-addr.arpa.");
  EXPECT_EQ(Name::reverse_of(Ip::parse("fd00::1").value()).to_string(),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.");
}

}  // namespace
}  // namespace weft::dns
