// Any record from any peer leaves the forwarding core valid; what decodes encodes to the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "router/datapath/endpoint_record.h"
#include "router/datapath/forwarding.h"

namespace weft::router {
namespace {

void run(ByteView input) {
  constexpr TimePoint kNow{Duration(0)};
  constexpr std::size_t kMacSize = 6;
  const std::size_t split = std::min(input.size(), kMacSize);
  const Bytes key = to_bytes(input.first(split));
  const Bytes value = to_bytes(input.subspan(split));

  if (const auto addresses = decode_endpoint(value); addresses.ok()) {
    WEFT_ASSERT(encode_endpoint(addresses.value()) == value);
  }

  Forwarding forwarding({.self = PeerName(1), .endpoints_max = 2}, kNow, {});
  ForwardingActions out;
  forwarding.set_underlay(kNow, PeerName(2), Ipv4(0xc0000202), out);
  for (const PeerName origin : {PeerName(2), PeerName(3), PeerName(1)}) {
    forwarding.on_record(
        kNow,
        {.origin = origin, .key = {.kind = RecordKind::Endpoint, .key = key}, .value = value},
        out);
    forwarding.check_invariants();
  }
  forwarding.on_record(
      kNow,
      {.origin = PeerName(2), .key = {.kind = RecordKind::Endpoint, .key = key}, .value = {}},
      out);
  forwarding.check_invariants();
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::run({data, size});
  return 0;
}
