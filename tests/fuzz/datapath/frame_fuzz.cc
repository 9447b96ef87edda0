// Any frame from any container leaves the forwarding core valid; an answer is a frame the core
// itself would read.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "router/datapath/endpoint_record.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/forwarding.h"

namespace weft::router {
namespace {

void run(ByteView frame) {
  constexpr TimePoint kNow{Duration(0)};
  const PeerName bob(2);
  Forwarding forwarding({.self = PeerName(1)}, kNow, {});
  ForwardingActions ignored;
  forwarding.set_underlay(kNow, bob, Ipv4(0xc0000202), ignored);
  forwarding.on_record(kNow,
                       {.origin = bob,
                        .key = endpoint_key(Mac({2, 0, 0, 0, 0, 2})),
                        .value = encode_endpoint({Ipv4(0x0a200002), Ip::parse("fd00::2").value()})},
                       ignored);

  ForwardingActions out;
  forwarding.on_frame(kNow, frame, out);

  WEFT_ASSERT(out.size() <= 1);
  if (!out.empty()) {
    if (const auto* answer = std::get_if<FrameToBridge>(&out.front())) {
      WEFT_ASSERT(decode_ethernet(answer->frame).ok());
    } else {
      WEFT_ASSERT(std::get<FrameToPeers>(out.front()).frame == to_bytes(frame));
    }
  }
  forwarding.check_invariants();
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::run({data, size});
  return 0;
}
