// Questions that are not ours, asked of the host's own servers in their order.
//
// The same question asked twice travels once. That also ends loops: a question that comes back from
// a server we asked finds itself under way. From the host's own address, where such a server would
// ask from, it is refused at once, so that the server we asked gives up and the next is tried.
//
// Sans-IO: the shell opens a socket for each Ask (whose random port is a part of what an answer
// must match), and feeds what arrives. Not thread safe; lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "base/strong_id.h"
#include "base/time.h"
#include "dns/address_names.h"
#include "dns/answer_cache.h"
#include "dns/message.h"
#include "dns/responder.h"

namespace weft::dns {

// Whoever asked us; chosen by the shell.
using ClientId = StrongId<struct DnsClientTag>;
// One question to one server.
using AskId = StrongId<struct DnsAskTag>;

// Followed by on_answer() any number of times or by on_failed(), until EndAsk.
struct Ask {
  AskId id;
  Endpoint server;
  Transport transport = Transport::Udp;
  Bytes message;

  friend bool operator==(const Ask&, const Ask&) = default;
};
struct EndAsk {
  AskId id;

  friend bool operator==(const EndAsk&, const EndAsk&) = default;
};
struct AnswerClient {
  ClientId client;
  Bytes message;

  friend bool operator==(const AnswerClient&, const AnswerClient&) = default;
};
using ForwarderAction = std::variant<Ask, EndAsk, AnswerClient>;
using ForwarderActions = std::vector<ForwarderAction>;

class Forwarder {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(5);  // Of each server.
    // Each holds a socket; a host's containers wait for fewer names at a time.
    std::size_t asks_max = 512;
    std::size_t clients_max = 4096;
    AnswerCache::Options cache;
    AddressNames::Options names{};
  };
  struct Stats {
    std::uint64_t asked = 0;
    std::uint64_t cached = 0;      // Answered from the cache.
    std::uint64_t joined = 0;      // Waited for somebody else's question.
    std::uint64_t failed = 0;      // No server answered.
    std::uint64_t refused = 0;     // Over a limit.
    std::uint64_t loops = 0;       // Our own question came back.
    std::uint64_t mismatched = 0;  // Answers to no question of ours.
  };
  struct Client {
    ClientId id;
    Transport transport = Transport::Udp;
    bool is_this_host = false;  // Asks from one of the host's own addresses.
  };

  Forwarder(Options options, Rng rng);

  // From now on. What is under way goes on with the servers it began with; answers kept so far are
  // forgotten, as another network may give others.
  void set_servers(std::vector<Endpoint> servers);
  const std::vector<Endpoint>& servers() const { return servers_; }

  // Precondition: read_query() accepts the message.
  void on_query(TimePoint now, const Client& client, ByteView message, ForwarderActions& out);
  void on_answer(TimePoint now, AskId ask, ByteView message, ForwarderActions& out);
  void on_failed(TimePoint now, AskId ask, ForwarderActions& out);
  void on_deadline(TimePoint now, ForwarderActions& out);
  TimePoint next_deadline() const;

  // What the addresses of answers are called.
  const AddressNames& names() const { return names_; }

  Stats stats() const { return stats_; }
  void check_invariants() const;

 private:
  struct Waiting {
    ClientId id;
    Bytes message;
  };
  struct Key {
    QuestionKey question;
    Transport transport = Transport::Udp;

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Exchange {
    Key key;
    std::uint16_t message_id = 0;
    std::vector<Endpoint> servers;
    std::size_t next_server = 0;
    TimePoint due;
    std::vector<Waiting> waiting;
  };
  using Exchanges = std::map<AskId, Exchange>;

  void ask_next(TimePoint now, Exchange exchange, ForwarderActions& out);
  void finish(const Exchange& exchange, ByteView answer, ForwarderActions& out);
  Exchange take(Exchanges::iterator at, ForwarderActions& out);

  const Options options_;
  Rng rng_;
  AnswerCache cache_;
  AddressNames names_;
  std::vector<Endpoint> servers_;
  Exchanges exchanges_;
  std::map<Key, AskId> under_way_;
  std::uint64_t last_ask_ = 0;
  std::size_t client_count_ = 0;
  Stats stats_;
};

// An answer as this client is to get it: its id, its spelling of the name, its limit of size.
Bytes fit_to_client(ByteView answer, ByteView query, Transport transport);

}  // namespace weft::dns
