// What another library reads in a DNS message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace weft::dns {

struct OracleMessage {
  struct Entry {
    std::string name;  // Folded, uncompressed octets.
    std::uint16_t type = 0;
    std::uint32_t ttl = 0;  // 0 for a question.

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::uint16_t id = 0;
  std::vector<Entry> questions;
  std::vector<Entry> records;  // Without OPT, which libraries keep apart.
};

// Nothing if it is not read, or nobody is there to read it.
std::optional<OracleMessage> read_with_oracle(ByteView message);

}  // namespace weft::dns
