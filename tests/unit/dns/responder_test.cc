#include "dns/responder.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using Section = Record::Section;

TEST(Responder, AnswersTheAddressesOfANameOfEitherFamily) {
  DnsHost host;
  host.builder().add(entry("web.weft.local", "10.32.0.1"));
  host.builder().add(entry("web.weft.local", "10.32.0.2"));
  host.builder().add(entry("web.weft.local", "fd00::1"));

  const Message v4 = host.ask("web.weft.local");
  EXPECT_THAT(host.addresses(v4), UnorderedElementsAre("10.32.0.1", "10.32.0.2"));
  EXPECT_EQ(v4.flags, kResponse | kAuthoritative | kRecursionAvailable | kRecursionDesired);
  EXPECT_EQ(v4.id, 7);
  EXPECT_EQ(v4.records.front().ttl, 1U);
  const Message v6 = host.ask("web.weft.local", {.type = kAaaa});
  EXPECT_THAT(host.addresses(v6), ElementsAre("fd00::1"));
  const Message any = host.ask("web.weft.local", {.type = kAny});
  EXPECT_THAT(host.addresses(any), SizeIs(3));
}

TEST(Responder, TellsANameWithoutSuchRecordsFromNoName) {
  DnsHost host;
  host.builder().add(entry("a.b.weft.local", "10.32.0.1"));
  constexpr std::uint16_t kMx = 15;

  const Message other_type = host.ask("a.b.weft.local", {.type = kMx});
  EXPECT_EQ(other_type.rcode(), Rcode::NoError);
  EXPECT_THAT(host.addresses(other_type), IsEmpty());
  const Message between = host.ask("b.weft.local");  // Exists, as something below it does.
  EXPECT_EQ(between.rcode(), Rcode::NoError);
  const Message apex = host.ask("weft.local");
  EXPECT_EQ(apex.rcode(), Rcode::NoError);
  const Message absent = host.ask("c.weft.local");
  EXPECT_EQ(absent.rcode(), Rcode::NameError);
  EXPECT_EQ(absent.records.front().type, kSoa);
  EXPECT_EQ(absent.records.front().section, Section::Authority);
  EXPECT_EQ(absent.records.front().name, name("weft.local"));
  const Message above = host.ask("b.a.b.weft.local");
  EXPECT_EQ(above.rcode(), Rcode::NameError);
}

TEST(Responder, MatchesWithoutRegardToCaseAndKeepsTheCaseOfTheQuestion) {
  DnsHost host;
  host.builder().add(entry("Web.weft.local", "10.32.0.1"));

  const Message answer = host.ask("wEB.WEFT.loCal");

  EXPECT_THAT(host.addresses(answer), ElementsAre("10.32.0.1"));
  EXPECT_EQ(answer.questions.front().name, name("wEB.WEFT.loCal"));
  EXPECT_EQ(answer.records.front().name, name("wEB.WEFT.loCal"));
}

TEST(Responder, CompletesASingleLabelWithTheDomain) {
  DnsHost host;
  host.builder().add(entry("web.weft.local", "10.32.0.1"));

  EXPECT_THAT(host.addresses(host.ask("web")), ElementsAre("10.32.0.1"));
  EXPECT_EQ(host.ask("web", {.type = kAaaa}).rcode(), Rcode::NoError);
  EXPECT_EQ(host.ask("nobody").rcode(), Rcode::NameError);
  EXPECT_TRUE(host.is_forwarded("com", kSoa));
  EXPECT_TRUE(host.is_forwarded(".", kNs));
  EXPECT_TRUE(host.is_forwarded("web.example"));
  EXPECT_TRUE(host.is_forwarded("notweft.local"));
}

TEST(Responder, AnswersAClientWithTheAddressesOfItsOwnNetwork) {
  DnsHost host;
  for (const auto* address : {"10.32.0.1", "10.32.0.2", "10.40.0.1", "fd00::1", "fd00::2"}) {
    host.builder().add(entry("web.weft.local", address));
  }
  host.builder().set_horizon(
      Horizon({Cidr::parse("10.40.0.7/24").value(), Cidr::parse("10.50.0.7/24").value()}));

  host.ask_from(ip("10.40.0.7"));
  EXPECT_THAT(host.addresses(host.ask("web.weft.local")), ElementsAre("10.40.0.1"));
  // Nothing is on their network, or nobody knows which one that is.
  for (const auto* elsewhere : {"10.50.0.7", "10.40.0.8", "172.17.0.2"}) {
    host.ask_from(ip(elsewhere));
    EXPECT_THAT(host.addresses(host.ask("web.weft.local")), SizeIs(3)) << elsewhere;
  }
  host.ask_from(ip("10.40.0.7"));
  EXPECT_THAT(host.addresses(host.ask("web.weft.local", {.type = kAaaa})), SizeIs(2));
}

