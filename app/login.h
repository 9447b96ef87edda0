// Who may see the UI, and do what, where it asks: a token, or the name and password of an account,
// is exchanged once for a session, which the browser keeps as a cookie. Pure; the shell
// (app/io/app_service.h) knows the time and hashes passwords, which takes a tenth of a second.
//
// Limits: kAttemptsMax wrong secrets in kAttemptsIn from one client (app/attempts.h), so that
// nothing can be guessed, and nobody is locked out by others; sessions_max sessions, of which the
// oldest gives way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/attempts.h"
#include "base/address.h"
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

// Takes as long wherever the first difference is; that the lengths differ may be seen.
inline bool is_same_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= a[i] == b[i] ? 0U : 1U;
  }
  return difference == 0;
}

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

// A password to be compared with an account's hash (app/password_hash.h), which is the shell's to
// do.
struct PasswordCheck {
  Ip client{};
  std::string hash{};
  std::string password{};
  // Whose password it is; nobody's where the name is wrong. It is compared all the same, so that
  // time tells nobody which names there are.
  std::optional<Visitor> visitor{};
};

class Login {
 public:
  // Precondition: it asks for a login; a token has kTokenMin to kTokenMax characters.
  explicit Login(Access access, std::size_t sessions_max = 1024);

  // A new session for the token. Errc::Denied: it is wrong. Errc::Exhausted: too many of this
  // client were of late; nothing was compared.
  Result<std::string> enter(TimePoint now,
                            const Ip& client,
                            std::string_view token,
                            Entropy& entropy);
  // The same for a name and a password, in two steps. What is begun counts as wrong until it has
  // ended well.
  Result<PasswordCheck> begin(TimePoint now, const Ip& client, const Credentials& credentials);
  Result<std::string> end(TimePoint now,
                          const PasswordCheck& check,
                          bool is_right,
                          Entropy& entropy);
  void leave(std::string_view session);
  std::optional<Visitor> find_session(TimePoint now, std::string_view session) const;
  // For programs, which send the token with each request. Counts as an attempt if it is wrong.
  std::optional<Visitor> find_token(TimePoint now, const Ip& client, std::string_view token);

  std::uint64_t refused() const { return refused_; }

 private:
  struct Session {
    Visitor visitor;
    TimePoint until{};
  };

  std::string open_session(TimePoint now, const Visitor& visitor, Entropy& entropy);

  Access access_;
  std::size_t sessions_max_;
  std::map<std::string, Session, std::less<>> sessions_;
  Attempts attempts_;
  std::uint64_t refused_ = 0;
};

// The value of a cookie in a Cookie header (RFC 6265, section 4.2.1); empty if it is not there.
std::string_view cookie_value(std::string_view header, std::string_view name);

// The fields `name` (which may be missing) and `token` of a form
// (application/x-www-form-urlencoded). Errc::Invalid without a token.
Result<Credentials> credentials_of_form(std::string_view body);

}  // namespace weft::app
