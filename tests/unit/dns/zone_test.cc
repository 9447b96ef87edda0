#include "dns/zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

ZoneBuilder builder() {
  return ZoneBuilder({.domain = name("weft.local")}, 1);
}

bool has(const Zone& zone, std::string_view text) {
  return zone.find(name(text).folded()).has_value();
}

TEST(Zone, KeepsWhatTwoSaidUntilBothTookItBack) {
  ZoneBuilder zone = builder();
  ZoneEntry mine = entry("web.weft.local", "10.32.0.1");
  ZoneEntry theirs = mine;
  theirs.origin = PeerName(2);
  zone.add(mine);
  zone.add(theirs);

  zone.remove(mine);
  EXPECT_TRUE(has(*zone.build(), "web.weft.local"));
  zone.remove(theirs);
  EXPECT_FALSE(has(*zone.build(), "web.weft.local"));
  EXPECT_FALSE(has(*zone.build(), "1.0.32.10.in-addr.arpa"));
}

TEST(Zone, SnapshotsDoNotChange) {
  ZoneBuilder zone = builder();
  zone.add(entry("web.weft.local", "10.32.0.1"));
  const auto before = zone.build();
  zone.remove(entry("web.weft.local", "10.32.0.1"));
  const auto after = zone.build();

  EXPECT_TRUE(has(*before, "web.weft.local"));
  EXPECT_FALSE(has(*after, "web.weft.local"));
  EXPECT_EQ(before->name_count(), 1U);
  EXPECT_EQ(after->name_count(), 0U);
}

TEST(Zone, NamesBetweenExistAsLongAsOneBelowThem) {
  ZoneBuilder zone = builder();
  zone.add(entry("a.b.c.weft.local", "10.32.0.1"));
  zone.add(entry("x.c.weft.local", "10.32.0.2"));
  EXPECT_TRUE(has(*zone.build(), "b.c.weft.local"));

  zone.remove(entry("a.b.c.weft.local", "10.32.0.1"));
  EXPECT_FALSE(has(*zone.build(), "b.c.weft.local"));
  EXPECT_TRUE(has(*zone.build(), "c.weft.local"));
  zone.remove(entry("x.c.weft.local", "10.32.0.2"));
  EXPECT_FALSE(has(*zone.build(), "c.weft.local"));
  EXPECT_TRUE(has(*zone.build(), "weft.local"));
}

TEST(Zone, LeavesOutNamesOfOtherDomains) {
  ZoneBuilder zone = builder();
  zone.add(entry("web.example", "10.32.0.1"));
  EXPECT_FALSE(has(*zone.build(), "web.example"));
  EXPECT_FALSE(has(*zone.build(), "1.0.32.10.in-addr.arpa"));
}

TEST(Zone, FindsEveryOneOfManyNames) {
  ZoneBuilder zone = builder();
  constexpr std::uint32_t kCount = 5000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    zone.add(entry("host" + std::to_string(i) + ".weft.local", Ipv4(0x0a200000 + i).to_string()));
  }
  const auto snapshot = zone.build();
  EXPECT_EQ(snapshot->name_count(), kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const auto node = snapshot->find(name("host" + std::to_string(i) + ".weft.local").folded());
    ASSERT_TRUE(node.has_value());
    EXPECT_EQ(Ip::from_bytes(node->v4).value(), Ip(Ipv4(0x0a200000 + i)));
  }
  EXPECT_FALSE(has(*snapshot, "host5000.weft.local"));
}

TEST(Zone, KeepsAsManyAddressesOfANameAsFitAnAnswer) {
  ZoneBuilder zone = builder();
  for (std::uint32_t i = 0; i < kAddressesMax + 1; ++i) {
    zone.add(entry("web.weft.local", Ipv4(0x0a200000 + i).to_string()));
  }
  const auto node = zone.build()->find(name("web.weft.local").folded());
  EXPECT_EQ(node->v4.size(), kAddressesMax * 4);
  EXPECT_EQ(zone.stats().addresses_refused, 1U);
}

}  // namespace
}  // namespace weft::dns
