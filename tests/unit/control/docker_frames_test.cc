#include "control/docker_frames.h"

#include <string>

#include <gtest/gtest.h>

namespace weft::control {
namespace {

using std::string_literals::operator""s;

const std::string kOut = "\x01\0\0\0\0\0\0\x05hello"s;
const std::string kErr = "\x02\0\0\0\0\0\0\x02!\n"s;

TEST(DockerFrames, GiveTheTextOfBothStreamsInOrder) {
  DockerFrames frames;

  EXPECT_EQ(as_text(frames.feed(as_bytes(kOut + kErr)).value()), "hello!\n");
}

TEST(DockerFrames, DoNotMindWhereTheBytesAreCut) {
  DockerFrames frames;
  std::string text;

  for (const char byte : kOut + kErr) {
    text += as_text(frames.feed(as_bytes(std::string_view(&byte, 1))).value());
  }

  EXPECT_EQ(text, "hello!\n");
}

TEST(DockerFrames, TakeAnEmptyFrame) {
  DockerFrames frames;

  EXPECT_EQ(as_text(frames.feed(as_bytes("\x01\0\0\0\0\0\0\0"s + kOut)).value()), "hello");
}

TEST(DockerFrames, RefuseAStreamThereIsNot) {
  DockerFrames frames;

  EXPECT_EQ(frames.feed(as_bytes("\x03\0\0\0\0\0\0\x01x"s)).error().code, Errc::Invalid);
}

}  // namespace
}  // namespace weft::control
