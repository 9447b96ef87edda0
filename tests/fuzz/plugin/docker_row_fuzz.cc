// A store whose rows are anything: the driver either refuses them or holds a valid state, which it
// would write the same way again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "plugin/docker.h"
#include "plugin/docker_records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weft::ByteView row(data, size);
  const auto endpoint = weft::plugin::decode_endpoint_record(row);
  if (endpoint.ok()) {
    const auto again = weft::plugin::decode_endpoint_record(
        *weft::plugin::write_endpoint("a", endpoint.value()).value);
    WEFT_ASSERT(again.ok());
    WEFT_ASSERT(again.value() == endpoint.value());
  }
  const auto network = weft::plugin::decode_network_record(row);
  if (network.ok()) {
    const auto again = weft::plugin::decode_network_record(
        *weft::plugin::write_network("a", network.value()).value);
    WEFT_ASSERT(again.ok());
    WEFT_ASSERT(again.value() == network.value());
  }
  const weft::Bytes key = weft::to_bytes(std::string_view("0123456789abcdef"));
  const weft::Bytes value = weft::to_bytes(row);
  auto driver = weft::plugin::DockerDriver::create(
      {}, {.networks = {{key, value}}, .endpoints = {{key, value}}});
  if (driver.ok()) {
    weft::plugin::DockerActions out;
    driver.value()->start(out);
    driver.value()->check_invariants();
  }
  return 0;
}
