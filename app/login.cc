#include "app/login.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "app/request.h"
#include "base/assert.h"

namespace weft::app {
namespace {

// What cannot be guessed: as long as a key of AES-256.
constexpr std::size_t kSessionBytes = 32;

// Takes as long wherever the first difference is.
bool is_same(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= a[i] == b[i] ? 0U : 1U;
  }
  return difference == 0;
}

std::string new_session(Entropy& entropy) {
  std::array<std::uint8_t, kSessionBytes> bytes{};
  entropy.fill(bytes);
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

}  // namespace

Login::Login(std::string token, std::size_t sessions_max)
    : token_(std::move(token)),
      sessions_max_(sessions_max) {
  WEFT_ASSERT(token_.size() >= kTokenMin && token_.size() <= kTokenMax);
}

bool Login::may_try(TimePoint now) {
  if (attempts_ > 0 && now - attempts_since_ >= kAttemptsIn) {
    attempts_ = 0;
  }
  return attempts_ < kAttemptsMax;
}

bool Login::is_token(TimePoint now, std::string_view token) {
  if (!may_try(now)) {
    ++refused_;
    return false;
  }
  if (is_same(token, token_)) {
    return true;
  }
  if (attempts_++ == 0) {
    attempts_since_ = now;
  }
  ++refused_;
  return false;
}

Result<std::string> Login::enter(TimePoint now, std::string_view token, Entropy& entropy) {
  if (!may_try(now)) {
    ++refused_;
    return Error{Errc::Exhausted, "too many wrong tokens; wait a minute"};
  }
  if (!is_token(now, token)) {
    return Error{Errc::Denied, "this is not the token"};
  }
  std::erase_if(sessions_, [now](const auto& item) { return item.second <= now; });
  if (sessions_.size() >= sessions_max_) {
    sessions_.erase(
        std::min_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
          return a.second < b.second;
        }));
  }
  std::string session = new_session(entropy);
  sessions_.emplace(session, now + kSessionLife);
  return session;
}

bool Login::is_session(TimePoint now, std::string_view session) const {
  const auto found = sessions_.find(session);
  return found != sessions_.end() && found->second > now;
}

std::string_view cookie_value(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(header.size(), end + 1));
    pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
  }
  return {};
}

Result<std::string> token_of_form(std::string_view body) {
  const Target form = WEFT_TRY(parse_target("/?" + std::string(body)));
  const auto token = form.query.find("token");
  if (token == form.query.end()) {
    return Error{Errc::Invalid, "a form without a token"};
  }
  return token->second;
}

}  // namespace weft::app
