#include "dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::dns {
namespace {

using testing::SizeIs;

Question question(std::string_view text, std::uint16_t type = kA) {
  return {.name = Name::parse(text).value(), .type = type};
}

TEST(DnsMessage, ReadsTheQuestionThatWasWritten) {
  const Bytes bytes = write_query(
      0x1234, question("Web.weft.local", kAaaa), Edns{.udp_size = 1232, .dnssec_ok = true});

  const Query query = read_query(bytes).value();

  EXPECT_EQ(query.id, 0x1234);
  EXPECT_EQ(query.name, Name::parse("Web.weft.local").value().wire());
  EXPECT_EQ(query.type, kAaaa);
  EXPECT_EQ(query.klass, kInternet);
  EXPECT_EQ(query.edns, (Edns{.udp_size = 1232, .version = 0, .dnssec_ok = true}));
}

TEST(DnsMessage, IsRefusedWhereverItEndsShort) {
  const Bytes bytes = write_query(1, question("web.weft.local"), Edns{});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(read_query(ByteView(bytes).first(size)).ok(), false) << size;
    EXPECT_EQ(read_message(ByteView(bytes).first(size)).ok(), false) << size;
  }
  EXPECT_TRUE(read_query(bytes).ok());
}

TEST(DnsMessage, RefusesASecondOpt) {
  Bytes bytes = write_query(1, question("web.weft.local"), Edns{});
  const Bytes opt(bytes.end() - kOptSize, bytes.end());
  bytes.insert(bytes.end(), opt.begin(), opt.end());
  bytes[11] = 2;
  EXPECT_EQ(read_query(bytes).error().code, Errc::Invalid);
}

TEST(DnsMessage, FollowsPointersBackwardsOnly) {
  // "a.b" at 0, "c" and a pointer to "b" at 5, a pointer to itself at 9.
  const Bytes bytes{1, 'a', 1, 'b', 0, 1, 'c', 0xc0, 2, 0xc0, 9, 0xc0, 20, 0x40};
  std::size_t at = 5;
  EXPECT_EQ(read_name(bytes, at).value().to_string(), "c.b.");
  EXPECT_EQ(at, 9U);
  at = 9;
  EXPECT_EQ(read_name(bytes, at).error().code, Errc::Invalid);
  at = 11;
  EXPECT_EQ(read_name(bytes, at).error().code, Errc::Invalid);
  at = 13;
  EXPECT_EQ(read_name(bytes, at).error().code, Errc::Invalid);
}

TEST(DnsMessage, CompressesNamesItHasWritten) {
  Bytes out(kUdpSizeMin);
  MessageWriter writer(out);
  const Name web = Name::parse("web.weft.local").value();
  const Name db = Name::parse("db.weft.local").value();
  writer.u16(1).u16(kResponse).u16(1).u16(2).u16(0).u16(0);
  writer.name(web.wire()).u16(kA).u16(kInternet);
  writer.record(web.wire(), kA, 1).u16(4).u32(0x0a200001);
  const std::size_t before = writer.size();
  writer.record(db.wire(), kA, 1).u16(4).u32(0x0a200002);
  EXPECT_EQ(writer.size() - before, 3U + 2U + 14U);
  out.resize(writer.size());

  const Message message = read_message(out).value();

  ASSERT_THAT(message.records, SizeIs(2));
  EXPECT_EQ(message.records[0].name, web);
  EXPECT_EQ(message.records[1].name, db);
}

TEST(DnsMessage, WritesNothingPastTheEndAndGoesBackToWhatFitted) {
  Bytes out(16);
  MessageWriter writer(out);
  writer.u32(1).u32(2).u32(3);
  const std::size_t before = writer.size();
  const Name web = Name::parse("web.weft.local").value();
  writer.name(web.wire());
  EXPECT_FALSE(writer.ok());
  writer.rewind(before);
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(writer.size(), 12U);
}

}  // namespace
}  // namespace weft::dns
