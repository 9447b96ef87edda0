// Any frame that anybody sends to a bridge is a checksum probe or refused; one that is encoded is
// heard as what it was.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "router/checksums/checksum_probe.h"

namespace weft::router {
namespace {

void run(ByteView input) {
  const Result<HeardChecksum> heard = decode_checksum_probe(input);
  if (!heard.ok()) {
    return;
  }
  const ChecksumProbe& probe = heard.value().probe;
  const auto again = decode_checksum_probe(encode_checksum_probe(probe, PeerName(2), Ipv4(1)));
  WEFT_ASSERT(again.ok());
  WEFT_ASSERT(again.value().probe == probe);
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::run({data, size});
  return 0;
}
