#include "dns/name_record.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

TEST(NameRecord, IsReadAsItWasWritten) {
  const NamesOfPart entries{
      .run = 7,
      .entries = {
          {.name = name("Web.weft.local"), .address = ip("10.32.0.1")},
          {.name = name("_http._tcp.web.weft.local"), .address = ip("fd00::1"), .port = 80}}};
  EXPECT_EQ(decode_names(encode_names(entries)).value(), entries);
  for (const std::string& owner : {std::string("weave:extern"), std::string(64, 'a')}) {
    const NameKey key{.part = 3, .owner = owner};
    EXPECT_LE(encode_name_key(key).key.size(), 64U);
    EXPECT_EQ(decode_name_key(encode_name_key(key)).value(), key);
  }
}

TEST(NameRecord, OfARunIsReadAsItWasWritten) {
  const RunOfNames run{.run = 3, .count = 4};
  EXPECT_EQ(decode_run(encode_run(run)).value(), run);
  EXPECT_EQ(decode_run({}).error().code, Errc::Invalid);
  Bytes longer = encode_run(run);
  longer.push_back(0);
  EXPECT_EQ(decode_run(longer).error().code, Errc::Invalid);
}

TEST(NameRecord, RefusesWhatIsNotOne) {
  const Bytes good = encode_names(
      {.run = 7, .entries = {{.name = name("web.weft.local"), .address = ip("10.32.0.1")}}});
  for (std::size_t size = 10; size < good.size(); ++size) {
    EXPECT_EQ(decode_names(ByteView(good).first(size)).error().code, Errc::Invalid) << size;
  }
  Bytes later = good;
  later[0] = 2;
  EXPECT_EQ(decode_names(later).error().code, Errc::Invalid);
  for (const Bytes& key : {Bytes{},
                           Bytes{0, 0},
                           Bytes{0, 0, 2, 'a'},
                           Bytes{0, 0, 0},
                           Bytes{0, 0, 0, ' '},
                           Bytes{0, 0, 1, 'a'}}) {
    EXPECT_EQ(decode_name_key({.kind = RecordKind::Name, .key = key}).error().code, Errc::Invalid);
  }
  EXPECT_EQ(check_owner(std::string(61, 'x')).error().code, Errc::Invalid);
  EXPECT_TRUE(check_owner(std::string(60, 'x')).ok());
}

}  // namespace
}  // namespace weft::dns
