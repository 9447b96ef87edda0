#include "plugin/proxy/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::plugin::proxy {
namespace {

using testing::HasSubstr;

std::string replaced(const std::string& text,
                     const std::string& pattern,
                     const std::string& replacement) {
  const auto result = replace_matches(text, pattern, replacement);
  return result.ok() ? result.value() : "error: " + result.error().what;
}

TEST(HostNamePattern, ReplacesEveryMatchAsGoDoes) {
  EXPECT_EQ(replaced("web-1", "(.*)", "$1"), "web-1");
  EXPECT_EQ(replaced("12a3", "[0-9]*", "n"), "nan");
  EXPECT_EQ(replaced("banana", "a", ""), "bnn");
  EXPECT_EQ(replaced("db", "web-(.*)", "$1"), "db");
  EXPECT_EQ(replaced("WEB-1", "(?i)web", "w"), "w-1");
  EXPECT_EQ(replaced("web-1", R"([[:alpha:]]+-(\d+))", "n$1"), "n1");
}

TEST(HostNamePattern, HasGroupsWithNames) {
  const std::string pattern = "^(?P<app>[a-z]+)-(?P<number>[0-9]+)$";
  EXPECT_EQ(replaced("web-1", pattern, "${app}x${number}"), "webx1");
  EXPECT_EQ(replaced("web-1", pattern, "$number-$app"), "1-web");
  EXPECT_EQ(replaced("web-1", pattern, "$2-${1}"), "1-web");
  EXPECT_EQ(replaced("web-1", "(?P<a>x)?(?P<b>web)-1", "$a$b"), "web");
  // What only looks like one.
  EXPECT_EQ(replaced("(P<a>)", R"(\(P<a>\))", "x"), "x");
  EXPECT_EQ(replaced("?", "[(?P<]", "x"), "x");
}

TEST(HostNamePattern, TakesTheLongestNameBehindADollarSign) {
  EXPECT_EQ(replaced("web", "(.+)", "$1x"), "");
  EXPECT_EQ(replaced("web", "(.+)", "${1}x"), "webx");
  EXPECT_EQ(replaced("web", "(.+)", "$1-x"), "web-x");
  EXPECT_EQ(replaced("web", "(.+)", "$2$99999999999$nobody"), "");
  EXPECT_EQ(replaced("web", "(.+)", "$$1"), "$1");
  EXPECT_EQ(replaced("web", "(.+)", "$-${1$"), "$-${1$");
}

TEST(HostNamePattern, SaysWhatIsNoExpressionOrTakesTooLong) {
  EXPECT_TRUE(check_pattern("(?P<name>.*)").ok());
  EXPECT_THAT(check_pattern("(").error().what, HasSubstr("\"(\" is no regular expression: "));
  EXPECT_FALSE(check_pattern("(?P<name").ok());
  EXPECT_FALSE(check_pattern("\\").ok());
  EXPECT_EQ(replace_matches("x", "[", "").error().code, Errc::Invalid);
  const auto endless = replace_matches(std::string(200, 'a') + "!", "^(a|a|b?)*$", "");
  EXPECT_EQ(endless.ok() ? Errc::Invalid : endless.error().code, Errc::Exhausted);
}

}  // namespace
}  // namespace weft::plugin::proxy
