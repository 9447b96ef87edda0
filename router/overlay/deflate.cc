#include "router/overlay/deflate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>

#include <fmt/format.h>
#define ZLIB_CONST  // It does not write to what it reads.
#include <zlib.h>

#include "base/assert.h"

namespace weft::router {
namespace {

constexpr std::uint8_t kPacked = 0;  // What a deflated frame begins with.
// Negative: a stream without zlib's header. Records are small, and what is alike is near: 4 KiB,
// and more memory for finding it, save another twentieth.
constexpr int kWindowBits = -11;
constexpr std::size_t kWindowSize = std::size_t{1} << 11U;
constexpr int kMemoryLevel = 3;
constexpr int kLevel = 6;
// What a flush ends with: the length of an empty stored block.
constexpr std::array<std::uint8_t, 4> kTail{0x00, 0x00, 0xff, 0xff};
// First guess of what comes out: frames shrink to a half, some to a tenth.
constexpr std::size_t kGrowth = 4;
constexpr std::size_t kOutputMin = 512;

void set_input(z_stream& stream, ByteView bytes) {
  stream.next_in = bytes.data();
  stream.avail_in = static_cast<uInt>(bytes.size());
}

// Runs the stream over what is still to be read, into `out` of at most `size_max`, as far as there
// is room.
Result<Ok> inflate_into(z_stream& stream, Bytes& out, std::size_t size_max) {
  for (;;) {
    const std::size_t size = stream.total_out;
    stream.next_out = out.data() + size;
    stream.avail_out = static_cast<uInt>(out.size() - size);
    const int code = inflate(&stream, Z_SYNC_FLUSH);
    if (code != Z_OK && code != Z_BUF_ERROR) {
      return Error{Errc::Invalid, fmt::format("a frame that does not inflate (zlib: {})", code)};
    }
    if (stream.avail_out > 0) {
      return stream.avail_in == 0 ? Result<Ok>(Ok{})
                                  : Error{Errc::Invalid, "bytes after an inflated frame"};
    }
    // Full to the brim may also mean done; one octet more tells.
    if (out.size() > size_max) {
      return Error{Errc::Invalid, fmt::format("a frame inflates to more than {} bytes", size_max)};
    }
    out.resize(std::min(2 * out.size(), size_max + 1));
  }
}

// What can be referred to after `said`. Takes no more memory than that.
void remember(Bytes& window, ByteView said) {
  said = said.last(std::min(said.size(), kWindowSize));
  const std::size_t kept = std::min(window.size(), kWindowSize - said.size());
  window.erase(window.begin(), window.end() - static_cast<std::ptrdiff_t>(kept));
  window.reserve(kept + said.size());
  window.insert(window.end(), said.begin(), said.end());
}

// Where zlib keeps its state while a frame is packed or unpacked: on the stack, as a thousand
// simulated peers would otherwise spend a seventh of their time allocating it. A zlib that needs
// more than those known (18 and 10 KB) gets it from the heap.
class Arena {
 public:
  explicit Arena(z_stream& stream) {
    stream.opaque = this;
    stream.zalloc = [](voidpf self, uInt count, uInt size) -> voidpf {
      return static_cast<Arena*>(self)->take(std::size_t{count} * size);
    };
    stream.zfree = [](voidpf self, voidpf piece) { static_cast<Arena*>(self)->give(piece); };
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

 private:
  static constexpr std::size_t kSize = std::size_t{24} << 10U;
  static constexpr std::size_t kAlignment = alignof(std::max_align_t);

  void* take(std::size_t size) {
    if (size > kSize - used_) {
      return std::malloc(size);
    }
    void* const piece = bytes_.data() + used_;
    used_ = std::min(kSize, (used_ + size + kAlignment - 1) / kAlignment * kAlignment);
    return piece;
  }
  void give(void* piece) {
    const auto* const at = static_cast<const std::byte*>(piece);
    if (std::less<>()(at, bytes_.data()) || !std::less<>()(at, bytes_.data() + kSize)) {
      std::free(piece);
    }
  }

  std::size_t used_ = 0;
  alignas(kAlignment) std::array<std::byte, kSize> bytes_;  // Not initialised: zlib does it.
};

// zlib's state, which points back at it, so it stays where it is. It begins where the stream of
// `window` stands: between two frames that is on an octet's border, and nothing else is known of
// them.
struct DeflateState {
  explicit DeflateState(ByteView window) {
    const int code =
        deflateInit2(&zlib, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY);
    WEFT_ASSERT(code == Z_OK);  // Else the process is out of memory.
    if (!window.empty()) {
      const int set = deflateSetDictionary(&zlib, window.data(), static_cast<uInt>(window.size()));
      WEFT_ASSERT(set == Z_OK);
    }
  }
  ~DeflateState() { (void)deflateEnd(&zlib); }  // It says that the stream has no end.
  DeflateState(const DeflateState&) = delete;
  DeflateState& operator=(const DeflateState&) = delete;

