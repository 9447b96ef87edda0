#include "app/login.h"

#include <gtest/gtest.h>

namespace weft::app {
namespace {

using std::chrono_literals::operator""s;

const std::string kToken = "sixteen characters";

class LoginTest : public testing::Test {
 protected:
  std::string enter(Login& login) { return login.enter(now_, kToken, entropy_).value(); }

  TimePoint now_{1000s};
  SeededEntropy entropy_{Rng(1)};
  Login login_{kToken};
};

TEST_F(LoginTest, GivesASessionForTheTokenWhichLastsHalfADay) {
  const std::string session = enter(login_);

  EXPECT_TRUE(login_.is_session(now_, session));
  EXPECT_TRUE(login_.is_session(now_ + kSessionLife - 1s, session));
  EXPECT_FALSE(login_.is_session(now_ + kSessionLife, session));
  EXPECT_FALSE(login_.is_session(now_, ""));
  EXPECT_FALSE(login_.is_session(now_, session.substr(1)));
  EXPECT_NE(enter(login_), session);
}

TEST_F(LoginTest, RefusesEveryOtherTokenEvenOneThatBeginsTheSame) {
  EXPECT_EQ(login_.enter(now_, "sixteen character", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.enter(now_, kToken + "s", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.enter(now_, "", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.refused(), 3U);
}

TEST_F(LoginTest, ComparesNothingAfterTooManyWrongTokensUntilAMinuteHasPassed) {
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_FALSE(login_.is_token(now_, "wrong"));
  }

  EXPECT_EQ(login_.enter(now_, kToken, entropy_).error().code, Errc::Exhausted);
  EXPECT_FALSE(login_.is_token(now_ + 59s, kToken));
  EXPECT_TRUE(login_.is_token(now_ + 60s, kToken));
}

TEST_F(LoginTest, DropsTheOldestSessionWhenThereAreTooMany) {
  Login small(kToken, 2);
  const std::string first = enter(small);
  now_ += 1s;
  const std::string second = enter(small);
  now_ += 1s;
  const std::string third = enter(small);

  EXPECT_FALSE(small.is_session(now_, first));
  EXPECT_TRUE(small.is_session(now_, second));
  EXPECT_TRUE(small.is_session(now_, third));
}

TEST(Cookie, IsFoundAmongOthersByItsWholeName) {
  EXPECT_EQ(cookie_value("a=1; weft_session=x; b=2", "weft_session"), "x");
  EXPECT_EQ(cookie_value("weft_session=x", "weft_session"), "x");
  EXPECT_EQ(cookie_value("my_weft_session=x; weft_sessions=y", "weft_session"), "");
  EXPECT_EQ(cookie_value("", "weft_session"), "");
  EXPECT_EQ(cookie_value(";;=;", "weft_session"), "");
}

TEST(Form, HoldsATokenOrIsRefused) {
  EXPECT_EQ(token_of_form("a=b&token=x%20y+z").value(), "x y z");
  EXPECT_FALSE(token_of_form("tokens=x").ok());
  EXPECT_FALSE(token_of_form("token=%zz").ok());
}

}  // namespace
}  // namespace weft::app
