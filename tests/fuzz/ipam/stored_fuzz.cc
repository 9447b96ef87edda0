// Rows of a damaged store: they load to a valid allocator or are refused.
//
// Input: rows of u8 table, u8 length and key, u8 length and value.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "ipam/allocator.h"

namespace {

weft::Bytes take_short(weft::Reader& reader) {
  const std::size_t length = reader.u8().value_or(0);
  const auto taken = reader.take(std::min(length, reader.remaining()));
  return weft::to_bytes(taken.value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::Reader reader(weft::ByteView(data, size));
  weft::ipam::Allocator::Stored stored;
  while (!reader.empty()) {
    const auto table = reader.u8().value_or(0) % 4;
    weft::Bytes key = take_short(reader);
    weft::Bytes value = take_short(reader);
    auto& rows = table == 0   ? stored.ring
                 : table == 1 ? stored.owned
                 : table == 2 ? stored.paxos
                              : stored.council;
    rows[std::move(key)] = std::move(value);
  }
  const weft::Cidr range = weft::Cidr::parse("10.32.0.0/24").value();
  const auto created = weft::ipam::Allocator::create(
      {.self = weft::PeerName(1), .range = range, .default_subnet = range, .elector_count = 1},
      stored,
      weft::Rng(1));
  if (created.ok()) {
    created.value()->check_invariants();
  }
  return 0;
}
