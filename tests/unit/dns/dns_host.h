// A zone with a few names, and questions to it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "dns/message.h"
#include "dns/responder.h"
#include "dns/zone.h"

namespace weft::dns {

inline Name name(std::string_view text) {
  return Name::parse(text).value();
}

inline Ip ip(std::string_view text) {
  return Ip::parse(text).value();
}

inline ZoneEntry entry(std::string_view host, std::string_view address) {
  return {.name = name(host),
          .address = ip(address),
          .port = 0,
          .origin = PeerName(1),
          .owner = "c",
          .local = true};
}

struct Asked {
  std::uint16_t type = kA;
  std::optional<Edns> edns = std::nullopt;
  Transport transport = Transport::Udp;
};

class DnsHost {
 public:
  explicit DnsHost(Zone::Settings settings = {.domain = name("weft.local")})
      : builder_(std::move(settings), 7) {}

  ZoneBuilder& builder() { return builder_; }
  Responder& responder() { return responder_; }
  // Who asks from now on.
  void ask_from(const Ip& client) { client_ = client; }

  Responder::Outcome ask_raw(ByteView message, Transport transport = Transport::Udp) {
    out_.assign(transport == Transport::Udp ? kUdpSizeMax : kMessageMax, 0);
    const auto outcome = responder_.answer(message, transport, client_, *builder_.build(), out_);
    out_.resize(outcome.size);
    return outcome;
  }
  // Precondition: it is answered.
  Message ask(std::string_view text, Asked asked = {}) {
    const Bytes query = write_query(7, {.name = name(text), .type = asked.type}, asked.edns);
    const auto outcome = ask_raw(query, asked.transport);
    WEFT_ASSERT(outcome.verdict == Responder::Verdict::Answered);
    return read_message(out_).value();
  }
  bool is_forwarded(std::string_view text, std::uint16_t type = kA) {
    return ask_raw(write_query(7, {.name = name(text), .type = type}, {})).verdict
           == Responder::Verdict::Forward;
  }
  const Bytes& octets() const { return out_; }

  // The addresses of an answer in its order.
  std::vector<std::string> addresses(const Message& message) const {
    std::vector<std::string> found;
    for (const Record& record : message.records) {
      if (record.section == Record::Section::Answer
          && (record.type == kA || record.type == kAaaa)) {
        found.push_back(Ip::from_bytes(ByteView(out_).subspan(record.data_at, record.data_size))
                            .value()
                            .to_string());
      }
    }
    return found;
  }

 private:
  Ip client_;
  ZoneBuilder builder_;
  Responder responder_{Rng(1)};
  Bytes out_;
};

}  // namespace weft::dns
