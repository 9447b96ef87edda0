// Any octets are read or refused; what ldns reads we read alike; any question is answered with a
// message that can be read, that fits its client, and that says whose answer it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "dns/forwarder.h"
#include "dns/message.h"
#include "dns/responder.h"
#include "dns/zone.h"
#include "tests/fuzz/dns/oracle.h"

namespace weft::dns {
namespace {

std::shared_ptr<const Zone> small_zone() {
  ZoneBuilder builder({.domain = Name::parse("weft.local").value()}, 1);
  for (std::uint32_t i = 0; i < 40; ++i) {
    builder.add({.name = Name::parse("web.weft.local").value(),
                 .address = Ipv4(0x0a200000 + i),
                 .port = static_cast<std::uint16_t>(i % 2),
                 .origin = {},
                 .owner = "a"});
  }
  return builder.build();
}

void compare(ByteView input) {
  const auto theirs = read_with_oracle(input);
  if (!theirs) {
    return;
  }
  const auto ours = read_message(input);
  WEFT_ASSERT(ours.ok());
  WEFT_ASSERT(ours.value().id == theirs->id);
  OracleMessage same{.id = theirs->id, .questions = {}, .records = {}};
  for (const Question& question : ours.value().questions) {
    same.questions.push_back({question.name.folded(), question.type, 0});
  }
  for (const Record& record : ours.value().records) {
    if (record.type != kOpt) {
      same.records.push_back({record.name.folded(), record.type, record.ttl});
    }
  }
  auto records = theirs->records;
  std::erase_if(records, [](const auto& record) { return record.type == kOpt; });
  WEFT_ASSERT(same.questions == theirs->questions);
  WEFT_ASSERT(same.records == records);
}

void answer(ByteView input, const Zone& zone, Transport transport) {
  Responder responder{Rng(1)};
  Bytes out(transport == Transport::Udp ? kUdpSizeMax : kMessageMax);
  const auto outcome = responder.answer(input, transport, Ip(), zone, out);
  if (outcome.verdict != Responder::Verdict::Answered) {
    WEFT_ASSERT(outcome.size == 0);
    return;
  }
  const auto query = read_query(input);
  const auto limit = query.ok() ? answer_max(transport, query.value().edns) : kUdpSizeMin;
  WEFT_ASSERT(outcome.size <= limit);
  const auto message = read_message(ByteView(out).first(outcome.size));
  WEFT_ASSERT(message.ok());
  WEFT_ASSERT((message.value().flags & kResponse) != 0);
  WEFT_ASSERT(std::equal(input.begin(), input.begin() + 2, out.begin()));
}

// The input as a question to be passed on, then as its answer.
void forward(ByteView input) {
  constexpr TimePoint kNow{};
  Forwarder forwarder({.cache = {.entries_max = 2, .bytes_max = 1024}}, Rng(1));
  forwarder.set_servers({{Ipv4(0x7f000001), kPort}});
  ForwarderActions out;
  if (read_query(input).ok()) {
    forwarder.on_query(kNow, {.id = ClientId(1)}, input, out);
    forwarder.check_invariants();
  }
  if (out.empty()) {
    return;
  }
  Ask ask = std::get<Ask>(out.front());
  Bytes reply = to_bytes(input);
  std::copy_n(ask.message.begin(), 2, reply.begin());
  reply[2] |= static_cast<std::uint8_t>(kResponse >> 8U);
  forwarder.on_answer(kNow, ask.id, reply, out);
  forwarder.check_invariants();
  forwarder.on_query(kNow, {.id = ClientId(2), .transport = Transport::Tcp}, input, out);
  forwarder.on_deadline(kNow + std::chrono::seconds(5), out);
  forwarder.check_invariants();
  WEFT_ASSERT(forwarder.next_deadline() == kNever);
}

}  // namespace
}  // namespace weft::dns

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto zone = weft::dns::small_zone();
  const weft::ByteView input(data, size);
  weft::dns::compare(input);
  weft::dns::answer(input, *zone, weft::dns::Transport::Udp);
  weft::dns::answer(input, *zone, weft::dns::Transport::Tcp);
  weft::dns::forward(input);
  return 0;
}
