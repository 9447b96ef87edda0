#include "app/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Target, IsTakenApartAndDecoded) {
  const auto target = parse_target(
      "/api/topology/containers/abc%3B%3Ccontainer%3E%2Fx?stopped=both&a+b=c%20d#frag");

  ASSERT_TRUE(target.ok());
  EXPECT_THAT(target.value().path,
              ElementsAre("api", "topology", "containers", "abc;<container>/x"));
  EXPECT_THAT(target.value().query, ElementsAre(Pair("a b", "c d"), Pair("stopped", "both")));
}

TEST(Target, MayBeTheRoot) {
  EXPECT_THAT(parse_target("/").value().path, IsEmpty());
}

TEST(Target, IsRefusedWhereItIsMalformed) {
  for (const char* text : {"", "api", "/%", "/%4", "/%zz", "/a?b=%g0"}) {
    const auto target = parse_target(text);
    EXPECT_FALSE(target.ok()) << text;
  }
  EXPECT_EQ(parse_target("/" + std::string(kTargetMax, 'a')).error().code, Errc::Invalid);
}

TEST(Origin, OfOurOwnPageIsTrusted) {
  EXPECT_TRUE(check_origin("127.0.0.1:4040", "http://127.0.0.1:4040", Names::Addresses).ok());
  EXPECT_TRUE(check_origin("localhost:4040", "", Names::Addresses).ok());
  EXPECT_TRUE(check_origin("[::1]:4040", "http://[::1]:4040", Names::Addresses).ok());
  EXPECT_TRUE(check_origin("LOCALHOST", "", Names::Addresses).ok());
}

TEST(Origin, OfAnotherPageIsRefused) {
  EXPECT_EQ(check_origin("127.0.0.1:4040", "http://evil.example", Names::Addresses).error().code,
            Errc::Denied);
  EXPECT_FALSE(check_origin("127.0.0.1:4040", "http://127.0.0.1:8080", Names::Addresses).ok());
  EXPECT_FALSE(check_origin("127.0.0.1:4040", "null", Names::Addresses).ok());
}

TEST(Origin, IsRefusedWhereANameMayHaveBeenReboundToUs) {
  EXPECT_FALSE(
      check_origin("evil.example:4040", "http://evil.example:4040", Names::Addresses).ok());
  EXPECT_FALSE(check_origin("", "", Names::Addresses).ok());
  EXPECT_FALSE(check_origin("[::1", "", Names::Addresses).ok());
  EXPECT_FALSE(check_origin("127.0.0.1.evil.example", "", Names::Addresses).ok());
}

TEST(Origin, MayBearAnyNameWhereThereIsALoginButMustBeTheSame) {
  EXPECT_TRUE(check_origin("weft.example", "https://weft.example", Names::Any).ok());
  EXPECT_FALSE(check_origin("weft.example", "https://evil.example", Names::Any).ok());
}

}  // namespace
}  // namespace weft::app
