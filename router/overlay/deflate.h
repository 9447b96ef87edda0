// Frames of one connection, made smaller by what has been said on it before (RFC 1951, by zlib).
//
// Nearly all that peers say to each other while a cluster starts is names and records that look
// alike. One stream of DEFLATE for each direction halves them. Each frame ends on an octet's border
// with an empty stored block, whose last four octets are left out as RFC 7692 does. A deflated
// frame begins with a zero octet, which no message does (proto/mesh.proto), so small frames go as
// they are. The window is 2 KiB: an inflater that is given more refuses it.
//
// zlib's state for a stream takes its sender 18 KB and its receiver 10. It is there while a frame
// is packed or unpacked; between two, either end keeps what was said last, which is all that the
// next frame can refer to. That goes, too, some time after the last frame: the sender says so
// (Heartbeat), and the next begins anew.
//
// Pure; lives on the control strand. What arrives is a peer's: the worst it does is an Error, after
// which the connection is of no use.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace weft::router {

// Below, a frame gains nothing; above, it is a report or a whole ring, rare and best left alone.
inline constexpr std::size_t kDeflateMin = 48;
inline constexpr std::size_t kDeflateMax = 64U << 10U;
// News comes in bursts: what comes later than this has little to do with the last.
inline constexpr Duration kDeflateRest = std::chrono::seconds(5);

class Deflater {
 public:
  // The frame as it travels.
  Bytes pack(TimePoint now, ByteView frame);
  // Ends a stream that has not been used for a while: the other end has to be told before the next
  // frame. False if there is none.
  bool rest(TimePoint now);

 private:
  Bytes window_;  // Empty: no stream has begun.
  TimePoint used_{};
};

class Inflater {
 public:
  static bool is_packed(ByteView frame) { return !frame.empty() && frame.front() == 0; }
  // Precondition: is_packed(frame). At most `size_max` bytes.
  Result<Bytes> unpack(ByteView frame, std::size_t size_max);
  // The sender's stream has ended.
  void begin_anew();

 private:
  Bytes window_;
};

}  // namespace weft::router
