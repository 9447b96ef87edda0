#include "router/overlay/links_record.h"

#include <gtest/gtest.h>

namespace weft::router {
namespace {

TEST(LinksRecord, ComesBackAsItWas) {
  const LinksRecord record{.life = 3,
                           .links = {{PeerName(1), 14}, {PeerName(0xffffffffffff), 80}},
                           .accusations = {{PeerName(7), {2, 5}}}};
  const Bytes bytes = encode(record);

  EXPECT_EQ(decode_links(bytes).value(), record);
  EXPECT_EQ(link_count(bytes), 2U);
}

TEST(LinksRecord, RefusesWhatIsTooShortTooLongOrOfAnotherLayout) {
  Bytes bytes = encode(LinksRecord{.life = 1, .links = {{PeerName(1), 1}}, .accusations = {}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_links(ByteView(bytes).first(size)).ok()) << size;
  }

  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_links(longer).ok());
  bytes[0] = 1;
  EXPECT_FALSE(decode_links(bytes).ok());
  EXPECT_EQ(link_count(bytes), 0U);
}

TEST(LinksRecord, RefusesNamesThatDoNotAscend) {
  const LinksRecord record{
      .life = 0, .links = {{PeerName(5), 1}, {PeerName(4), 1}}, .accusations = {}};

  EXPECT_FALSE(decode_links(encode(record)).ok());
}

TEST(LinksRecord, RefusesMorePeersThanItsLimit) {
  const Bytes bytes = Writer().u8(2).u8(0).u16(0x8108).take();  // LEB128 of 1,025.
  static_assert(kNeighboursMax < 1025);

  EXPECT_FALSE(decode_links(bytes).ok());
}

}  // namespace
}  // namespace weft::router
