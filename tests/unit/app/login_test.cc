#include "app/login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/password_hash.h"

namespace weft::app {
namespace {

using std::chrono_literals::operator""s;

const std::string kToken = "sixteen characters";

class LoginTest : public testing::Test {
 protected:
  std::string enter(Login& login) {
    return login.enter(now_, {.secret = kToken}, entropy_).value();
  }

  TimePoint now_{1000s};
  SeededEntropy entropy_{Rng(1)};
  Login login_{{.token = kToken}};
};

TEST_F(LoginTest, GivesASessionForTheTokenWhichLastsHalfADay) {
  const std::string session = enter(login_);

  EXPECT_TRUE(login_.find_session(now_, session).has_value());
  EXPECT_TRUE(login_.find_session(now_ + kSessionLife - 1s, session).has_value());
  EXPECT_FALSE(login_.find_session(now_ + kSessionLife, session).has_value());
  EXPECT_FALSE(login_.find_session(now_, "").has_value());
  EXPECT_FALSE(login_.find_session(now_, session.substr(1)).has_value());
  EXPECT_NE(enter(login_), session);
}

TEST_F(LoginTest, RefusesEveryOtherTokenEvenOneThatBeginsTheSame) {
  EXPECT_EQ(login_.enter(now_, {.secret = "sixteen character"}, entropy_).error().code,
            Errc::Denied);
  EXPECT_EQ(login_.enter(now_, {.secret = kToken + "s"}, entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.enter(now_, {}, entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.refused(), 3U);
}

TEST_F(LoginTest, ComparesNothingAfterTooManyWrongTokensUntilAMinuteHasPassed) {
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_FALSE(login_.find_token(now_, "wrong").has_value());
  }

  EXPECT_EQ(login_.enter(now_, {.secret = kToken}, entropy_).error().code, Errc::Exhausted);
  EXPECT_FALSE(login_.find_token(now_ + 59s, kToken).has_value());
  EXPECT_TRUE(login_.find_token(now_ + 60s, kToken).has_value());
}

TEST_F(LoginTest, DropsTheOldestSessionWhenThereAreTooMany) {
  Login small({.token = kToken}, 2);
  const std::string first = enter(small);
  now_ += 1s;
  const std::string second = enter(small);
  now_ += 1s;
  const std::string third = enter(small);

  EXPECT_FALSE(small.find_session(now_, first).has_value());
  EXPECT_TRUE(small.find_session(now_, second).has_value());
  EXPECT_TRUE(small.find_session(now_, third).has_value());
}

TEST_F(LoginTest, EndsASessionWhenItsPersonLeaves) {
  const std::string session = enter(login_);

  login_.leave(session);
  login_.leave("never there");

  EXPECT_FALSE(login_.find_session(now_, session).has_value());
}

TEST_F(LoginTest, KnowsPeopleByNameAndPasswordWithTheirRoles) {
  const std::string hash = hash_password("correct horse").value();
  Login people({.accounts = parse_accounts("# team\nann:operator:" + hash + "\n\n").value()});

  const auto session = people.enter(now_, {"ann", "correct horse"}, entropy_);

  ASSERT_TRUE(session.ok());
  EXPECT_EQ(people.find_session(now_, session.value()), (Visitor{"ann", control::Role::Operator}));
  EXPECT_EQ(people.enter(now_, {"ann", "wrong horse"}, entropy_).error().code, Errc::Denied);
  EXPECT_EQ(people.enter(now_, {"bob", "correct horse"}, entropy_).error().code, Errc::Denied);
  EXPECT_EQ(people.enter(now_, {"", "correct horse"}, entropy_).error().code, Errc::Denied);
  EXPECT_EQ(people.refused(), 3U);
}

TEST_F(LoginTest, HashesNoPasswordAfterTooManyWrongOnes) {
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_EQ(login_.enter(now_, {"ann", "x"}, entropy_).error().code, Errc::Denied);
  }

  EXPECT_EQ(login_.enter(now_, {"ann", "x"}, entropy_).error().code, Errc::Exhausted);
}

TEST(Accounts, AreRefusedWithTheLineThatIsWrong) {
  const std::string hash = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA";
  for (const std::string& text : {"ann:root:" + hash,
                                  ":admin:" + hash,
                                  "a b:admin:" + hash,
                                  std::string("ann:admin:secret"),
                                  std::string("ann"),
                                  "ann:admin:" + hash + "\nann:viewer:" + hash}) {
    EXPECT_EQ(parse_accounts(text).error().code, Errc::Invalid) << text;
  }
  EXPECT_THAT(parse_accounts("\n#\nx").error().what, testing::HasSubstr("line 3"));
  EXPECT_TRUE(parse_accounts("").value().empty());
}

TEST(Cookie, IsFoundAmongOthersByItsWholeName) {
  EXPECT_EQ(cookie_value("a=1; weft_session=x; b=2", "weft_session"), "x");
  EXPECT_EQ(cookie_value("weft_session=x", "weft_session"), "x");
  EXPECT_EQ(cookie_value("my_weft_session=x; weft_sessions=y", "weft_session"), "");
  EXPECT_EQ(cookie_value("", "weft_session"), "");
  EXPECT_EQ(cookie_value(";;=;", "weft_session"), "");
}

TEST(Form, HoldsATokenOrIsRefused) {
  EXPECT_EQ(credentials_of_form("a=b&token=x%20y+z").value(), (Credentials{"", "x y z"}));
  EXPECT_EQ(credentials_of_form("name=ann&token=x").value(), (Credentials{"ann", "x"}));
  EXPECT_FALSE(credentials_of_form("tokens=x").ok());
  EXPECT_FALSE(credentials_of_form("token=%zz").ok());
}

}  // namespace
}  // namespace weft::app
