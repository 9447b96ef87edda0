// Who may see the UI, and do what, where it asks: a token, or the name and password of an account,
// is exchanged once for a session, which the browser keeps as a cookie. Pure; the shell
// (app/io/app_service.h) knows the time.
//
// Limits: kAttemptsMax wrong secrets in kAttemptsIn from everybody together, so that a token of 16
// characters cannot be guessed; sessions_max sessions, of which the oldest gives way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/entropy.h"
#include "base/result.h"
#include "base/time.h"
#include "control/catalog.h"

namespace weft::app {

inline constexpr std::string_view kSessionCookie = "weft_session";
inline constexpr std::size_t kTokenMin = 16;
inline constexpr std::size_t kTokenMax = 256;
inline constexpr std::size_t kAccountsMax =
    256;  // A team; more belong behind a proxy of their own.
inline constexpr Duration kSessionLife = std::chrono::hours(12);
inline constexpr int kAttemptsMax = 10;
inline constexpr Duration kAttemptsIn = std::chrono::minutes(1);

// Somebody at the UI.
struct Visitor {
  std::string name{};
  control::Role role = control::Role::Viewer;

  friend bool operator==(const Visitor&, const Visitor&) = default;
};

struct Account {
  Visitor visitor;
  std::string hash;  // app/password_hash.h

  friend bool operator==(const Account&, const Account&) = default;
};

// Lines of "name:role:hash"; blank ones and those that begin with # say nothing. Names are letters,
// digits, '.', '-' and '_', each once.
Result<std::vector<Account>> parse_accounts(std::string_view text);

// Who may come in. Without a token and accounts everybody may, as `stranger`.
struct Access {
  std::optional<std::string> token{};  // Its bearer is an administrator.
  std::vector<Account> accounts{};
  control::Role stranger = control::Role::Viewer;

  bool asks_for_login() const { return token.has_value() || !accounts.empty(); }
};

struct Credentials {
  std::string name{};  // Empty for the token.
  std::string secret{};

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

class Login {
 public:
  // Precondition: it asks for a login; a token has kTokenMin to kTokenMax characters.
  explicit Login(Access access, std::size_t sessions_max = 1024);

  // A new session. Errc::Denied: the secret is wrong, or the name. Errc::Exhausted: too many were
  // wrong of late; nothing was compared. A password costs a tenth of a second.
  Result<std::string> enter(TimePoint now, const Credentials& credentials, Entropy& entropy);
  void leave(std::string_view session);
  std::optional<Visitor> find_session(TimePoint now, std::string_view session) const;
  // For programs, which send the token with each request. Counts as an attempt if it is wrong.
  std::optional<Visitor> find_token(TimePoint now, std::string_view token);

  std::uint64_t refused() const { return refused_; }

 private:
  struct Session {
    Visitor visitor;
    TimePoint until{};
  };

  bool may_try(TimePoint now);
  void count_wrong(TimePoint now);
  std::optional<Visitor> find_account(const Credentials& credentials) const;

  Access access_;
  std::size_t sessions_max_;
  std::map<std::string, Session, std::less<>> sessions_;
  TimePoint attempts_since_{};
  int attempts_ = 0;
  std::uint64_t refused_ = 0;
};

// The value of a cookie in a Cookie header (RFC 6265, section 4.2.1); empty if it is not there.
std::string_view cookie_value(std::string_view header, std::string_view name);

// The fields `name` (which may be missing) and `token` of a form
// (application/x-www-form-urlencoded). Errc::Invalid without a token.
Result<Credentials> credentials_of_form(std::string_view body);

}  // namespace weft::app