TEST(Responder, PutsAddressesOfThisHostFirstOnTheClientsNetworkToo) {
  DnsHost host({.domain = name("weft.local"), .local_first = true});
  for (const auto* address : {"10.40.0.1", "10.40.0.2", "10.40.0.3", "10.32.0.1"}) {
    ZoneEntry one = entry("web.weft.local", address);
    one.local =
        std::string_view(address) == "10.40.0.2" || std::string_view(address) == "10.32.0.1";
    host.builder().add(one);
  }
  host.builder().set_horizon(Horizon({Cidr::parse("10.40.0.7/24").value()}));
  host.ask_from(ip("10.40.0.7"));

  for (int i = 0; i < 20; ++i) {
    const auto answered = host.addresses(host.ask("web.weft.local"));
    ASSERT_THAT(answered, SizeIs(3));
    EXPECT_EQ(answered.front(), "10.40.0.2");
  }
}

TEST(Responder, NamesAnAddress) {
  DnsHost host;
  host.builder().add(entry("Web.weft.local", "10.32.0.1"));
  host.builder().add(entry("Web.weft.local", "fd00::1"));

  for (const auto* address : {"10.32.0.1", "fd00::1"}) {
    const Name reverse = Name::reverse_of(ip(address));
    const Message answer = host.ask(reverse.to_string(), {.type = kPtr});
    ASSERT_THAT(answer.records, SizeIs(1));
    std::size_t at = answer.records.front().data_at;
    EXPECT_EQ(read_name(host.octets(), at).value(), name("Web.weft.local"));
    EXPECT_EQ(host.ask(reverse.to_string()).rcode(), Rcode::NameError);
  }
  EXPECT_TRUE(host.is_forwarded("9.9.9.9.in-addr.arpa", kPtr));
}

TEST(Responder, AnswersServicesWithTargetsOfTheirOwn) {
  DnsHost host;
  ZoneEntry one = entry("_http._tcp.web.weft.local", "10.32.0.1");
  one.port = 8080;
  ZoneEntry two = entry("_http._tcp.web.weft.local", "10.32.0.2");
  two.port = 8081;
  host.builder().add(one);
  host.builder().add(two);

  const Message answer = host.ask("_http._tcp.web.weft.local", {.type = kSrv});

  std::map<std::uint16_t, std::string> targets;
  for (const Record& record : answer.records) {
    if (record.type == kSrv) {
      std::size_t at = record.data_at + 6;
      const auto port =
          static_cast<std::uint16_t>((host.octets()[at - 2] << 8U) | host.octets()[at - 1]);
      targets[port] = read_name(host.octets(), at).value().to_string();
    } else {
      EXPECT_EQ(record.section, Section::Additional);
    }
  }
  EXPECT_THAT(targets,
              ElementsAre(std::pair(8080, "10-32-0-1.web.weft.local."),
                          std::pair(8081, "10-32-0-2.web.weft.local.")));
  EXPECT_THAT(answer.records, SizeIs(4));
  EXPECT_THAT(host.addresses(host.ask("10-32-0-2.web.weft.local")), ElementsAre("10.32.0.2"));
  EXPECT_EQ(host.ask("web.weft.local").rcode(), Rcode::NoError);
  EXPECT_EQ(host.ask("_http._tcp.web.weft.local").rcode(), Rcode::NoError);
}

TEST(Responder, TellsAClientOfTheServicesOnItsOwnNetwork) {
  DnsHost host;
  for (const auto* address : {"10.32.0.1", "10.40.0.1", "10.40.0.2"}) {
    ZoneEntry service = entry("_http._tcp.web.weft.local", address);
    service.port = 8080;
    host.builder().add(service);
  }
  host.builder().set_horizon(
      Horizon({Cidr::parse("10.40.0.7/24").value(), Cidr::parse("10.50.0.7/24").value()}));
  const auto targets = [&](std::string_view client) {
    host.ask_from(ip(client));
    const Message answer = host.ask("_http._tcp.web.weft.local", {.type = kSrv});
    std::vector<std::string> told;
    for (const Record& record : answer.records) {
      std::size_t at = record.data_at + 6;
      told.push_back(record.type == kSrv ? read_name(host.octets(), at).value().to_string()
                                         : record.name.to_string());
    }
    return told;
  };

  // Each in the answer, and with its address behind it.
  EXPECT_THAT(targets("10.40.0.7"),
              UnorderedElementsAre("10-40-0-1.web.weft.local.",
                                   "10-40-0-2.web.weft.local.",
                                   "10-40-0-1.web.weft.local.",
                                   "10-40-0-2.web.weft.local."));
  for (const auto* elsewhere : {"10.50.0.7", "172.17.0.2"}) {
    EXPECT_THAT(targets(elsewhere), SizeIs(6)) << elsewhere;
  }
}

