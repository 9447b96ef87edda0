#include "router/overlay/deflate.h"

#include <algorithm>
#include <array>

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

}  // namespace

// zlib's state points back at its stream, so it stays where it is.
struct Deflater::Stream {
  Stream() {
    const int code =
        deflateInit2(&zlib, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY);
    WEFT_ASSERT(code == Z_OK);  // Else the process is out of memory.
  }
  ~Stream() { (void)deflateEnd(&zlib); }  // It says that data was pending: nobody wants it.
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  z_stream zlib{};
};

Deflater::Deflater() = default;
Deflater::~Deflater() = default;

Bytes Deflater::pack(TimePoint now, ByteView frame) {
  WEFT_ASSERT(!Inflater::is_packed(frame));
  if (frame.size() < kDeflateMin || frame.size() > kDeflateMax) {
    return to_bytes(frame);
  }
  used_ = now;
  if (stream_ == nullptr) {
    stream_ = std::make_unique<Stream>();
  }
  z_stream& zlib = stream_->zlib;
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
  return out;
}

bool Deflater::rest(TimePoint now) {
  if (stream_ == nullptr || now - used_ < kDeflateRest) {
    return false;
  }
  stream_.reset();
  return true;
}

struct Inflater::Stream {
  Stream() {
    const int code = inflateInit2(&zlib, kWindowBits);
    WEFT_ASSERT(code == Z_OK);  // Else the process is out of memory.
  }
  ~Stream() { (void)inflateEnd(&zlib); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  z_stream zlib{};
};

Inflater::Inflater() = default;
Inflater::~Inflater() = default;

Result<Bytes> Inflater::unpack(ByteView frame, std::size_t size_max) {
  WEFT_ASSERT(is_packed(frame));
  if (stream_ == nullptr) {
    stream_ = std::make_unique<Stream>();
  }
  z_stream& zlib = stream_->zlib;
  const ByteView body = frame.subspan(1);
  Bytes out(std::min(std::max(kGrowth * body.size(), kOutputMin), size_max + 1));
  zlib.total_out = 0;
  set_input(zlib, body);
  WEFT_TRY(inflate_into(zlib, out, size_max));
  set_input(zlib, kTail);
  WEFT_TRY(inflate_into(zlib, out, size_max));
  out.resize(zlib.total_out);
  if (out.size() > size_max) {
    return Error{Errc::Invalid, fmt::format("a frame inflates to more than {} bytes", size_max)};
  }
  return out;
}

void Inflater::begin_anew() {
  stream_.reset();
}

}  // namespace weft::router
