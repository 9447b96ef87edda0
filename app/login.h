// Who may see the UI where a token is asked for: a token is exchanged once for a session, which the
// browser keeps as a cookie. Pure; the shell (app/io/app_service.h) knows the time.
//
// Limits: kAttemptsMax wrong tokens in kAttemptsIn from everybody together, so that a token of 16
// characters cannot be guessed; sessions_max sessions, of which the oldest gives way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/entropy.h"
#include "base/result.h"
#include "base/time.h"

namespace weft::app {

inline constexpr std::string_view kSessionCookie = "weft_session";
inline constexpr std::size_t kTokenMin = 16;
inline constexpr std::size_t kTokenMax = 256;
inline constexpr Duration kSessionLife = std::chrono::hours(12);
inline constexpr int kAttemptsMax = 10;
inline constexpr Duration kAttemptsIn = std::chrono::minutes(1);

class Login {
 public:
  // Precondition: the token has kTokenMin to kTokenMax characters.
  explicit Login(std::string token, std::size_t sessions_max = 1024);

  // A new session. Errc::Denied: another token is right. Errc::Exhausted: too many were wrong of
  // late; nothing was compared.
  Result<std::string> enter(TimePoint now, std::string_view token, Entropy& entropy);
  bool is_session(TimePoint now, std::string_view session) const;
  // For programs, which send the token with each request. Counts as an attempt if it is wrong.
  bool is_token(TimePoint now, std::string_view token);

  std::uint64_t refused() const { return refused_; }

 private:
  bool may_try(TimePoint now);

  std::string token_;
  std::size_t sessions_max_;
  std::map<std::string, TimePoint, std::less<>> sessions_;  // Until when.
  TimePoint attempts_since_{};
  int attempts_ = 0;
  std::uint64_t refused_ = 0;
};

// The value of a cookie in a Cookie header (RFC 6265, section 4.2.1); empty if it is not there.
std::string_view cookie_value(std::string_view header, std::string_view name);

// The field `token` of a form (application/x-www-form-urlencoded). Errc::Invalid if there is none.
Result<std::string> token_of_form(std::string_view body);

}  // namespace weft::app
