// Any frame from any peer is a carrier frame or refused; what decodes encodes to the same.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "router/datapath/carrier.h"

namespace weft::router {
namespace {

void run(ByteView input) {
  const Result<Carrier> carrier = decode_carrier(input);
  if (!carrier.ok()) {
    return;
  }
  const Bytes encoded = encode_carrier(PeerName(1), PeerName(2), carrier.value());
  const Result<Carrier> again = decode_carrier(encoded);
  WEFT_ASSERT(again.ok());
  WEFT_ASSERT(again.value() == carrier.value());
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::run({data, size});
  return 0;
}
