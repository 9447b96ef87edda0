// Requests to the control API at 127.0.0.1:6784, which any process of the host may send: the first
// line is the target, the rest the body; each is tried with every method. No answer is an
// exception, and what refuses web pages takes any header.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/http/weave_api.h"
#include "base/assert.h"
#include "base/bytes.h"

namespace {

using weft::Ok;
using weft::agent::AgentStatus;

const weft::agent::ControlHooks& hooks() {
  static const weft::agent::ControlHooks hooks{
      .status = [] { return AgentStatus(); },
      .peers_reachable = [] { return std::size_t{0}; },
      .metrics = [] { return std::string(); },
      .connect = [](const auto&) { return Ok{}; },
      .forget = [](const auto&) { return Ok{}; },
      .reload = [] { return Ok{}; },
      .stop = [] {},
      .dns = {},
  };
  return hooks;
}

const weft::agent::AttachHooks& attach_hooks() {
  static const weft::agent::AttachHooks hooks{
      .list = [] { return weft::agent::Attached(); },
      .attach = [](const auto&) { return Ok{}; },
      .detach = [](const auto&) { return Ok{}; },
      .expose = [](const auto&) { return Ok{}; },
      .hide = [](const auto&) { return Ok{}; },
  };
  return hooks;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = weft::as_text({data, size});
  const std::size_t end = std::min(text.find('\n'), text.size());
  weft::sys::HttpRequest request{
      .id = {}, .method = {}, .target = std::string(text.substr(0, end)), .body = {}};
  request.body = text.substr(std::min(end + 1, text.size()));
  for (const char* method : {"GET", "POST", "PUT", "DELETE"}) {
    request.method = method;
    const auto answer = weft::agent::handle_weave(request, hooks(), attach_hooks());
    WEFT_ASSERT(answer.status >= 200 && answer.status < 600);
  }
  request.host = request.target;
  request.origin = request.body;
  const auto refusal = weft::agent::refuse_browser(request);
  WEFT_ASSERT(refusal || request.origin.empty());
  return 0;
}
