// Paths, queries and bodies of the control API, as anybody may send them.
#include "agent/http/form.h"

#include <gmock/gmock.h>

namespace weft::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(Form, IsReadWithRepeatedParametersAndEscapes) {
  const auto form = parse_form("a=1&b=x%20y+z&c&a=2&=nameless");

  ASSERT_TRUE(form.ok());
  EXPECT_THAT(
      form.value(),
      UnorderedElementsAre(Pair("a", "1"), Pair("a", "2"), Pair("b", "x y z"), Pair("c", "")));
  EXPECT_THAT(values_of(form.value(), "a"), ElementsAre("1", "2"));
  EXPECT_EQ(value_of(form.value(), "d"), "");
}

TEST(Form, RefusesEscapesThatAreNone) {
  for (const char* text : {"a=%zz", "a=%", "a=%4", "%g1=b"}) {
    EXPECT_FALSE(parse_form(text).ok()) << text;
  }
}

TEST(Form, HasTheParametersOfBodyAndQuery) {
  const auto form = parse_request_form("/connect?replace=true&peer=h2", "peer=h1");

  ASSERT_TRUE(form.ok());
  EXPECT_THAT(values_of(form.value(), "peer"), ElementsAre("h1", "h2"));
  EXPECT_TRUE(flag_of(form.value(), "replace"));
  EXPECT_FALSE(flag_of(form.value(), "peer"));
}

TEST(Percent, WhatIsEncodedIsOneSegmentAndDecodesToItself) {
  const std::string owner = "a/b c%d?e\n\xc3\xa9";

  const std::string path = "/ip/" + encode_percent(owner);

  EXPECT_THAT(path_segments(path).value(), ElementsAre("ip", owner));
}

TEST(Percent, PathsAreCutAtSlashes) {
  EXPECT_THAT(path_segments("/name/c1/10.0.0.1?fqdn=x/y").value(),
              ElementsAre("name", "c1", "10.0.0.1"));
  EXPECT_THAT(path_segments("/ip//x").value(), ElementsAre("ip", "", "x"));
  EXPECT_FALSE(path_segments("ip").ok());
  EXPECT_FALSE(path_segments("/ip/%f").ok());
}

}  // namespace
}  // namespace weft::agent
