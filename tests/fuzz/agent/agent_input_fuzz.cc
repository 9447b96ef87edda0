// Whatever a command line, a control API client, a password file or an agent of another version may
// hand us. The first octet chooses which.
#include <cstddef>
#include <cstdint>
#include <string>

#include <boost/json/parse.hpp>

#include "agent/attach/attach_api.h"
#include "agent/cli/options.h"
#include "agent/cli/status_text.h"
#include "agent/config.h"
#include "agent/control_api.h"
#include "agent/http/form.h"
#include "agent/ipam/call.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "router/connector.h"

namespace {

using weft::agent::StatusPart;

// A target that was accepted is accepted again in its own spelling, and means the same.
void check_target(std::string_view text) {
  const auto target = weft::router::Target::parse(std::string(text), 6783);
  if (target.ok()) {
    const auto again = weft::router::Target::parse(target.value().to_string(), 1);
    WEFT_ASSERT(again.ok());
    WEFT_ASSERT(again.value() == target.value());
  }
}

void check_peers_body(std::string_view body) {
  const auto call = weft::agent::parse_targets_body(body);
  if (call.ok()) {
    const auto again = weft::agent::parse_targets_body(weft::agent::to_body(call.value()));
    WEFT_ASSERT(again.ok());
    WEFT_ASSERT(again.value() == call.value());
  }
}

void check_status(std::string_view body) {
  boost::system::error_code error;
  const boost::json::value status = boost::json::parse(body, error);
  if (!error) {
    using enum StatusPart;
    for (const StatusPart part : {Summary, Peers, Connections, Ipam, Targets}) {
      (void)weft::agent::status_text(status, part);  // Text or an Error; never an exception.
    }
  }
}

// A target that a client sends, and its body behind the first line end. No answer is an exception,
// and what is refused says why.
void check_request(std::string_view text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  weft::sys::HttpRequest request{
      .id = {}, .method = "POST", .target = std::string(text.substr(0, end)), .body = {}};
  request.body = text.substr(std::min(end + 1, text.size()));
  const weft::agent::AttachHooks hooks{
      .list = [] { return weft::agent::Attached(); },
      .attach = [](const auto&) { return weft::Ok{}; },
      .detach = [](const auto&) { return weft::Ok{}; },
      .expose = [](const auto&) { return weft::Ok{}; },
      .hide = [](const auto&) { return weft::Ok{}; },
  };
  for (const char* method : {"GET", "POST", "PUT", "DELETE"}) {
    request.method = method;
    if (weft::agent::is_attach_path(request.target)) {
      const auto response = weft::agent::handle_attach(request, hooks);
      WEFT_ASSERT(response.status < 400 || !response.body.empty());
    }
    (void)weft::agent::parse_ipam_call(
        method, request.target, weft::Cidr::parse("10.32.0.0/12").value());
  }
  const auto plain = weft::agent::decode_percent(weft::agent::encode_percent(text));
  WEFT_ASSERT(plain.ok() && plain.value() == text);
}

void check_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  const auto settings = weft::agent::parse_settings(
      weft::agent::Command::Agent, words, [](const std::string&) { return std::nullopt; });
  if (settings.ok()) {
    (void)weft::agent::make_config(settings.value(), "host");  // Either is fine.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text = weft::as_text({data + 1, size - 1});
  switch (data[0] % 6) {
    case 0:
      check_target(text);
      break;
    case 1:
      check_peers_body(text);
      break;
    case 2:
      check_status(text);
      break;
    case 3:
      check_words(text);
      break;
    case 4:
      check_request(text);
      break;
    default:
      (void)weft::agent::parse_passwords(text);  // Either is fine.
      break;
  }
  return 0;
}