  z_stream zlib{};
  Arena arena{zlib};
};

struct InflateState {
  explicit InflateState(ByteView window) {
    const int code = inflateInit2(&zlib, kWindowBits);
    WEFT_ASSERT(code == Z_OK);  // Else the process is out of memory.
    if (!window.empty()) {
      const int set = inflateSetDictionary(&zlib, window.data(), static_cast<uInt>(window.size()));
      WEFT_ASSERT(set == Z_OK);
    }
  }
  ~InflateState() { (void)inflateEnd(&zlib); }
  InflateState(const InflateState&) = delete;
  InflateState& operator=(const InflateState&) = delete;

  z_stream zlib{};
  Arena arena{zlib};
};

}  // namespace

Bytes Deflater::pack(TimePoint now, ByteView frame) {
  WEFT_ASSERT(!Inflater::is_packed(frame));
  if (frame.size() < kDeflateMin || frame.size() > kDeflateMax) {
    return to_bytes(frame);
  }
  used_ = now;
  DeflateState state(window_);
  z_stream& zlib = state.zlib;
  // The bound is for Z_FINISH; a flush adds an empty block and may split what is buffered.
  Bytes out(1 + deflateBound(&zlib, frame.size()) + 64);
  out.front() = kPacked;
  set_input(zlib, frame);
  zlib.next_out = out.data() + 1;
  zlib.avail_out = static_cast<uInt>(out.size() - 1);
  const int code = deflate(&zlib, Z_SYNC_FLUSH);
  WEFT_ASSERT(code == Z_OK);
  WEFT_ASSERT(zlib.avail_in == 0);
  WEFT_ASSERT(zlib.avail_out > 0);  // Else not all of it has come out.
  out.resize(out.size() - zlib.avail_out);
  WEFT_ASSERT(out.size() > kTail.size());
  WEFT_ASSERT(std::equal(kTail.begin(), kTail.end(), out.end() - kTail.size()));
  out.resize(out.size() - kTail.size());
  remember(window_, frame);
  return out;
}

bool Deflater::rest(TimePoint now) {
  if (window_.empty() || now - used_ < kDeflateRest) {
    return false;
  }
  window_ = {};
  return true;
}

Result<Bytes> Inflater::unpack(ByteView frame, std::size_t size_max) {
  WEFT_ASSERT(is_packed(frame));
  InflateState state(window_);
  z_stream& zlib = state.zlib;
  const ByteView body = frame.subspan(1);
  Bytes out(std::min(std::max(kGrowth * body.size(), kOutputMin), size_max + 1));
  set_input(zlib, body);
  WEFT_TRY(inflate_into(zlib, out, size_max));
  set_input(zlib, kTail);
  WEFT_TRY(inflate_into(zlib, out, size_max));
  out.resize(zlib.total_out);
  if (out.size() > size_max) {
    return Error{Errc::Invalid, fmt::format("a frame inflates to more than {} bytes", size_max)};
  }
  remember(window_, out);
  return out;
}

void Inflater::begin_anew() {
  window_ = {};
}

}  // namespace weft::router
