#include "control/docker_frames.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::control {

Result<Bytes> DockerFrames::feed(ByteView bytes) {
  constexpr std::uint8_t kStreamMax = 2;  // stdin, stdout, stderr
  Bytes text;
  while (!bytes.empty()) {
    if (left_ > 0) {
      const std::size_t size = std::min<std::size_t>(left_, bytes.size());
      text.insert(text.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      bytes = bytes.subspan(size);
      left_ -= static_cast<std::uint32_t>(size);
      continue;
    }
    const std::size_t size = std::min(kHeaderSize - header_.size(), bytes.size());
    header_.insert(header_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(size);
    if (header_.size() < kHeaderSize) {
      continue;
    }
    Reader reader(header_);
    const std::uint8_t stream = WEFT_TRY(reader.u8());
    WEFT_TRY(reader.take(3));
    left_ = WEFT_TRY(reader.u32());
    header_.clear();
    if (stream > kStreamMax) {
      return Error{Errc::Invalid, fmt::format("stream {} (expected 0 to {})", stream, kStreamMax)};
    }
  }
  return text;
}

}  // namespace weft::control
