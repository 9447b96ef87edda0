// Who may come to the UI, from files as operators write them.
#include "agent/probe/ui_access.h"

#include <cerrno>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/sys/temp_dir.h"

namespace weft::agent {
namespace {

using testing::HasSubstr;

const std::string kHash = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA";

Endpoint endpoint(const char* text) {
  return Endpoint::parse(text).value();
}

class UiAccessTest : public testing::Test {
 protected:
  std::string file(const std::string& text) {
    const std::string path = dir_.file("file");
    std::ofstream(path) << text;
    return path;
  }

  sys::TempDir dir_;
};

TEST_F(UiAccessTest, ReadsTheFirstLineAsTheToken) {
  EXPECT_EQ(read_ui_token(file("0123456789abcdef\nmore\n")).value(), "0123456789abcdef");
  EXPECT_EQ(read_ui_token(file("0123456789abcdef")).value(), "0123456789abcdef");
  EXPECT_EQ(read_ui_token("").value(), std::nullopt);
}

TEST_F(UiAccessTest, RefusesATokenThatCanBeGuessedAndOneThatIsNoToken) {
  EXPECT_EQ(read_ui_token(file("0123456789abcde\n")).error().code, Errc::Invalid);
  EXPECT_EQ(read_ui_token(file(std::string(257, 'x'))).error().code, Errc::Invalid);
  EXPECT_EQ(read_ui_token(file("\n0123456789abcdef\n")).error().code, Errc::Invalid);
}

TEST_F(UiAccessTest, SaysWhichFileCannotBeRead) {
  const auto missing = read_ui_token(dir_.file("none"));

  EXPECT_EQ(missing.error().code, Errc::Os);
  EXPECT_EQ(missing.error().os, ENOENT);
  EXPECT_THAT(missing.error().what, HasSubstr("--ui-token-file"));
  EXPECT_FALSE(read_ui_token(file("")).ok());
  EXPECT_THAT(read_ui_users(dir_.file("none")).error().what, HasSubstr("--ui-users-file"));
}

TEST_F(UiAccessTest, ReadsPeopleAndSaysWhichLineIsWrong) {
  EXPECT_EQ(read_ui_users(file("ann:viewer:" + kHash + "\n")).value().size(), 1U);
  EXPECT_TRUE(read_ui_users("").value().empty());
  EXPECT_THAT(read_ui_users(file("# nobody\nann:viewer\n")).error().what, HasSubstr("line 2"));
  EXPECT_THAT(read_ui_users(file("# nobody\n")).error().what, HasSubstr("nobody"));
}

TEST(UiListen, IsFreeOnLoopbackAndNeedsALoginBeyond) {
  for (const char* loopback : {"127.0.0.1:4040", "127.8.9.1:4040", "[::1]:4040"}) {
    EXPECT_TRUE(check_ui_listen(endpoint(loopback), false).ok()) << loopback;
  }
  for (const char* beyond : {"0.0.0.0:4040", "10.0.0.1:4040", "[::]:4040", "[fe80::1]:4040"}) {
    EXPECT_EQ(check_ui_listen(endpoint(beyond), false).error().code, Errc::Denied) << beyond;
    EXPECT_TRUE(check_ui_listen(endpoint(beyond), true).ok()) << beyond;
  }
}

TEST_F(UiAccessTest, GivesStrangersAnAdministratorsRightsOnlyWhereThatIsSaid) {
  Config config;
  config.ui_listen = endpoint("127.0.0.1:4040");
  EXPECT_EQ(read_ui_access(config).value().stranger, control::Role::Viewer);
  EXPECT_FALSE(read_ui_access(config).value().asks_for_login());

  config.controls = Controls::Loopback;

  EXPECT_EQ(read_ui_access(config).value().stranger, control::Role::Admin);
}

TEST_F(UiAccessTest, IsRefusedBeyondLoopbackWithNeitherTokenNorPeople) {
  Config config;
  config.ui_listen = endpoint("0.0.0.0:4040");
  EXPECT_EQ(read_ui_access(config).error().code, Errc::Denied);

  config.ui_users_file = file("ann:viewer:" + kHash);

  EXPECT_TRUE(read_ui_access(config).value().asks_for_login());
}

}  // namespace
}  // namespace weft::agent
