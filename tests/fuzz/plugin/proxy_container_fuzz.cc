// Bodies of requests that create containers, what engines say of images and containers, and targets
// of requests, for the Docker API proxy: three texts, separated by zeros.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "plugin/proxy/call.h"
#include "plugin/proxy/container.h"

namespace {

std::string_view take(std::string_view& rest) {
  const std::string_view one = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(one.size() + (one.size() < rest.size() ? 1 : 0));
  return one;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace proxy = weft::plugin::proxy;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const proxy::Call call = proxy::parse_call("POST", take(rest));
  const std::string_view body = take(rest);
  const proxy::Options options{.wait_folder = "/wait",
                               .dns_server = "192.0.2.1",
                               .dns_domain = "weft.local.",
                               .hostname_label = "host"};
  if (auto request = proxy::CreateRequest::parse(body, options)) {
    (void)request->image();
    const auto changed = request->rewrite(call.name, rest, options);
    if (changed.ok() && changed.value()) {
      WEFT_ASSERT(proxy::CreateRequest::parse(*changed.value(), options).has_value());
    }
  }
  (void)proxy::parse_proxied(body);
  return 0;
}
