// Any bytes as a stream of the Docker engine: the text is the same however they are cut, or refused
// either way.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "control/docker_frames.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weft::ByteView bytes{data, size};
  weft::control::DockerFrames whole;
  const auto text = whole.feed(bytes);
  weft::control::DockerFrames cut;
  weft::Bytes joined;
  bool is_refused = false;
  for (std::size_t at = 0; at < size && !is_refused; ++at) {
    const auto piece = cut.feed(bytes.subspan(at, 1));
    is_refused = !piece.ok();
    if (piece.ok()) {
      joined.insert(joined.end(), piece.value().begin(), piece.value().end());
    }
  }
  WEFT_ASSERT(is_refused == !text.ok());
  WEFT_ASSERT(is_refused || joined == text.value());
  WEFT_ASSERT(joined.size() <= size);
  return 0;
}
