#include "router/multicast/group_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/datapath/frames.h"

namespace weft::router {
namespace {

// What Linux and Windows send, each with its checksum right.
constexpr std::string_view kIgmp3 =
    "46c0003400000000010239cd0a200001e0000016940400002200ead00000000204000000ef01020303000001"
    "ef0102030a200002";
constexpr std::string_view kIgmp3Leave =
    "46c0002800000000010239d90a200001e0000016940400002200e9f90000000103000000ef010203";
constexpr std::string_view kIgmp2 =
    "46c0002000000000010228f30a200001ef010203940400001600f8faef010203";
constexpr std::string_view kIgmp2Leave =
    "46c0002000000000010239f50a200001e0000002940400001700f7faef010203";
constexpr std::string_view kMld2 =
    "6000000000240001fe800000000000000000000000000001ff020000000000000000000000000016"
    "3a000502000001008f005dd30000000104000000ff050000000000000000000000001234";
constexpr std::string_view kMld2Leave =
    "6000000000240001fe800000000000000000000000000001ff020000000000000000000000000016"
    "3a000502000001008f005ed30000000103000000ff050000000000000000000000001234";
constexpr std::string_view kMld1 =
    "6000000000200001fe800000000000000000000000000001ff050000000000000000000000001234"
    "3a0005020000010083005bb700000000ff050000000000000000000000001234";
constexpr std::string_view kMld1Done =
    "6000000000200001fe800000000000000000000000000001ff020000000000000000000000000016"
    "3a0005020000010084006cd800000000ff050000000000000000000000001234";
const Mac kGroupMac({0x01, 0x00, 0x5e, 0, 0, 0x16});
const Ip kGroup = ip("239.1.2.3");
const Ip kGroup6 = ip("ff05::1234");

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

EthernetFrame frame_of(ByteView packet) {
  const bool is_v4 = packet[0] >> 4U == 4;
  return {.header = {.destination = kGroupMac,
                     .source = mac(1),
                     .type = is_v4 ? kEtherTypeIpv4 : kEtherTypeIpv6},
          .payload = packet};
}

std::optional<GroupReport> parse(const Bytes& packet) {
  return parse_group_report(frame_of(packet));
}

TEST(GroupReport, EveryVersionTellsWhoHasJoinedAndWhoHasLeft) {
  EXPECT_EQ(parse(from_hex(kIgmp3)), (GroupReport{.joined = {kGroup, kGroup}, .left = {}}));
  EXPECT_EQ(parse(from_hex(kIgmp3Leave)), (GroupReport{.joined = {}, .left = {kGroup}}));
  EXPECT_EQ(parse(from_hex(kIgmp2)), (GroupReport{.joined = {kGroup}, .left = {}}));
  EXPECT_EQ(parse(from_hex(kIgmp2Leave)), (GroupReport{.joined = {}, .left = {kGroup}}));
  EXPECT_EQ(parse(from_hex(kMld2)), (GroupReport{.joined = {kGroup6}, .left = {}}));
  EXPECT_EQ(parse(from_hex(kMld2Leave)), (GroupReport{.joined = {}, .left = {kGroup6}}));
  EXPECT_EQ(parse(from_hex(kMld1)), (GroupReport{.joined = {kGroup6}, .left = {}}));
  EXPECT_EQ(parse(from_hex(kMld1Done)), (GroupReport{.joined = {}, .left = {kGroup6}}));
}

TEST(GroupReport, OneThatIsCutShortOrAlteredIsNone) {
  for (const std::string_view text : {kIgmp3, kIgmp2, kMld2, kMld1}) {
    const Bytes whole = from_hex(text);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      EXPECT_FALSE(parse(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
    }
    Bytes altered = whole;
    altered.back() ^= 1U;
    EXPECT_FALSE(parse(altered));
  }
}

TEST(GroupReport, PaddingBehindThePacketIsNoPartOfIt) {
  Bytes padded = from_hex(kIgmp2);
  padded.resize(46);

  EXPECT_EQ(parse(padded).value().joined, std::vector<Ip>{kGroup});
}

TEST(GroupReport, GroupsOfTheLinkAreNotAnnounced) {
  EXPECT_FALSE(is_announced(ip("224.0.0.251")));
  EXPECT_FALSE(is_announced(ip("10.32.0.1")));
  EXPECT_FALSE(is_announced(ip("ff02::fb")));
  EXPECT_FALSE(is_announced(ip("fd00::1")));
  EXPECT_TRUE(is_announced(ip("224.0.1.1")));
  EXPECT_TRUE(is_announced(ip("239.255.255.250")));
  EXPECT_TRUE(is_announced(ip("ff05::2")));
}

TEST(GroupReport, AFrameForAGroupNamesIt) {
  Bytes packet = from_hex(kIgmp2);

  EXPECT_EQ(announced_group(frame_of(packet)), kGroup);
  EXPECT_EQ(announced_group(frame_of(from_hex(kMld2))), std::nullopt);  // ff02::16.
  EXPECT_EQ(announced_group(frame_of(ByteView(packet).first(19))), std::nullopt);
}

TEST(GroupReport, QuestionsAreWhatTheStandardsSay) {
  EXPECT_EQ(to_hex(encode_igmp_query(mac(9))),
            "01005e000001020000000009080046c00024000000000102441300000000e000000194040000110a"
            "ec7800000000027d0000");
  EXPECT_EQ(to_hex(encode_mld_query(mac(9))),
            "33330000000102000000000986dd6000000000240001fe80000000000000000000fffe000009ff02"
            "00000000000000000000000000013a0005020000010082007ab603e8000000000000000000000000"
            "000000000000027d0000");
}

}  // namespace
}  // namespace weft::router
