#include "agent/cli/ipam_commands.h"

#include <chrono>
#include <cstdio>

#include <fmt/format.h>

#include "agent/cli/client.h"
#include "agent/http/agent_call.h"
#include "agent/http/form.h"

namespace weft::agent {
namespace {

// Without the founding peers there is no ring; an operator who has waited for a day is elsewhere.
constexpr std::chrono::seconds kPrimeTimeout = std::chrono::hours(24);

// The council answers in milliseconds, or after the silence time of a peer that has only just died.
constexpr std::chrono::seconds kRemovalTimeout{60};

ExitCode call(const Settings& settings,
              const char* method,
              const std::string& target,
              std::chrono::seconds timeout,
              const char* says_nothing = nullptr) {
  const auto response = call_agent(settings, method, target, "", static_cast<int>(timeout.count()));
  if (!response.ok()) {
    return report(response.error());
  }
  const std::string& body = response.value().body;
  if (response.value().status / 100 != 2) {
    fmt::print(stderr, "weft: {}{}", body, body.ends_with('\n') ? "" : "\n");
    return ExitCode::Failure;
  }
  fmt::print("{}", body);
  if (body.empty() && says_nothing != nullptr) {
    fmt::print(stderr, "weft: {}\n", says_nothing);
  }
  return ExitCode::Ok;
}

}  // namespace

ExitCode run_prime(const Settings& settings) {
  return call(settings, "GET", "/ring", kPrimeTimeout);
}

// One that cannot be removed keeps nobody from removing the others.
ExitCode run_rmpeer(const Settings& settings) {
  ExitCode all = ExitCode::Ok;
  for (const std::string& peer : settings.arguments()) {
    const std::string nothing = fmt::format(
        "no addresses are handed out here (--ipalloc-range off): nothing is taken over "
        "from {}",
        peer);
    const ExitCode code =
        call(settings, "DELETE", "/peer/" + encode_percent(peer), kRemovalTimeout, nothing.c_str());
    all = code == ExitCode::Ok ? all : code;
    if (code == ExitCode::NotRunning) {
      return code;
    }
  }
  return all;
}

}  // namespace weft::agent
