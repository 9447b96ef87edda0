#include "router/overlay/deflate.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/rng.h"

namespace weft::router {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::size_t kSizeMax = 100'000;
const TimePoint kStart{std::chrono::hours(1)};

// As records are: names and keys by chance, and much that has been said before.
Bytes frame(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i % 60 < 40 ? i % 60 : rng.below(256));
  }
  if (size > 0) {
    bytes.front() = 42;
  }
  return bytes;
}

TEST(Deflate, EveryFrameComesBackAsItWas) {
  Rng rng(1);
  Deflater deflater;
  Inflater inflater;

  for (int i = 0; i < 2000; ++i) {
    const Bytes original = frame(rng, i % 100 == 0 ? kDeflateMax : rng.below(700));
    const Bytes packed = deflater.pack(kStart, original);
    if (Inflater::is_packed(packed)) {
      EXPECT_EQ(inflater.unpack(packed, kSizeMax).value(), original);
    } else {
      EXPECT_EQ(packed, original);
    }
  }
}

TEST(Deflate, WhatWasSaidBeforeCostsLittle) {
  Rng rng(1);
  const Bytes original = frame(rng, 200);
  Deflater deflater;

  const Bytes first = deflater.pack(kStart, original);
  const Bytes second = deflater.pack(kStart, original);

  EXPECT_LT(first.size(), 150U);
  EXPECT_LT(second.size(), 20U);
}

TEST(Deflate, LeavesAloneWhatGainsNothing) {
  Rng rng(1);
  Deflater deflater;

  EXPECT_FALSE(Inflater::is_packed(deflater.pack(kStart, frame(rng, 0))));
  EXPECT_FALSE(Inflater::is_packed(deflater.pack(kStart, frame(rng, kDeflateMin - 1))));
  EXPECT_TRUE(Inflater::is_packed(deflater.pack(kStart, frame(rng, kDeflateMin))));
  EXPECT_TRUE(Inflater::is_packed(deflater.pack(kStart, frame(rng, kDeflateMax))));
  EXPECT_FALSE(Inflater::is_packed(deflater.pack(kStart, frame(rng, kDeflateMax + 1))));
}

TEST(Deflate, AStreamEndsWhenItHasRestedAndTheNextBeginsAnew) {
  Rng rng(1);
  const Bytes original = frame(rng, 200);
  Deflater deflater;
  Inflater inflater;
  EXPECT_FALSE(deflater.rest(kStart + kDeflateRest));  // There is none.
  (void)inflater.unpack(deflater.pack(kStart, original), kSizeMax).value();

  EXPECT_FALSE(deflater.rest(kStart + kDeflateRest - std::chrono::milliseconds(1)));
  EXPECT_TRUE(deflater.rest(kStart + kDeflateRest));
  EXPECT_FALSE(deflater.rest(kStart + 2 * kDeflateRest));
  inflater.begin_anew();

  const Bytes packed = deflater.pack(kStart + kDeflateRest, original);
  EXPECT_GT(packed.size(), 50U);  // Nothing of before is referred to.
  EXPECT_EQ(inflater.unpack(packed, kSizeMax).value(), original);
}

// Builds of version 0.1 keep one state of zlib for a whole conversation, in either direction.
class LongStream {
 public:
  LongStream() {
    EXPECT_EQ(deflateInit2(&out_, 6, Z_DEFLATED, -11, 3, Z_DEFAULT_STRATEGY), Z_OK);
    EXPECT_EQ(inflateInit2(&in_, -11), Z_OK);
  }
  ~LongStream() {
    (void)deflateEnd(&out_);
    (void)inflateEnd(&in_);
  }
  LongStream(const LongStream&) = delete;
  LongStream& operator=(const LongStream&) = delete;

  Bytes pack(Bytes frame) {
    Bytes packed(1 + 2 * frame.size() + 64);
    run(out_, deflate, frame, {packed.data() + 1, packed.size() - 1});
    packed.resize(packed.size() - out_.avail_out - kTail.size());
    return packed;
  }
  Bytes unpack(Bytes packed) {
    packed.erase(packed.begin());
    packed.insert(packed.end(), kTail.begin(), kTail.end());
    Bytes frame(kSizeMax);
    run(in_, inflate, packed, frame);
    frame.resize(frame.size() - in_.avail_out);
    return frame;
  }

 private:
  static constexpr std::array<std::uint8_t, 4> kTail{0x00, 0x00, 0xff, 0xff};

  static void run(z_stream& stream,
                  int (*step)(z_streamp, int),
                  Bytes& from,
                  std::span<std::uint8_t> to) {
    stream.next_in = from.data();
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = to.data();
    stream.avail_out = static_cast<uInt>(to.size());
    EXPECT_EQ(step(&stream, Z_SYNC_FLUSH), Z_OK);
    EXPECT_EQ(stream.avail_in, 0U);
  }

  z_stream out_{};
  z_stream in_{};
};

TEST(Deflate, UnderstandsAndIsUnderstoodByWhoKeepsOneStateForAll) {
  Rng rng(1);
  Deflater deflater;
  Inflater inflater;
  LongStream other;

  for (int i = 0; i < 2000; ++i) {
    const Bytes original = frame(rng, kDeflateMin + rng.below(i % 10 == 0 ? 5'000 : 300));
    EXPECT_EQ(inflater.unpack(other.pack(original), kSizeMax).value(), original);
    EXPECT_EQ(other.unpack(deflater.pack(kStart, original)), original);
  }
}

TEST(Inflate, RefusesAFrameThatBecomesTooLarge) {
  Deflater deflater;
  const Bytes packed = deflater.pack(kStart, Bytes(5'000, 7));
  EXPECT_THAT(packed, SizeIs(::testing::Lt(100U)));

  EXPECT_EQ(Inflater().unpack(packed, 5'000).value(), Bytes(5'000, 7));
  for (const std::size_t size_max : {std::size_t{0}, std::size_t{1'000}, std::size_t{4'999}}) {
    EXPECT_THAT(Inflater().unpack(packed, size_max).error().what, HasSubstr("more than"));
  }
}

TEST(Inflate, RefusesWhatIsNoDeflate) {
  // A block of the reserved type; a stream that ends; a distance beyond the window.
  EXPECT_THAT(Inflater().unpack(Bytes{0, 0x06}, kSizeMax).error().what, HasSubstr("not inflate"));
  EXPECT_THAT(Inflater().unpack(Bytes{0, 0x03, 0x00}, kSizeMax).error().what,
              HasSubstr("not inflate"));
  EXPECT_THAT(Inflater().unpack(Bytes{0, 0x62, 0x00, 0x11, 0x00}, kSizeMax).ok(), false);
}

TEST(Inflate, AFrameOfNothingIsEmpty) {
  EXPECT_EQ(Inflater().unpack(Bytes{0}, kSizeMax).value(), Bytes{});
}

}  // namespace
}  // namespace weft::router
