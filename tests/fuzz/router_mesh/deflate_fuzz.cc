// Whatever bytes arrive as deflated frames: an error, or at most so many bytes; and what we deflate
// comes back.
//
// Each frame of the input is a byte of its length and its bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "router/overlay/deflate.h"

namespace weft::router {
namespace {

constexpr std::size_t kSizeMax = 4096;

void hear(Inflater& inflater, ByteView body) {
  Bytes frame{0};
  frame.insert(frame.end(), body.begin(), body.end());
  const auto unpacked = inflater.unpack(frame, kSizeMax);
  if (!unpacked.ok()) {
    inflater.begin_anew();  // A connection would end.
    return;
  }
  WEFT_ASSERT(unpacked.value().size() <= kSizeMax);
}

// A conversation of two, and a stranger who says the same without deflating it.
void converse(ByteView input) {
  Inflater stranger;
  Inflater friendly;
  Deflater deflater;
  while (!input.empty()) {
    const std::size_t length = std::min<std::size_t>(input.front(), input.size() - 1);
    const ByteView body = input.subspan(1, length);
    input = input.subspan(1 + length);
    hear(stranger, body);
    Bytes said{1};
    said.insert(said.end(), body.begin(), body.end());
    const Bytes packed = deflater.pack(TimePoint{}, said);
    if (Inflater::is_packed(packed)) {
      WEFT_ASSERT(friendly.unpack(packed, kSizeMax).value() == said);
    }
  }
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::converse({data, size});
  return 0;
}
