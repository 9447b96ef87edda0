#include "router/overlay/deflate.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
