#include "app/login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/password_hash.h"

namespace weft::app {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const std::string kToken = "sixteen characters";
const Ip kAnn = Ip::parse("192.0.2.1").value();
const Ip kBob = Ip::parse("192.0.2.2").value();

class LoginTest : public testing::Test {
 protected:
  std::string enter(Login& login) { return login.enter(now_, kAnn, kToken, entropy_).value(); }

  // As the shell does it.
  Result<std::string> enter(Login& login, const Credentials& credentials) {
    const auto check = login.begin(now_, kAnn, credentials);
    if (!check.ok()) {
      return check.error();
    }
    const bool is_right = is_password(check.value().hash, check.value().password);
    return login.end(now_, check.value(), is_right, entropy_);
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
  EXPECT_EQ(login_.enter(now_, kAnn, "sixteen character", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.enter(now_, kAnn, kToken + "s", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.enter(now_, kAnn, "", entropy_).error().code, Errc::Denied);
  EXPECT_EQ(login_.refused(), 3U);
}

TEST_F(LoginTest, ComparesNothingAfterTooManyWrongTokensUntilAMinuteHasPassed) {
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_FALSE(login_.find_token(now_, kAnn, "wrong").has_value());
  }

  EXPECT_EQ(login_.enter(now_, kAnn, kToken, entropy_).error().code, Errc::Exhausted);
  EXPECT_FALSE(login_.find_token(now_ + 59s, kAnn, kToken).has_value());
  EXPECT_TRUE(login_.find_token(now_ + 60s, kAnn, kToken).has_value());
}

TEST_F(LoginTest, LetsOthersInWhileOneClientGuesses) {
  for (int i = 0; i < 2 * kAttemptsMax; ++i) {
    EXPECT_FALSE(login_.find_token(now_, kAnn, "wrong").has_value());
  }

  EXPECT_TRUE(login_.find_token(now_, kBob, kToken).has_value());
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

  const auto session = enter(people, {"ann", "correct horse"});

  ASSERT_TRUE(session.ok());
  EXPECT_EQ(people.find_session(now_, session.value()), (Visitor{"ann", control::Role::Operator}));
  EXPECT_EQ(enter(people, {"ann", "wrong horse"}).error().code, Errc::Denied);
  // A name that is not there costs a comparison, too, and is not let in by the password of another.
  EXPECT_EQ(enter(people, {"bob", "correct horse"}).error().code, Errc::Denied);
  EXPECT_EQ(people.refused(), 2U);
}

TEST_F(LoginTest, HashesNoPasswordWhereThereAreNoAccounts) {
  EXPECT_EQ(login_.begin(now_, kAnn, {"ann", "x"}).error().code, Errc::Denied);
}

// Or a client could have any number compared by not waiting for answers.
TEST_F(LoginTest, CountsWhatIsBeingComparedAsWrong) {
  const std::string hash = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA";
  Login people({.accounts = parse_accounts("ann:operator:" + hash).value()});
  std::vector<PasswordCheck> begun;
  for (int i = 0; i < kAttemptsMax; ++i) {
    begun.push_back(people.begin(now_, kAnn, {"ann", "x"}).value());
  }
  EXPECT_EQ(people.begin(now_, kAnn, {"ann", "x"}).error().code, Errc::Exhausted);

  EXPECT_TRUE(people.end(now_, begun.front(), true, entropy_).ok());

  EXPECT_TRUE(people.begin(now_, kAnn, {"ann", "x"}).ok());
  EXPECT_EQ(people.begin(now_, kAnn, {"ann", "x"}).error().code, Errc::Exhausted);
}

TEST(Attempts, AreCountedForANetworkOfIpv6AsForAnAddressOfIpv4) {
  Attempts attempts;
  const TimePoint now(1000s);
  for (int i = 0; i < kAttemptsMax; ++i) {
    attempts.count(now, Ip::parse("2001:db8::" + std::to_string(i + 1)).value());
  }

  EXPECT_FALSE(attempts.may_try(now, Ip::parse("2001:db8::ffff:1").value()));
  EXPECT_TRUE(attempts.may_try(now, Ip::parse("2001:db8:0:1::1").value()));
  EXPECT_TRUE(attempts.may_try(now, kAnn));
  EXPECT_EQ(attempts.clients(), 1U);
}

TEST(Attempts, OfTheClientThatBeganFirstAreForgottenWhenThereAreTooMany) {
  Attempts attempts;
  TimePoint now(1000s);
  const auto client = [](std::size_t number) {
    return Ip(Ipv4(static_cast<std::uint32_t>(0x0a000000 + number)));
  };
  for (std::size_t i = 0; i <= kClientsMax; ++i) {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      attempts.count(now, client(i));
    }
    now += 1ms;
  }

  EXPECT_EQ(attempts.clients(), kClientsMax);
  EXPECT_TRUE(attempts.may_try(now, client(0)));
  EXPECT_FALSE(attempts.may_try(now, client(1)));
  EXPECT_FALSE(attempts.may_try(now, client(kClientsMax)));
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
