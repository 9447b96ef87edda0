#include "dns/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/resolv_conf.h"
#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr TimePoint kStart{Duration(1)};
const Endpoint kFirst{ip("192.0.2.1"), kPort};
const Endpoint kSecond{ip("192.0.2.2"), kPort};

Bytes question(std::string_view text, std::uint16_t id = 7) {
  return write_query(id, {.name = name(text), .type = kA}, {});
}

// The answer of a server: one address, or that the name does not exist.
Bytes answer_to(const Ask& ask, std::uint32_t ttl, Rcode rcode = Rcode::NoError) {
  Bytes out(kUdpSizeMin);
  const Query query = read_query(ask.message).value();
  MessageWriter writer(out);
  writer.u16(query.id)
      .u16(static_cast<std::uint16_t>(kResponse | kRecursionDesired
                                      | static_cast<std::uint16_t>(rcode)))
      .u16(1)
      .u16(rcode == Rcode::NoError ? 1 : 0)
      .u16(0)
      .u16(0);
  writer.name(query.name).u16(query.type).u16(query.klass);
  if (rcode == Rcode::NoError) {
    writer.record(query.name, kA, ttl).u16(4).u32(0xc0000263);
  }
  out.resize(writer.size());
  return out;
}

class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() { forwarder_.set_servers({kFirst, kSecond}); }

  void ask(std::uint64_t client, const Bytes& message, bool is_this_host = false) {
    forwarder_.on_query(
        now_,
        {.id = ClientId(client), .transport = Transport::Udp, .is_this_host = is_this_host},
        message,
        out_);
    forwarder_.check_invariants();
  }
  template <class Action>
  std::vector<Action> take() {
    std::vector<Action> found;
    for (const ForwarderAction& action : out_) {
      if (const auto* wanted = std::get_if<Action>(&action)) {
        found.push_back(*wanted);
      }
    }
    return found;
  }
  Ask take_ask() {
    const auto asks = take<Ask>();
    out_.clear();
    WEFT_ASSERT(asks.size() == 1);
    return asks.front();
  }
  Message take_answer() {
    const auto answers = take<AnswerClient>();
    out_.clear();
    WEFT_ASSERT(answers.size() == 1);
    return read_message(answers.front().message).value();
  }

  TimePoint now_ = kStart;
  Forwarder forwarder_{{.asks_max = 2, .clients_max = 3, .cache = {}}, Rng(1)};
  ForwarderActions out_;
};

TEST_F(ForwarderTest, PassesAQuestionOnAndItsAnswerBack) {
  ask(1, question("Example.com", 0x1234));
  const Ask asked = take_ask();
  EXPECT_EQ(asked.server, kFirst);
  forwarder_.on_answer(now_, asked.id, answer_to(asked, 300), out_);
  EXPECT_THAT(take<EndAsk>(), ElementsAre(EndAsk{asked.id}));

  const Message answer = take_answer();

  EXPECT_EQ(answer.id, 0x1234);
  EXPECT_EQ(answer.questions.front().name, name("Example.com"));
  EXPECT_THAT(answer.records, SizeIs(1));
  EXPECT_EQ(forwarder_.next_deadline(), kNever);
}

TEST_F(ForwarderTest, KnowsWhatTheAddressesOfAnswersAreCalled) {
  ask(1, question("Example.com"));
  const Ask asked = take_ask();
  EXPECT_EQ(forwarder_.names().find(now_, ip("192.0.2.99")), "");

  forwarder_.on_answer(now_, asked.id, answer_to(asked, 300), out_);

  EXPECT_EQ(forwarder_.names().find(now_, ip("192.0.2.99")), "example.com");
  EXPECT_EQ(forwarder_.names().find(now_ + std::chrono::hours(2), ip("192.0.2.99")), "");
}

TEST_F(ForwarderTest, AnswersFromTheCacheForAsLongAsItHolds) {
  ask(1, question("example.com"));
  const Ask asked = take_ask();
  forwarder_.on_answer(now_, asked.id, answer_to(asked, 300), out_);
  out_.clear();

  now_ += seconds(100);
  ask(2, question("EXAMPLE.com", 9));
  const Message cached = take_answer();
  EXPECT_EQ(cached.id, 9);
  EXPECT_EQ(cached.questions.front().name, name("EXAMPLE.com"));
  EXPECT_EQ(cached.records.front().ttl, 200U);
  now_ += seconds(200);
  ask(3, question("example.com"));
  EXPECT_THAT(take<Ask>(), SizeIs(1));
  out_.clear();
  forwarder_.set_servers({kSecond});  // Another network.
  EXPECT_EQ(forwarder_.stats().cached, 1U);
}

TEST_F(ForwarderTest, TurnsToTheNextServerAndFailsAfterTheLast) {
  ask(1, question("example.com"));
  const Ask first = take_ask();
  now_ += seconds(5);
  forwarder_.on_deadline(now_, out_);
  const Ask second = take_ask();
  EXPECT_EQ(second.server, kSecond);
  EXPECT_NE(second.id, first.id);

  forwarder_.on_answer(now_, first.id, answer_to(first, 300), out_);  // Too late.
  EXPECT_THAT(out_, IsEmpty());
  forwarder_.on_failed(now_, second.id, out_);

  EXPECT_EQ(take_answer().rcode(), Rcode::ServerFailure);
  EXPECT_EQ(forwarder_.stats().failed, 1U);
}

