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
  EXPECT_TRUE(check_origin({"127.0.0.1:4040", "http://127.0.0.1:4040"}, Names::Addresses).ok());
  EXPECT_TRUE(check_origin({"localhost:4040", ""}, Names::Addresses).ok());
  EXPECT_TRUE(check_origin({"[::1]:4040", "http://[::1]:4040"}, Names::Addresses).ok());
  EXPECT_TRUE(check_origin({"LOCALHOST", ""}, Names::Addresses).ok());
}

TEST(Origin, OfAnotherPageIsRefused) {
  EXPECT_EQ(check_origin({"127.0.0.1:4040", "http://evil.example"}, Names::Addresses).error().code,
            Errc::Denied);
  EXPECT_FALSE(check_origin({"127.0.0.1:4040", "http://127.0.0.1:8080"}, Names::Addresses).ok());
  EXPECT_FALSE(check_origin({"127.0.0.1:4040", "null"}, Names::Addresses).ok());
}

TEST(Origin, IsRefusedWhereANameMayHaveBeenReboundToUs) {
  EXPECT_FALSE(
      check_origin({"evil.example:4040", "http://evil.example:4040"}, Names::Addresses).ok());
  EXPECT_FALSE(check_origin({"", ""}, Names::Addresses).ok());
  EXPECT_FALSE(check_origin({"[::1", ""}, Names::Addresses).ok());
  EXPECT_FALSE(check_origin({"127.0.0.1.evil.example", ""}, Names::Addresses).ok());
}

TEST(Origin, MayBearAnyNameWhereThereIsALoginButMustBeTheSame) {
  EXPECT_TRUE(check_origin({"weft.example", "https://weft.example"}, Names::Any).ok());
  EXPECT_FALSE(check_origin({"weft.example", "https://evil.example"}, Names::Any).ok());
}

TEST(Origin, IsThatOfTheProxyWhereOneTellsIt) {
  const auto asked = [](std::string_view host, std::string_view origin) {
    return check_origin({host, origin, "weft.example"}, Names::Addresses).ok();
  };
  EXPECT_TRUE(asked("127.0.0.1:4040", "https://weft.example"));
  EXPECT_FALSE(asked("127.0.0.1:4040", "http://127.0.0.1:4040"));
  EXPECT_FALSE(asked("127.0.0.1:4040", "https://evil.example"));
  // Rebound to us, a page can send any header but Host.
  EXPECT_FALSE(asked("evil.example", "https://weft.example"));
}

TEST(Client, IsWhoAskedTheLastProxyThatIsTrusted) {
  const std::vector<Cidr> proxies{Cidr::parse("127.0.0.0/8").value(),
                                  Cidr::parse("10.0.0.0/24").value()};
  const auto behind = [&](const char* from, std::string_view forwarded_for) {
    return client_behind(Ip::parse(from).value(), forwarded_for, proxies).to_string();
  };
  EXPECT_EQ(behind("127.0.0.1", "192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(behind("127.0.0.1", "1.1.1.1, 192.0.2.7 , 10.0.0.9"), "192.0.2.7");
  EXPECT_EQ(behind("127.0.0.1", "2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(behind("192.0.2.1", "192.0.2.7"), "192.0.2.1");
  EXPECT_EQ(behind("127.0.0.1", ""), "127.0.0.1");
  EXPECT_EQ(behind("127.0.0.1", "unknown"), "127.0.0.1");
  EXPECT_EQ(behind("127.0.0.1", "10.0.0.9"), "10.0.0.9");
  EXPECT_EQ(behind("127.0.0.1", ", ,"), "127.0.0.1");
}

TEST(List, EndsWithItsLastItem) {
  EXPECT_EQ(last_item("a, b"), "b");
  EXPECT_EQ(last_item(" a "), "a");
  EXPECT_EQ(last_item("a,"), "");
  EXPECT_EQ(last_item(""), "");
}

}  // namespace
}  // namespace weft::app
