#include "dns/forwarder.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::dns {

namespace {

// What we offer servers: below any MTU, so that no answer is fragmented (RFC 9715).
constexpr std::uint16_t kOfferedSize = 1232;

constexpr std::size_t kFlagsAt = 2;

Bytes bare(ByteView query, std::uint16_t flags, Rcode rcode) {
  Bytes answer(kUdpSizeMin);
  answer.resize(write_bare(query, flags, rcode, answer));
  return answer;
}

bool is_answer_to(const Message& message, std::uint16_t id, const QuestionKey& key) {
  return message.id == id && (message.flags & kResponse) != 0 && message.questions.size() == 1
         && message.questions.front().type == key.type
         && message.questions.front().klass == key.klass
         && message.questions.front().name.folded() == key.folded;
}

}  // namespace

Bytes fit_to_client(ByteView answer, ByteView query, Transport transport) {
  const auto asked = read_query(query);
  WEFT_ASSERT(asked.ok());
  const std::size_t name_size = asked.value().name.size();
  if (answer.size() > answer_max(transport, asked.value().edns)
      || answer.size() < kHeaderSize + name_size) {
    return bare(query, kTruncated, Rcode::NoError);
  }
  Bytes fitted = to_bytes(answer);
  std::copy_n(query.begin(), 2, fitted.begin());
  // The question was compared with this one, so it has the same size.
  std::copy_n(query.begin() + kHeaderSize, name_size, fitted.begin() + kHeaderSize);
  fitted[kFlagsAt + 1] |= kRecursionAvailable;
  return fitted;
}

Forwarder::Forwarder(Options options, Rng rng)
    : options_(options),
      rng_(rng),
      cache_(options.cache),
      names_(options.names) {}

void Forwarder::set_servers(std::vector<Endpoint> servers) {
  if (servers != servers_) {
    servers_ = std::move(servers);
    cache_.clear();
  }
}

void Forwarder::on_query(TimePoint now,
                         const Client& client,
                         ByteView message,
                         ForwarderActions& out) {
  const auto query = read_query(message);
  WEFT_ASSERT(query.ok());
  const Key key{.question = key_of(query.value()), .transport = client.transport};
  if (const auto cached = cache_.find(now, key.question)) {
    ++stats_.cached;
    out.push_back(AnswerClient{client.id, fit_to_client(*cached, message, client.transport)});
    return;
  }
  const auto known = under_way_.find(key);
  if (known != under_way_.end() && client.is_this_host) {
    ++stats_.loops;
    out.push_back(AnswerClient{client.id, bare(message, 0, Rcode::Refused)});
    return;
  }
  if (client_count_ >= options_.clients_max
      || (known == under_way_.end() && exchanges_.size() >= options_.asks_max)) {
    ++stats_.refused;
    out.push_back(AnswerClient{client.id, bare(message, 0, Rcode::ServerFailure)});
    return;
  }
  ++client_count_;
  if (known != under_way_.end()) {
    ++stats_.joined;
    exchanges_.at(known->second).waiting.push_back({client.id, to_bytes(message)});
    return;
  }
  ask_next(now,
           Exchange{.key = key,
                    .message_id = 0,
                    .servers = servers_,
                    .next_server = 0,
                    .due = kNever,
                    .waiting = {Waiting{.id = client.id, .message = to_bytes(message)}}},
           out);
}

void Forwarder::ask_next(TimePoint now, Exchange exchange, ForwarderActions& out) {
  if (exchange.next_server == exchange.servers.size()) {
    ++stats_.failed;
    finish(exchange, {}, out);
    return;
  }
  ++stats_.asked;
  const AskId id(++last_ask_);
  const Endpoint server = exchange.servers[exchange.next_server++];
  exchange.message_id = static_cast<std::uint16_t>(rng_.next() >> 48U);
  exchange.due = now + options_.timeout;
  const QuestionKey& question = exchange.key.question;
  // The spelling of the first who asked: servers that choose a case to be answered in get it.
  const std::string_view wire = read_query(exchange.waiting.front().message).value().name;
  Bytes message = write_query(
      exchange.message_id,
      {.name = Name::from_wire(wire), .type = question.type, .klass = question.klass},
      question.edns ? std::optional(Edns{.udp_size = kOfferedSize, .dnssec_ok = question.dnssec_ok})
                    : std::nullopt);
  if (question.checking_disabled) {
    message[kFlagsAt + 1] |= kCheckingDisabled;
  }
  out.push_back(Ask{id, server, exchange.key.transport, std::move(message)});
  under_way_[exchange.key] = id;
  exchanges_.emplace(id, std::move(exchange));
}

Forwarder::Exchange Forwarder::take(Exchanges::iterator at, ForwarderActions& out) {
  Exchange exchange = std::move(at->second);
  out.push_back(EndAsk{at->first});
  exchanges_.erase(at);
  under_way_.erase(exchange.key);
  return exchange;
}

// Nothing as the answer: none came.
void Forwarder::finish(const Exchange& exchange, ByteView answer, ForwarderActions& out) {
  for (const Waiting& waiting : exchange.waiting) {
    out.push_back(AnswerClient{
        waiting.id,
        answer.empty() ? bare(waiting.message, 0, Rcode::ServerFailure)
                       : fit_to_client(answer, waiting.message, exchange.key.transport)});
  }
  client_count_ -= exchange.waiting.size();
}

void Forwarder::on_answer(TimePoint now, AskId ask, ByteView message, ForwarderActions& out) {
  const auto at = exchanges_.find(ask);
  if (at == exchanges_.end()) {
    return;
  }
  const auto read = read_message(message);
  if (!read.ok() || !is_answer_to(read.value(), at->second.message_id, at->second.key.question)) {
    ++stats_.mismatched;  // The right answer may yet come.
    return;
  }
  const Rcode rcode = read.value().rcode();
  const bool is_helpless = rcode == Rcode::ServerFailure || rcode == Rcode::Refused;
  Exchange exchange = take(at, out);
  if (is_helpless && exchange.next_server < exchange.servers.size()) {
    ask_next(now, std::move(exchange), out);
    return;
  }
  cache_.put(now, exchange.key.question, message);
  names_.on_answer(now, read.value(), message);
  finish(exchange, message, out);
}

void Forwarder::on_failed(TimePoint now, AskId ask, ForwarderActions& out) {
  if (const auto at = exchanges_.find(ask); at != exchanges_.end()) {
    ask_next(now, take(at, out), out);
  }
}

void Forwarder::on_deadline(TimePoint now, ForwarderActions& out) {
  // Ids ascend and all wait equally long, so the first is due first.
  while (!exchanges_.empty() && exchanges_.begin()->second.due <= now) {
    ask_next(now, take(exchanges_.begin(), out), out);
  }
}

TimePoint Forwarder::next_deadline() const {
  return exchanges_.empty() ? kNever : exchanges_.begin()->second.due;
}

void Forwarder::check_invariants() const {
  cache_.check_invariants();
  names_.check_invariants();
  WEFT_ASSERT(exchanges_.size() == under_way_.size());
  WEFT_ASSERT(exchanges_.size() <= options_.asks_max);
  std::size_t clients = 0;
  for (const auto& [id, exchange] : exchanges_) {
    WEFT_ASSERT(under_way_.at(exchange.key) == id);
    WEFT_ASSERT(!exchange.waiting.empty());
    clients += exchange.waiting.size();
  }
  WEFT_ASSERT(clients == client_count_);
  WEFT_ASSERT(clients <= options_.clients_max);
}

}  // namespace weft::dns