TEST_F(ForwarderTest, TurnsToTheNextServerWhereOneCannotHelp) {
  ask(1, question("example.com"));
  const Ask first = take_ask();
  forwarder_.on_answer(now_, first.id, answer_to(first, 0, Rcode::Refused), out_);
  const Ask second = take_ask();
  EXPECT_EQ(second.server, kSecond);
  forwarder_.on_answer(now_, second.id, answer_to(second, 0, Rcode::NameError), out_);
  EXPECT_EQ(take_answer().rcode(), Rcode::NameError);
}

TEST_F(ForwarderTest, IgnoresAnswersToOtherQuestions) {
  ask(1, question("example.com"));
  const Ask asked = take_ask();
  Bytes other_id = answer_to(asked, 300);
  other_id[0] ^= 1;
  Bytes other_name = answer_to(asked, 300);
  other_name[kHeaderSize + 1] ^= 1;
  for (const Bytes& wrong : {other_id, other_name, Bytes{1, 2, 3}, asked.message}) {
    forwarder_.on_answer(now_, asked.id, wrong, out_);
  }
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(forwarder_.stats().mismatched, 4U);
}

TEST_F(ForwarderTest, AsksTheSameQuestionOnceForAll) {
  ask(1, question("example.com", 1));
  const Ask asked = take_ask();
  ask(2, question("EXAMPLE.com", 2));
  EXPECT_THAT(out_, IsEmpty());
  forwarder_.on_answer(now_, asked.id, answer_to(asked, 300), out_);
  EXPECT_THAT(take<AnswerClient>(), SizeIs(2));
  EXPECT_EQ(forwarder_.stats().joined, 1U);
}

TEST_F(ForwarderTest, EndsALoopThroughAServerOfThisHost) {
  ask(1, question("example.com"));
  const Ask asked = take_ask();
  ask(2, asked.message, true);
  EXPECT_EQ(take_answer().rcode(), Rcode::Refused);
  EXPECT_EQ(forwarder_.stats().loops, 1U);
  EXPECT_EQ(forwarder_.stats().asked, 1U);
}

TEST_F(ForwarderTest, RefusesWhatIsOverItsLimits) {
  ask(1, question("a.example"));
  ask(2, question("b.example"));
  out_.clear();
  ask(3, question("c.example"));
  EXPECT_EQ(take_answer().rcode(), Rcode::ServerFailure);
  ask(4, question("a.example"));
  ask(5, question("a.example"));
  EXPECT_EQ(take_answer().rcode(), Rcode::ServerFailure);
  EXPECT_EQ(forwarder_.stats().refused, 2U);
}

TEST_F(ForwarderTest, SaysAtOnceThatThereIsNobodyToAsk) {
  forwarder_.set_servers({});
  ask(1, question("example.com"));
  EXPECT_EQ(take_answer().rcode(), Rcode::ServerFailure);
}

TEST(AnswerCacheTest, MakesRoomForTheNextAndKeepsNothingThatMayNotBeKept) {
  AnswerCache cache({.entries_max = 2, .bytes_max = 4096});
  const auto put = [&](const char* text, std::uint32_t ttl, Rcode rcode = Rcode::NoError) {
    const Ask ask{AskId(1), kFirst, Transport::Udp, question(text)};
    cache.put(kStart, key_of(read_query(ask.message).value()), answer_to(ask, ttl, rcode));
    cache.check_invariants();
  };
  const auto has = [&](const char* text) {
    const Bytes message = question(text);
    return cache.find(kStart, key_of(read_query(message).value())).has_value();
  };

  put("a.example", 10);
  put("b.example", 20);
  put("c.example", 30);
  EXPECT_FALSE(has("a.example"));
  EXPECT_TRUE(has("b.example"));
  put("d.example", 0);
  put("e.example", 60, Rcode::ServerFailure);
  put("f.example", 60, Rcode::NameError);  // Without a SOA nobody says for how long.
  EXPECT_FALSE(has("d.example"));
  EXPECT_FALSE(has("e.example"));
  EXPECT_FALSE(has("f.example"));
  EXPECT_EQ(cache.size(), 2U);
}

TEST(ResolvConf, NamesServersInTheirOrder) {
  EXPECT_THAT(parse_resolv_conf("# nameserver 9.9.9.9\nsearch a b\nnameserver 192.0.2.1\n"
                                "nameserver\tfd00::1 \nnameserver fe80::1%eth0\nnameserver\n"
                                "nameserver 192.0.2.1\r\nnameserver 192.0.2.2"),
              ElementsAre(kFirst, Endpoint{ip("fd00::1"), kPort}, kSecond));
  EXPECT_THAT(parse_resolv_conf(""), IsEmpty());
}

}  // namespace
}  // namespace weft::dns
