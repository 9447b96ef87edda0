#include "app/login.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "app/password_hash.h"
#include "app/request.h"
#include "base/assert.h"

namespace weft::app {
namespace {

// What cannot be guessed: as long as a key of AES-256.
constexpr std::size_t kSessionBytes = 32;

constexpr const char* kTooMany = "too many wrong tokens or passwords; wait a minute";
constexpr const char* kWrong = "the name or the password is wrong";

std::string new_session(Entropy& entropy) {
  std::array<std::uint8_t, kSessionBytes> bytes{};
  entropy.fill(bytes);
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

// It stands in a line of the file, and in the log.
bool is_name(std::string_view text) {
  constexpr std::size_t kNameMax = 64;
  return !text.empty() && text.size() <= kNameMax
         && std::all_of(text.begin(), text.end(), [](unsigned char c) {
              return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
            });
}

}  // namespace

Result<std::vector<Account>> parse_accounts(std::string_view text) {
  std::vector<Account> accounts;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::string_view item = take_until(text, '\n');
    if (item.empty() || item.starts_with('#')) {
      continue;
    }
    std::string_view rest = item;
    const std::string_view name = take_until(rest, ':');
    const std::string_view role_text = take_until(rest, ':');
    const auto role = control::parse_role(role_text);
    if (!is_name(name) || !role || !is_password_hash(rest)) {
      return Error{Errc::Invalid,
                   fmt::format("line {}: expected NAME:ROLE:HASH with the role viewer, operator or "
                               "admin, as `weft ui-user` prints it",
                               line)};
    }
    const bool is_known = std::any_of(accounts.begin(), accounts.end(), [&](const Account& other) {
      return other.visitor.name == name;
    });
    if (is_known || accounts.size() >= kAccountsMax) {
      return Error{Errc::Invalid,
                   is_known ? fmt::format("line {}: the name {} is there already", line, name)
                            : fmt::format("more than {} accounts", kAccountsMax)};
    }
    accounts.push_back(
        {.visitor = {.name = std::string(name), .role = *role}, .hash = std::string(rest)});
  }
  return accounts;
}

Login::Login(Access access, std::size_t sessions_max)
    : access_(std::move(access)),
      sessions_max_(sessions_max) {
  WEFT_ASSERT(!access_.token
              || (access_.token->size() >= kTokenMin && access_.token->size() <= kTokenMax));
}

std::optional<Visitor> Login::find_token(TimePoint now, const Ip& client, std::string_view token) {
  if (!attempts_.may_try(now, client)) {
    ++refused_;
    return std::nullopt;
  }
  if (access_.token && is_same_secret(token, *access_.token)) {
    return Visitor{.name = "token", .role = control::Role::Admin};
  }
  attempts_.count(now, client);
  ++refused_;
  return std::nullopt;
}

Result<std::string> Login::enter(TimePoint now,
                                 const Ip& client,
                                 std::string_view token,
                                 Entropy& entropy) {
  if (!attempts_.may_try(now, client)) {
    ++refused_;
    return Error{Errc::Exhausted, kTooMany};
  }
  const auto visitor = find_token(now, client, token);
  if (!visitor) {
    return Error{Errc::Denied, "this is not the token"};
  }
  return open_session(now, *visitor, entropy);
}

Result<PasswordCheck> Login::begin(TimePoint now,
                                   const Ip& client,
                                   const Credentials& credentials) {
  if (!attempts_.may_try(now, client)) {
    ++refused_;
    return Error{Errc::Exhausted, kTooMany};
  }
  attempts_.count(now, client);
  if (access_.accounts.empty()) {
    ++refused_;
    return Error{Errc::Denied, kWrong};
  }
  const auto found =
      std::find_if(access_.accounts.begin(), access_.accounts.end(), [&](const Account& account) {
        return account.visitor.name == credentials.name;
      });
  const bool is_known = found != access_.accounts.end();
  const Account& account = is_known ? *found : access_.accounts.front();
  return PasswordCheck{.client = client,
                       .hash = account.hash,
                       .password = credentials.secret,
                       .visitor = is_known ? std::optional(account.visitor) : std::nullopt};
}

Result<std::string> Login::end(TimePoint now,
                               const PasswordCheck& check,
                               bool is_right,
                               Entropy& entropy) {
  if (!is_right || !check.visitor) {
    ++refused_;
    return Error{Errc::Denied, kWrong};
  }
  attempts_.forgive(check.client);
  return open_session(now, *check.visitor, entropy);
}

std::string Login::open_session(TimePoint now, const Visitor& visitor, Entropy& entropy) {
  std::erase_if(sessions_, [now](const auto& item) { return item.second.until <= now; });
  if (sessions_.size() >= sessions_max_) {
    sessions_.erase(
        std::min_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
          return a.second.until < b.second.until;
        }));
  }
  std::string session = new_session(entropy);
  sessions_.emplace(session, Session{.visitor = visitor, .until = now + kSessionLife});
  return session;
}

void Login::leave(std::string_view session) {
  if (const auto found = sessions_.find(session); found != sessions_.end()) {
    sessions_.erase(found);
  }
}

std::optional<Visitor> Login::find_session(TimePoint now, std::string_view session) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.until <= now) {
    return std::nullopt;
  }
  return found->second.visitor;
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

Result<Credentials> credentials_of_form(std::string_view body) {
  const Target form = WEFT_TRY(parse_target("/?" + std::string(body)));
  const auto token = form.query.find("token");
  if (token == form.query.end()) {
    return Error{Errc::Invalid, "a form without a token"};
  }
  const auto name = form.query.find("name");
  return Credentials{.name = name == form.query.end() ? "" : name->second, .secret = token->second};
}

}  // namespace weft::app