// An address has no others to choose from: as a name with nothing on the client's network, it is
// told to all.
TEST(Responder, NamesAnAddressOfAnotherNetworkToo) {
  DnsHost host;
  host.builder().add(entry("web.weft.local", "10.32.0.1"));
  host.builder().add(entry("web.weft.local", "10.40.0.1"));
  host.builder().set_horizon(Horizon({Cidr::parse("10.40.0.7/24").value()}));
  host.ask_from(ip("10.40.0.7"));

  for (const auto* address : {"10.32.0.1", "10.40.0.1"}) {
    const Name reverse = Name::reverse_of(ip(address));
    EXPECT_THAT(host.ask(reverse.to_string(), {.type = kPtr}).records, SizeIs(1)) << address;
  }
}

TEST(Responder, ShufflesEveryAnswerUniformly) {
  DnsHost host;
  for (const auto* address : {"10.32.0.1", "10.32.0.2", "10.32.0.3"}) {
    host.builder().add(entry("web.weft.local", address));
  }
  std::map<std::vector<std::string>, int> orders;
  for (int i = 0; i < 6000; ++i) {
    ++orders[host.addresses(host.ask("web.weft.local"))];
  }

  ASSERT_THAT(orders, SizeIs(6));
  for (const auto& [order, count] : orders) {
    EXPECT_GT(count, 850);  // Of 1,000; five standard deviations.
    EXPECT_LT(count, 1150);
  }
}

TEST(Responder, PutsAddressesOfThisHostFirstIfToldTo) {
  DnsHost host({.domain = name("weft.local"), .local_first = true});
  for (const auto* address : {"10.32.0.1", "10.32.0.2", "10.32.0.9"}) {
    ZoneEntry here = entry("web.weft.local", address);
    here.local = here.address == ip("10.32.0.9");
    host.builder().add(here);
  }
  std::map<std::string, int> seconds;
  for (int i = 0; i < 100; ++i) {
    const auto order = host.addresses(host.ask("web.weft.local"));
    EXPECT_EQ(order.front(), "10.32.0.9");
    ++seconds[order.at(1)];
  }
  EXPECT_THAT(seconds, SizeIs(2));
}

TEST(Responder, CutsAnAnswerToWhatTheClientTakes) {
  DnsHost host;
  for (std::uint32_t i = 0; i < 200; ++i) {
    host.builder().add(entry("web.weft.local", Ipv4(0x0a200000 + i).to_string()));
  }
  const Message plain = host.ask("web.weft.local");
  EXPECT_TRUE((plain.flags & kTruncated) != 0);
  EXPECT_LE(host.octets().size(), kUdpSizeMin);
  EXPECT_GT(host.octets().size(), kUdpSizeMin - 16);
  EXPECT_THAT(host.addresses(plain), SizeIs(30));
  const Message edns = host.ask("web.weft.local", {.edns = Edns{.udp_size = 4096}});
  EXPECT_FALSE((edns.flags & kTruncated) != 0);
  EXPECT_THAT(host.addresses(edns), SizeIs(200));
  EXPECT_EQ(edns.records.back().type, kOpt);
  const Message tcp = host.ask("web.weft.local", {.transport = Transport::Tcp});
  EXPECT_THAT(host.addresses(tcp), SizeIs(200));
  EXPECT_EQ(host.responder().stats().truncated, 1U);
}

TEST(Responder, RefusesWhatItDoesNotSpeak) {
  DnsHost host;
  const Bytes good = write_query(7, {.name = name("web.weft.local"), .type = kA}, {});
  const auto rcode = [&](const Bytes& message) {
    EXPECT_EQ(host.ask_raw(message).verdict, Responder::Verdict::Answered);
    return read_message(host.octets()).value().rcode();
  };

  Bytes update = good;
  update[2] = 0x28;  // Opcode 5.
  EXPECT_EQ(rcode(update), Rcode::NotImplemented);
  Bytes empty(good.begin(), good.begin() + kHeaderSize);
  empty[5] = 0;
  EXPECT_EQ(rcode(empty), Rcode::FormatError);
  Bytes twice = good;
  twice[5] = 2;
  twice.insert(twice.end(), good.begin() + kHeaderSize, good.end());
  EXPECT_EQ(rcode(twice), Rcode::NameError);
  Bytes chaos = good;
  chaos.back() = 3;
  EXPECT_EQ(rcode(chaos), Rcode::NameError);
  Bytes answer = good;
  answer[2] |= 0x80;
  EXPECT_EQ(host.ask_raw(answer).verdict, Responder::Verdict::Dropped);
  EXPECT_EQ(host.ask_raw(ByteView(good).first(11)).verdict, Responder::Verdict::Dropped);
}

TEST(Responder, AnswersAnEdnsVersionToComeWithItsOwn) {
  DnsHost host;

  const Message answer = host.ask("web.weft.local", {.edns = Edns{.udp_size = 1232, .version = 1}});

  ASSERT_THAT(answer.records, SizeIs(1));
  EXPECT_EQ(answer.records.front().type, kOpt);
  EXPECT_EQ(answer.records.front().ttl, std::uint32_t{kBadVersion} << 24U);
}

}  // namespace
}  // namespace weft::dns
