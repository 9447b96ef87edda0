// Answers one question from one snapshot (dns/zone.h).
//
//   in the domain            answered from the zone: NOERROR with or without records, or NXDOMAIN
//   one label, A or AAAA     completed with the domain, for resolvers that ignore search lists
//   reverse, of a known name PTR answered; another type is NXDOMAIN
//   of several addresses     those of the network the client asks from, if there are such; the
//                            same of services
//   anything else            Forward: it is for somebody else's servers
//
// Answers keep the question's octets, so the case a resolver chose (0x20) comes back. Each thread
// has a Responder of its own; nothing is allocated per question. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/address.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "dns/message.h"
#include "dns/zone.h"

namespace weft::dns {

enum class Transport : std::uint8_t { Udp, Tcp };

struct ResponderStats {
  std::uint64_t queries = 0;    // Of those that follow each is one, or neither: an answer.
  std::uint64_t forwarded = 0;  // Not ours to answer.
  std::uint64_t malformed = 0;  // Answered FORMERR, NOTIMP or BADVERS, or dropped.
  std::uint64_t absent = 0;     // Answered NXDOMAIN.
  std::uint64_t truncated = 0;

  ResponderStats& operator+=(const ResponderStats& other);
  friend bool operator==(const ResponderStats&, const ResponderStats&) = default;
};

class Responder {
 public:
  enum class Verdict : std::uint8_t { Answered, Forward, Dropped };
  struct Outcome {
    Verdict verdict = Verdict::Dropped;
    std::size_t size = 0;  // Of the answer in `out`.
  };

  explicit Responder(Rng rng) : rng_(rng) {}

  // `out` holds kUdpSizeMax octets for UDP, kMessageMax for TCP.
  Outcome answer(ByteView message,
                 Transport transport,
                 const Ip& client,
                 const Zone& zone,
                 std::span<std::uint8_t> out);

  const ResponderStats& stats() const { return stats_; }

 private:
  struct Job;
  // Of one type: `size` octets each, the first `local_count` on this host.
  struct Addresses {
    std::uint16_t type = 0;
    std::size_t size = 0;
    ByteView octets;
    std::size_t local_count = 0;
  };
  using Order = std::array<std::uint16_t, kAddressesMax>;  // Indices into the octets.
  struct Chosen {
    std::size_t count = 0;
    std::size_t local_count = 0;
  };
  struct Written {
    std::size_t count = 0;
    bool is_all = true;  // False: there was no room for the rest.

    Written& operator+=(const Written& other) {
      count += other.count;
      is_all = is_all && other.is_all;
      return *this;
    }
  };
  struct Ending {
    std::size_t additional_count = 0;
    std::uint8_t rcode_high = 0;
  };

  Outcome refuse(ByteView message, Rcode rcode, std::span<std::uint8_t> out);
  Outcome answer_name(const Job& job);
  Outcome answer_node(const Job& job, const Zone::Node& node);
  Outcome answer_pointer(const Job& job, std::string_view pointer);
  Outcome answer_nothing(const Job& job, Rcode rcode);
  static Chosen choose(const Job& job, const Addresses& addresses, Order& order);
  Written write_addresses(const Job& job, const Addresses& addresses, MessageWriter& writer);
  // Nothing: services of all networks are told.
  static std::optional<Cidr> network_of_services(const Job& job, ByteView services);
  static Written write_services(const Job& job,
                                ByteView services,
                                const std::optional<Cidr>& network,
                                MessageWriter& writer);
  static std::size_t write_targets(const Job& job,
                                   ByteView services,
                                   const std::optional<Cidr>& network,
                                   MessageWriter& writer);
  static Outcome finish(const Job& job, const MessageWriter& written, const Ending& ending);

  Rng rng_;
  ResponderStats stats_;
};

// The largest answer a client takes.
std::size_t answer_max(Transport transport, const std::optional<Edns>& edns);

// Header, question and nothing else: what a failure, or an answer that is too large, is told with.
// Returns the size; 0 if `message` is too short to answer.
std::size_t write_bare(ByteView message,
                       std::uint16_t flags_set,
                       Rcode rcode,
                       std::span<std::uint8_t> out);

}  // namespace weft::dns
