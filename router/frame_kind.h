// What a frame on a control connection is for (docs/WIRE.md), for counting what is sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::router {

enum class FrameKind : std::uint8_t {
  Verdict,
  Heartbeat,
  Want,
  Ranges,
  Delta,
  Payload,
  Routed,
  Announce,
  Prune,
  Goodbye,
};
inline constexpr std::size_t kFrameKinds = 10;

const char* to_string(FrameKind kind);

}  // namespace weft::router
