#include <algorithm>

#include "tests/fuzz/dns/oracle.h"

// Behind everything of ours: it makes a macro of bool.
#include <ldns/ldns.h>

namespace weft::dns {
namespace {

OracleMessage::Entry entry_of(const ldns_rr* record, bool is_question) {
  const ldns_rdf* owner = ldns_rr_owner(record);
  std::string name(reinterpret_cast<const char*>(ldns_rdf_data(owner)), ldns_rdf_size(owner));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return {.name = std::move(name),
          .type = static_cast<std::uint16_t>(ldns_rr_get_type(record)),
          .ttl = is_question ? 0 : ldns_rr_ttl(record)};
}

void append(const ldns_rr_list* list, std::vector<OracleMessage::Entry>& out, bool is_question) {
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    out.push_back(entry_of(ldns_rr_list_rr(list, i), is_question));
  }
}

}  // namespace

std::optional<OracleMessage> read_with_oracle(ByteView message) {
  ldns_pkt* packet = nullptr;
  if (ldns_wire2pkt(&packet, message.data(), message.size()) != LDNS_STATUS_OK) {
    return std::nullopt;
  }
  OracleMessage out{.id = ldns_pkt_id(packet), .questions = {}, .records = {}};
  append(ldns_pkt_question(packet), out.questions, true);
  append(ldns_pkt_answer(packet), out.records, false);
  append(ldns_pkt_authority(packet), out.records, false);
  append(ldns_pkt_additional(packet), out.records, false);
  ldns_pkt_free(packet);
  return out;
}

}  // namespace weft::dns
