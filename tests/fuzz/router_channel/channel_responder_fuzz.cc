#include <cstddef>
#include <cstdint>

#include "tests/fuzz/router_channel/channel_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::fuzz_channel(weft::router::Channel::Role::Responder, {data, size});
  return 0;
}
