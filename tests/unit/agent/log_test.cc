#include "base/log.h"

#include <gtest/gtest.h>

#include "base/peer_name.h"

namespace weft::log {
namespace {

TEST(LogField, WritesPlainValuesBare) {
  EXPECT_EQ(to_logfmt({"peer", PeerName(0x7a0000000001)}), " peer=7a:00:00:00:00:01");
  EXPECT_EQ(to_logfmt({"port", 6783}), " port=6783");
  EXPECT_EQ(to_logfmt({"up", true}), " up=true");
  EXPECT_EQ(to_logfmt({"incarnation", Incarnation(3)}), " incarnation=3");
  EXPECT_EQ(to_logfmt({"name", "left"}), " name=left");
}

TEST(LogField, QuotesWhatWouldBreakTheLine) {
  EXPECT_EQ(to_logfmt({"why", Error{Errc::Invalid, "bad frame", 0}}), " why=\"bad frame\"");
  EXPECT_EQ(to_logfmt({"name", "a\nb"}), " name=\"a\\nb\"");
  EXPECT_EQ(to_logfmt({"name", "a\"b\\c"}), " name=\"a\\\"b\\\\c\"");
  EXPECT_EQ(to_logfmt({"name", "\x1b[31m"}), " name=\"\\x1b[31m\"");
  EXPECT_EQ(to_logfmt({"name", ""}), " name=\"\"");
}

TEST(LogLevel, IsParsedAndFilters) {
  set_level(parse_level("warning").value());
  const bool info = is_enabled(Level::Info);
  const bool warning = is_enabled(Level::Warning);
  set_level(Level::Info);

  EXPECT_FALSE(info);
  EXPECT_TRUE(warning);
  EXPECT_EQ(parse_level("loud").error().code, Errc::Invalid);
}

TEST(LogLine, IsOneLineWithLevelMessageAndFields) {
  testing::internal::CaptureStderr();

  info("link established", {"peer", "h2"}, {"detail", "two\nlines"});
  debug("not written");

  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(text.ends_with("Z info    link established peer=h2 detail=\"two\\nlines\"\n"))
      << text;
}

}  // namespace
}  // namespace weft::log
