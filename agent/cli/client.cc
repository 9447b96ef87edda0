#include "agent/cli/client.h"

#include <cerrno>
#include <chrono>
#include <cstdio>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "agent/cli/json_text.h"
#include "agent/cli/process.h"
#include "agent/cli/status_text.h"
#include "agent/cli/weave/keeper.h"
#include "agent/config.h"
#include "agent/control_api.h"
#include "agent/http/agent_call.h"
#include "agent/http/template.h"
#include "sys/http_server.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

// The agent answers from memory; longer means that it hangs.
constexpr int kCallTimeoutSeconds = 5;

// An orderly end takes milliseconds; a disk that syncs slowly may take seconds.
constexpr std::chrono::seconds kStopTimeout{10};

std::string socket_of(const Settings& settings) {
  return control_socket_in(settings.text("run-dir"));
}

// The body of a 2xx answer; other answers are Errors with the agent's words.
Result<json::value> body_of(const sys::HttpResponse& response) {
  boost::system::error_code malformed;
  json::value value = json::parse(response.body, malformed);
  if (malformed) {
    return Error{Errc::Conflict, fmt::format("answer of the agent: {}", malformed.message())};
  }
  if (response.status / 100 == 2) {
    return value;
  }
  const json::value* why = value.is_object() ? value.as_object().if_contains("error") : nullptr;
  constexpr unsigned kBadRequest = 400;
  return Error{response.status == kBadRequest ? Errc::Invalid : Errc::Conflict,
               why != nullptr && why->is_string()
                   ? std::string(std::string_view(why->as_string()))
                   : fmt::format("the agent answers {}", response.status)};
}

// Of this host.
Result<json::value> call(const std::string& socket,
                         const std::string& method,
                         const std::string& target) {
  const auto response = WEFT_TRY(sys::http_call(socket, method, target, "", kCallTimeoutSeconds));
  return body_of(response);
}

Result<json::value> ask(const Settings& settings,
                        const std::string& method,
                        const std::string& target,
                        const std::string& body) {
  const auto response = WEFT_TRY(call_agent(settings, method, target, body, kCallTimeoutSeconds));
  return body_of(response);
}

ExitCode post(const Settings& settings, const std::string& path, const std::string& body) {
  const auto done = ask(settings, "POST", path, body);
  return done.ok() ? ExitCode::Ok : report(done.error());
}

}  // namespace

ExitCode report(const Error& error) {
  if (error.code == Errc::Unavailable) {
    fmt::print(stderr, "weft: no agent is running ({})\n", error.what);
    return ExitCode::NotRunning;
  }
  if (error.code == Errc::Denied) {
    fmt::print(stderr, "weft: {}\n", error.what);
    return ExitCode::Denied;
  }
  fmt::print(stderr, "weft: {}\n", error.what);
  return error.code == Errc::Invalid ? ExitCode::Usage : ExitCode::Failure;
}

Result<int> running_agent(const std::string& socket) {
  const json::value ready = WEFT_TRY(call(socket, "GET", "/ready"));
  const json::value* pid = ready.is_object() ? ready.as_object().if_contains("pid") : nullptr;
  if (pid == nullptr || !pid->is_int64()) {
    return Error{Errc::Conflict, "the agent does not say its pid"};
  }
  return static_cast<int>(pid->as_int64());
}

Result<std::string> name_of_agent(const std::string& socket) {
  const json::value status = WEFT_TRY(call(socket, "GET", "/status"));
  boost::system::error_code missing;
  const json::value* const name = status.find_pointer("/router/name", missing);
  if (name == nullptr || !name->is_string()) {
    return Error{Errc::Conflict, "the agent does not say its name"};
  }
  return std::string(std::string_view(name->as_string()));
}

Result<Ok> stop_agent(const std::string& socket) {
  end_keeper(socket);
  const int pid = WEFT_TRY(running_agent(socket));
  const ProcessHandle process = WEFT_TRY(ProcessHandle::open(pid));
  // The agent may be gone before its answer is read; what counts is that it ends.
  (void)call(socket, "POST", "/stop");
  if (!process.wait_end(kStopTimeout)) {
    return Error{Errc::Os,
                 fmt::format("agent {} has not ended after {} s", pid, kStopTimeout.count())};
  }
  return Ok{};
}

ExitCode run_stop(const Settings& settings) {
  const auto stopped = stop_agent(socket_of(settings));
  return stopped.ok() ? ExitCode::Ok : report(stopped.error());
}

ExitCode run_connect(const Settings& settings) {
  return post(settings, "/connect", to_body({settings.arguments(), settings.flag("replace")}));
}

ExitCode run_forget(const Settings& settings) {
  return post(settings, "/forget", to_body({settings.arguments()}));
}

ExitCode run_reload(const Settings& settings) {
  return post(settings, "/reload", "");
}

ExitCode run_report(const Settings& settings) {
  const std::string& format = settings.text("format");
  const auto answer = ask(settings, "GET", "/report", "");
  if (!answer.ok()) {
    return report(answer.error());
  }
  if (format.empty()) {
    fmt::print("{}", pretty(answer.value()));
    return ExitCode::Ok;
  }
  const auto rendered = render_template(format, answer.value());
  if (!rendered.ok()) {
    return report(rendered.error());
  }
  fmt::print("{}", rendered.value());  // As Weave did: whoever wants the line to end says so.
  return ExitCode::Ok;
}

namespace {

ExitCode print_status(const Settings& settings, const std::string& name) {
  const auto part = parse_status_part(name);
  if (!part.ok()) {
    fmt::print(stderr, "weft: {}\n", part.error().what);
    return ExitCode::Usage;
  }
  const std::string target = name.empty() ? "/status" : "/status/" + name;
  const auto status = ask(settings, "GET", target, "");
  if (!status.ok()) {
    return report(status.error());
  }
  const auto text = settings.flag("json") ? Result<std::string>(pretty(status.value()))
                                          : status_text(status.value(), part.value());
  if (!text.ok()) {
    return report(text.error());
  }
  fmt::print("{}", text.value());
  return ExitCode::Ok;
}

}  // namespace

ExitCode run_status(const Settings& settings) {
  const std::string name = settings.arguments().empty() ? "" : settings.arguments().front();
  const ExitCode printed = print_status(settings, name);
  if (printed != ExitCode::Ok || name != "connections" || !settings.flag("verbose")) {
    return printed;
  }
  // What connections are for: the paths of containers' frames, and why they are what they are.
  fmt::print("\n");
  if (!settings.flag("json")) {
    const auto status = ask(settings, "GET", "/status", "");
    const auto sealing =
        status.ok() ? sealing_text(status.value()) : Result<std::string>(status.error());
    if (!sealing.ok()) {
      return report(sealing.error());
    }
    fmt::print("{}", sealing.value());
  }
  return print_status(settings, "paths");
}

}  // namespace weft::agent
