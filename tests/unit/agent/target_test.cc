#include "agent/target.h"

#include <gtest/gtest.h>

namespace weft::agent {
namespace {

TEST(Target, TakesNamesAndAddressesWithAndWithoutPort) {
  for (const char* text : {"host1",
                           "host-1.example.org:6783",
                           "10.0.0.2",
                           "10.0.0.2:7000",
                           "[fd00::1]",
                           "[fd00::1]:6783"}) {
    const auto target = parse_target(text);

    ASSERT_TRUE(target.ok()) << text;
    EXPECT_EQ(target.value(), text);
  }
}

TEST(Target, PutsABareIpv6AddressInBrackets) {
  const auto target = parse_target("fd00::1");

  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target.value(), "[fd00::1]");
}

TEST(Target, RefusesWhatIsNoPeerAndSaysWhatIs) {
  for (const char* text : {"",
                           ":6783",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:port",
                           "host name",
                           "-host",
                           "[fd00::1",
                           "[host]:1",
                           "[]",
                           "host:1:2",
                           "host\n"}) {
    const auto target = parse_target(text);

    ASSERT_FALSE(target.ok()) << text;
    EXPECT_EQ(target.error().code, Errc::Invalid);
    EXPECT_NE(target.error().what.find("expected HOST or HOST:PORT"), std::string::npos);
  }
}

TEST(SameTarget, ComparesPlacesAndNotSpellings) {
  EXPECT_TRUE(is_same_target("10.0.0.1", "10.0.0.1:6783", 6783));
  EXPECT_TRUE(is_same_target("[fd00::1]", "[fd00::1]:6783", 6783));
  EXPECT_FALSE(is_same_target("10.0.0.1", "10.0.0.1:6784", 6783));
  EXPECT_FALSE(is_same_target("10.0.0.1", "10.0.0.2", 6783));
}

}  // namespace
}  // namespace weft::agent
