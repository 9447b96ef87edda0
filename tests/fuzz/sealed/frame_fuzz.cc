// Splitter and coalescer on any frame: neither touches an octet outside its buffers
// (AddressSanitizer watches), no packet exceeds the path, and no payload octet is lost or invented
// between them.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "router/sealed/coalescer.h"
#include "router/sealed/super_frame.h"

namespace {

using weft::Bytes;
using weft::router::Coalescer;
using weft::router::kFrameSizeMin;
using weft::router::kOffloadSize;
using weft::router::Splitter;

constexpr std::size_t kFrameMax = 1500;

void put(Coalescer& coalescer, const Bytes& packet) {
  std::uint8_t* at = coalescer.begin(packet.size());
  if (at == nullptr) {
    coalescer.finish();
    coalescer.clear();
    at = coalescer.begin(packet.size());
    WEFT_ASSERT(at != nullptr);
  }
  std::copy(packet.begin(), packet.end(), at);
  coalescer.accept();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Coalescer coalescer;
  Bytes buffer(data, data + size);
  if (auto splitter = Splitter::open(buffer, kFrameMax)) {
    for (auto packet = splitter->next(); !packet.empty(); packet = splitter->next()) {
      WEFT_ASSERT(packet.size() <= kOffloadSize + kFrameMax);
      put(coalescer, Bytes(packet.begin(), packet.end()));
    }
  }
  // The input as what a peer sealed: packets of a length told by their first octet.
  std::size_t at = 0;
  while (at < size) {
    const std::size_t length =
        std::min<std::size_t>(size - at, kOffloadSize + kFrameSizeMin + data[at]);
    if (length < kOffloadSize + kFrameSizeMin) {
      break;
    }
    put(coalescer, Bytes(data + at, data + at + length));
    at += length;
  }
  coalescer.finish();
  for (const Coalescer::Finished frame : coalescer.finished()) {
    WEFT_ASSERT(frame.size() >= sizeof(weft::router::VnetHeader) + kFrameSizeMin);
  }
  return 0;
}
