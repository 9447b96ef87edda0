// The output of a container without a terminal, as the Docker engine sends it: frames of a stream
// (one byte), three zeros, a length (4 bytes, network order) and that many bytes. Pure.
// Source: Docker Engine API, "Attach to a container", stream format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::control {

class DockerFrames {
 public:
  // What the bytes add to the text, both streams in one. Errc::Invalid for what is no frame, after
  // which nothing more may be fed.
  Result<Bytes> feed(ByteView bytes);

 private:
  static constexpr std::size_t kHeaderSize = 8;

  Bytes header_;
  std::uint32_t left_ = 0;  // Of the frame that is open.
};

}  // namespace weft::control
