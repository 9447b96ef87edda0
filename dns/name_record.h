// What a peer tells the others about the names it owns: a record (base/records.h) per owner, which
// is a container or one of the reserved identities, cut into parts where an owner has many. Pure.
//
//   key:    part (2 octets), form (1), owner: form 1 is a container's id of 64 hexadecimal digits
//           as 32 octets, form 0 is text
//   value:  version (1 octet, 1), run (8), then per entry: the name (size, 1 octet; wire form, not
//           compressed), the address (size, 1 octet, 4 or 16; octets), the port (2; 0: no service)
//
// Records outlive a restart of their origin for a while (router/records.h). Which run of the agent
// stated a record tells what the present one has not said. A record with an empty key is the first
// that a run states: version (1 octet, 1), run (8), and a count (8) that says when it is stated
// anew.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/records.h"
#include "base/result.h"
#include "dns/name.h"

namespace weft::dns {

// Keeps a record below 18 KiB, and 100,000 names of one host at 1,600 records.
inline constexpr std::size_t kPartEntriesMax = 64;
// A record's key has 64 octets.
inline constexpr std::size_t kOwnerMax = 60;
inline constexpr std::size_t kContainerIdSize = 64;

struct NameEntry {
  Name name;
  Ip address;
  std::uint16_t port = 0;  // Not 0: a service (SRV).

  friend auto operator<=>(const NameEntry&, const NameEntry&) = default;
  friend bool operator==(const NameEntry&, const NameEntry&) = default;
};

struct NameKey {
  std::uint16_t part = 0;
  std::string owner;

  friend auto operator<=>(const NameKey&, const NameKey&) = default;
  friend bool operator==(const NameKey&, const NameKey&) = default;
};

// What a record's value says.
struct NamesOfPart {
  std::uint64_t run = 0;
  std::vector<NameEntry> entries;

  friend bool operator==(const NamesOfPart&, const NamesOfPart&) = default;
};

// Text that is printable, has no blanks and is short enough.
Result<Ok> check_owner(const std::string& owner);

// Precondition: check_owner().
RecordKey encode_name_key(const NameKey& key);
Result<NameKey> decode_name_key(const RecordKey& key);

// Precondition: at most kPartEntriesMax.
Bytes encode_names(const NamesOfPart& part);
Result<NamesOfPart> decode_names(ByteView value);

struct RunOfNames {
  std::uint64_t run = 0;
  std::uint64_t count = 0;

  friend bool operator==(const RunOfNames&, const RunOfNames&) = default;
};
Bytes encode_run(const RunOfNames& run);
Result<RunOfNames> decode_run(ByteView value);

// The key of what a run states first.
inline const RecordKey kRunKey{.kind = RecordKind::Name, .key = {}};

}  // namespace weft::dns
