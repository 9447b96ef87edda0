#include "dns/address_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr TimePoint kStart{Duration(1)};

struct Told {
  std::string_view owner;
  std::string_view address;
  std::uint32_t ttl = 60;
};

// The answer to who asked for `asked`; records may be of other names, as behind a CNAME.
Bytes answer(std::string_view asked,
             const std::vector<Told>& records,
             Rcode rcode = Rcode::NoError) {
  Bytes out(kMessageMax);
  const Name question = name(asked);
  std::vector<Name> owners;
  for (const Told& told : records) {
    owners.push_back(name(told.owner));
  }
  MessageWriter writer(out);
  writer.u16(7)
      .u16(static_cast<std::uint16_t>(kResponse | static_cast<std::uint16_t>(rcode)))
      .u16(1)
      .u16(static_cast<std::uint16_t>(records.size()))
      .u16(0)
      .u16(0);
  writer.name(question.wire()).u16(kA).u16(kInternet);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Ip address = ip(records[i].address);
    const Bytes octets = address.bytes();
    writer.record(owners[i].wire(), address.is_v4() ? kA : kAaaa, records[i].ttl)
        .u16(static_cast<std::uint16_t>(octets.size()))
        .append(as_text(octets));
  }
  WEFT_ASSERT(writer.ok());
  out.resize(writer.size());
  return out;
}

class AddressNamesTest : public testing::Test {
 protected:
  void hear(TimePoint now, const Bytes& octets) {
    names_.on_answer(now, read_message(octets).value(), octets);
    names_.check_invariants();
  }

  AddressNames names_{{.addresses_max = 3}};
};

TEST_F(AddressNamesTest, AreWhatWasAskedForWhateverItIsAnAliasOf) {
  hear(kStart,
       answer("Shop.Example.com",
              {{"cdn.example.net", "192.0.2.1"}, {"cdn.example.net", "2001:db8::1"}}));

  EXPECT_EQ(names_.find(kStart, ip("192.0.2.1")), "shop.example.com");
  EXPECT_EQ(names_.find(kStart, ip("2001:db8::1")), "shop.example.com");
  EXPECT_EQ(names_.find(kStart, ip("192.0.2.2")), "");
}

TEST_F(AddressNamesTest, AreTheLastThatWereAskedFor) {
  hear(kStart, answer("one.example", {{"one.example", "192.0.2.1"}}));
  hear(kStart, answer("two.example", {{"two.example", "192.0.2.1"}}));

  EXPECT_EQ(names_.find(kStart, ip("192.0.2.1")), "two.example");
  EXPECT_EQ(names_.size(), 1U);
}

TEST_F(AddressNamesTest, AreForgottenAnHourAfterTheAnswerEnds) {
  hear(kStart, answer("one.example", {{"one.example", "192.0.2.1", 60}}));

  EXPECT_EQ(names_.find(kStart + seconds(60) + hours(1) - seconds(1), ip("192.0.2.1")),
            "one.example");
  EXPECT_EQ(names_.find(kStart + seconds(60) + hours(1), ip("192.0.2.1")), "");
}

TEST_F(AddressNamesTest, MakeRoomForThoseThatLastLonger) {
  hear(kStart,
       answer("one.example",
              {{"one.example", "192.0.2.1", 30},
               {"one.example", "192.0.2.2", 20},
               {"one.example", "192.0.2.3", 40}}));
  hear(kStart, answer("two.example", {{"two.example", "192.0.2.4"}}));

  EXPECT_EQ(names_.size(), 3U);
  EXPECT_EQ(names_.find(kStart, ip("192.0.2.2")), "");
  EXPECT_EQ(names_.find(kStart, ip("192.0.2.4")), "two.example");
}

TEST_F(AddressNamesTest, AreNotLearntFromRefusals) {
  hear(kStart, answer("one.example", {{"one.example", "192.0.2.1"}}, Rcode::NameError));

  EXPECT_EQ(names_.size(), 0U);
}

}  // namespace
}  // namespace weft::dns
