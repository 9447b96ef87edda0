// A configuration that is anything: refused, or read so that what is made of it can be read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "plugin/cni/config.h"
#include "plugin/cni/owner.h"
#include "plugin/cni/plan.h"
#include "plugin/cni/result.h"

namespace cni = weft::plugin::cni;

namespace {

void check_result(const cni::AddResult& result) {
  const auto text = cni::render(result, cni::Version::V110);
  const auto object = cni::parse_object(text);
  WEFT_ASSERT(object.ok());
  const auto again = cni::parse_result(object.value());
  WEFT_ASSERT(again.ok());
  WEFT_ASSERT(again.value().ips == result.ips);
  WEFT_ASSERT(again.value().routes == result.routes);
  for (std::size_t at = 0; at < cni::kVersionNames.size(); ++at) {
    (void)cni::render(result, static_cast<cni::Version>(at));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)cni::parse_owner(text);
  const auto object = cni::parse_object(text);
  if (!object.ok()) {
    return 0;
  }
  if (const auto result = cni::parse_result(object.value()); result.ok()) {
    check_result(result.value());
  }
  cni::Call call;
  call.verb = cni::Verb::Add;
  auto config = cni::parse_config(object.value(), call);
  if (!config.ok()) {
    return 0;
  }
  (void)cni::parse_interface_config(object.value(), config.value());
  const cni::Owner owner{.attachment = {"a", "eth0"}, .network = config.value().name};
  WEFT_ASSERT(cni::parse_owner(cni::to_string(owner)) == owner);
  const cni::AddResult previous = config.value().previous.value_or(cni::AddResult());
  for (const cni::Route& route : cni::plan_routes(config.value(), previous)) {
    WEFT_ASSERT(route.destination.is_network());
  }
  (void)cni::check(previous, "eth0", {});
  return 0;
}
