#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::ElementsAre;

TEST(Reader, TakesFixedWidthNumbersInNetworkOrder) {
  const Bytes bytes = {1, 2, 3, 4, 5, 6, 7};
  Reader reader(bytes);

  EXPECT_EQ(reader.u8().value(), 0x01);
  EXPECT_EQ(reader.u16().value(), 0x0203);
  EXPECT_EQ(reader.u32().value(), 0x04050607U);
  EXPECT_TRUE(reader.empty());
}

TEST(Reader, RefusesToReadPastTheEndAndConsumesNothing) {
  const Bytes bytes = {1, 2, 3};
  Reader reader(bytes);

  const auto number = reader.u32();

  ASSERT_FALSE(number.ok());
  EXPECT_EQ(number.error().what, "expected 4 bytes, 3 left");
  EXPECT_EQ(reader.remaining(), 3U);
}

TEST(Writer, WritesWhatTheReaderReads) {
  const Bytes bytes = Writer().u8(1).u16(2).u32(3).u64(4).append(as_bytes("x")).take();

  Reader reader(bytes);
  EXPECT_EQ(reader.u8().value(), 1);
  EXPECT_EQ(reader.u16().value(), 2);
  EXPECT_EQ(reader.u32().value(), 3U);
  EXPECT_EQ(reader.u64().value(), 4U);
  EXPECT_EQ(as_text(reader.rest()), "x");
}

TEST(Hex, RoundTripsAndRefusesWhatIsNotHexadecimal) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_THAT(from_hex("00ABff").value(), ElementsAre(0x00, 0xab, 0xff));
  EXPECT_FALSE(from_hex("abc").ok());
  EXPECT_EQ(from_hex("zz").error().what, "'z' is not a hexadecimal digit");
}

}  // namespace
}  // namespace weft
