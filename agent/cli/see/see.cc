#include "agent/cli/see/see.h"

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/client.h"
#include "agent/cli/json_text.h"
#include "agent/cli/see/graph_text.h"
#include "agent/http/form.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

// The agent waits a second and a half for hosts that are late.
constexpr int kCallTimeoutSeconds = 5;

// Rates are differences of two looks, which hosts take once a second.
constexpr std::chrono::milliseconds kSecondLook(1500);

using ToText = std::function<std::string(const json::value& view)>;

Result<json::value> parse_answer(const std::string& answer) {
  boost::system::error_code malformed;
  json::value parsed = json::parse(answer, malformed);
  if (malformed) {
    return Error{Errc::Conflict, fmt::format("answer of the agent: {}", malformed.message())};
  }
  return parsed;
}

Result<json::value> ask_view(const Settings& settings) {
  const std::string topology =
      settings.arguments().empty() ? "containers" : settings.arguments().front();
  auto asked =
      ask_agent(settings, "GET", "/api/topology/" + encode_percent(topology), kCallTimeoutSeconds);
  if (!asked.ok() && asked.error().code == Errc::NotFound) {
    return Error{Errc::Invalid,
                 fmt::format("topology \"{}\" (expected processes, processes-by-name, containers, "
                             "containers-by-hostname, containers-by-image, containers-by-network, "
                             "swarm-services, hosts or weave)",
                             topology)};
  }
  const std::string answer = WEFT_TRY(std::move(asked));
  return parse_answer(answer);
}

ExitCode print_answer(const Settings& settings, const json::value& answer, const ToText& to_text) {
  if (settings.flag("json")) {
    fmt::print("{}", pretty(answer));
    return ExitCode::Ok;
  }
  try {
    fmt::print("{}", to_text(answer));
  } catch (const std::exception& error) {
    return report(Error{Errc::Conflict, fmt::format("answer of the agent: {}", error.what())});
  }
  return ExitCode::Ok;
}

ExitCode print_view(const Settings& settings, bool with_rates, const ToText& to_text) {
  auto view = ask_view(settings);
  if (view.ok() && with_rates) {
    boost::asio::io_context io;
    boost::asio::steady_timer(io, kSecondLook).wait();
    view = ask_view(settings);
  }
  if (!view.ok()) {
    return report(view.error());
  }
  return print_answer(settings, view.value(), to_text);
}

Result<json::value> ask_reach(const Settings& settings) {
  const std::string path = fmt::format("/api/reach?from={}&to={}",
                                       encode_percent(settings.arguments().front()),
                                       encode_percent(settings.arguments().back()));
  const std::string answer = WEFT_TRY(ask_agent(settings, "GET", path, kCallTimeoutSeconds));
  return parse_answer(answer);
}

}  // namespace

ExitCode run_graph(const Settings& settings) {
  return print_view(settings, false, graph_dot);
}

ExitCode run_edges(const Settings& settings) {
  return print_view(settings, true, edges_text);
}

ExitCode run_top(const Settings& settings) {
  return print_view(settings, true, top_text);
}

ExitCode run_reach(const Settings& settings) {
  const auto answer = ask_reach(settings);
  return answer.ok() ? print_answer(settings, answer.value(), reach_text) : report(answer.error());
}

}  // namespace weft::agent
