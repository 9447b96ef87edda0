#include <iostream>
#include <string>

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include "agent/cli/client.h"
#include "agent/cli/see/see.h"
#include "app/login.h"
#include "app/password_hash.h"
#include "control/catalog.h"

namespace weft::agent {
namespace {

// As the token's: who guesses is slowed down, but a password is what people think of.
constexpr std::size_t kPasswordMin = 8;

// One line, unseen where it is typed.
std::string read_password() {
  termios shown{};
  const bool is_terminal = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (is_terminal) {
    fmt::print(stderr, "Password: ");
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::string password;
  std::getline(std::cin, password);
  if (is_terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fmt::print(stderr, "\n");
  }
  return password;
}

}  // namespace

ExitCode run_ui_user(const Settings& settings) {
  const std::string who = settings.arguments()[0] + ":" + settings.arguments()[1] + ":";
  const Error misunderstood{Errc::Invalid,
                            "expected NAME ROLE, with the role viewer, operator or admin"};
  if (!control::parse_role(settings.arguments()[1])) {
    return report(misunderstood);  // Before anybody types a password in vain.
  }
  const std::string password = read_password();
  if (password.size() < kPasswordMin) {
    return report(Error{
        Errc::Invalid,
        fmt::format("a password of {} characters (at least {})", password.size(), kPasswordMin)});
  }
  const auto hash = app::hash_password(password);
  if (!hash.ok()) {
    return report(hash.error());
  }
  const auto line = app::parse_accounts(who + hash.value());
  if (!line.ok() || line.value().size() != 1) {
    return report(misunderstood);
  }
  fmt::print("{}{}\n", who, hash.value());
  return ExitCode::Ok;
}

}  // namespace weft::agent
