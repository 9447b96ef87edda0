#include "agent/control_api.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "agent/metrics.h"
#include "agent/report.h"
#include "agent/version.h"
#include "router/connector.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

// As many peers as one call may name: what a command line takes.
constexpr std::size_t kPeersMax = 200;

sys::HttpResponse answer(unsigned status, const json::value& body) {
  return {.status = status, .content_type = "application/json", .body = json::serialize(body)};
}

sys::HttpResponse refusal(unsigned status, std::string_view why) {
  return answer(status, json::object{{"error", why}});
}

unsigned status_of(const Error& error) {
  return error.code == Errc::Invalid || error.code == Errc::NotFound ? 400 : 500;
}

sys::HttpResponse metrics(std::string text) {
  return {.status = 200, .content_type = std::string(kMetricsContentType), .body = std::move(text)};
}

std::string_view path_of(const sys::HttpRequest& request) {
  return std::string_view(request.target).substr(0, request.target.find('?'));
}

sys::HttpResponse get(std::string_view path, const ControlHooks& hooks) {
  constexpr std::string_view kStatus = "/status";
  if (path == "/ready") {
    return answer(200,
                  json::object{{"pid", ::getpid()},
                               {"version", kVersion},
                               {"peers_reachable", hooks.peers_reachable()}});
  }
  if (path == "/report") {
    return answer(200, to_report(hooks.status()));
  }
  if (path == "/metrics") {
    return metrics(hooks.metrics());
  }
  if (path != kStatus && !path.starts_with("/status/")) {
    return refusal(404, fmt::format("no such path: {}", path));
  }
  path.remove_prefix(std::min(path.size(), kStatus.size() + 1));
  const auto part = parse_status_part(path);
  if (!part.ok()) {
    return refusal(404, part.error().what);
  }
  return answer(200, part_of(to_json(hooks.status()), part.value()));
}

sys::HttpResponse answer_to(const Result<Ok>& done) {
  return done.ok() ? answer(200, json::object())
                   : refusal(status_of(done.error()), done.error().what);
}

sys::HttpResponse change_targets(std::string_view body,
                                 const std::function<Result<Ok>(const TargetsCall& call)>& change) {
  const auto call = parse_targets_body(body);
  return call.ok() ? answer_to(change(call.value())) : refusal(400, call.error().what);
}

sys::HttpResponse post(std::string_view path, std::string_view body, const ControlHooks& hooks) {
  if (path == "/connect") {
    return change_targets(body, hooks.connect);
  }
  if (path == "/forget") {
    return change_targets(body, hooks.forget);
  }
  if (path == "/reload") {
    return answer_to(hooks.reload());
  }
  if (path == "/stop") {
    hooks.stop();
    return answer(200, json::object());
  }
  return refusal(404, fmt::format("no such path: {}", path));
}

}  // namespace

sys::HttpResponse handle_control(const sys::HttpRequest& request, const ControlHooks& hooks) {
  const std::string_view path = path_of(request);
  if (is_dns_path(path)) {
    return handle_dns(request, hooks.dns ? &*hooks.dns : nullptr);
  }
  if (request.method == "GET") {
    return get(path, hooks);
  }
  if (request.method == "POST") {
    return post(path, request.body, hooks);
  }
  return refusal(405, fmt::format("method {} (expected GET or POST)", request.method));
}

sys::HttpResponse handle_metrics(const sys::HttpRequest& request,
                                 const std::function<std::string()>& text) {
  if (request.method != "GET" || path_of(request) != "/metrics") {
    return refusal(404, "only GET /metrics is served here");
  }
  return metrics(text());
}

Result<TargetsCall> parse_targets_body(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error) {
    return Error{Errc::Invalid, fmt::format("body is not JSON: {}", error.message())};
  }
  const json::value* peers = value.is_object() ? value.as_object().if_contains("peers") : nullptr;
  if (peers == nullptr || !peers->is_array()) {
    return Error{Errc::Invalid, "body without a list \"peers\""};
  }
  if (peers->as_array().empty() || peers->as_array().size() > kPeersMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} peers (expected 1 to {})", peers->as_array().size(), kPeersMax)};
  }
  TargetsCall call;
  for (const json::value& peer : peers->as_array()) {
    if (!peer.is_string()) {
      return Error{Errc::Invalid, "a peer that is not a string"};
    }
    const std::string text(std::string_view(peer.as_string()));
    (void)WEFT_TRY(router::Target::parse(text, 0));
    call.peers.push_back(text);
  }
  if (const json::value* replace = value.as_object().if_contains("replace")) {
    if (!replace->is_bool()) {
      return Error{Errc::Invalid, "\"replace\" is neither true nor false"};
    }
    call.replace = replace->as_bool();
  }
  return call;
}

std::string to_body(const TargetsCall& call) {
  return json::serialize(json::object{{"peers", json::array(call.peers.begin(), call.peers.end())},
                                      {"replace", call.replace}});
}

}  // namespace weft::agent
