#include "control/message.h"

#include <string>

#include <gtest/gtest.h>

namespace weft::control {
namespace {

void expect_same_again(const Message& message) {
  const auto again = decode(encode(message));
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(again.value(), message);
}

TEST(ControlMessage, IsTheSameAgainAfterItsBytes) {
  expect_same_again({.from_asker = true,
                     .body = Ask{.call = 7,
                                 .node = "n",
                                 .control = "c",
                                 .arguments = {{"width", "80"}},
                                 .pipe = "pipe-1",
                                 .who = "ann@10.0.0.1"}});
  expect_same_again({.from_asker = false,
                     .body = Told{.call = 7,
                                  .error = "",
                                  .pipe = true,
                                  .raw_tty = true,
                                  .resize_control = "r",
                                  .removed = true}});
  expect_same_again({.from_asker = true, .body = Piece{"pipe-1", 1U << 20U, {1, 0, 255}}});
  expect_same_again({.from_asker = false, .body = Taken{"pipe-1", 12}});
  expect_same_again({.from_asker = false, .body = Ended{"pipe-1", "why"}});
}

TEST(ControlMessage, CutsALongReasonBetweenCharactersAndStaysDecodable) {
  const std::string reason = std::string(kTextMax - 1, 'x') + "\u00e9";

  const auto again =
      decode(encode({.from_asker = false, .body = Told{.call = 1, .error = reason}}));

  ASSERT_TRUE(again.ok());
  EXPECT_EQ(std::get<Told>(again.value().body).error, std::string(kTextMax - 1, 'x'));
}

TEST(ControlMessage, RefusesWhatExceedsALimitOrSaysNothing) {
  EXPECT_FALSE(decode({}).ok());
  EXPECT_FALSE(decode(to_bytes("nonsense")).ok());
  EXPECT_FALSE(decode(encode({.from_asker = true, .body = Piece{"p", 0, {}}})).ok());
  EXPECT_FALSE(
      decode(encode({.from_asker = true, .body = Piece{"p", 0, Bytes(kPieceMax + 1, 0)}})).ok());
  const Taken long_name{std::string(kTextMax + 1, 'p'), 0};
  EXPECT_FALSE(decode(encode({.from_asker = true, .body = long_name})).ok());
}

}  // namespace
}  // namespace weft::control
