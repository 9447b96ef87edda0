// Any record from any peer leaves the names valid; what decodes encodes to the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "dns/name_record.h"
#include "dns/names.h"

namespace weft::dns {
namespace {

void run(ByteView input) {
  constexpr std::size_t kKeySizeMax = 64;
  const std::size_t key_size =
      input.empty() ? 0 : std::min<std::size_t>(input[0] % kKeySizeMax, input.size() - 1);
  const ByteView rest = input.subspan(std::min<std::size_t>(1, input.size()));
  const RecordKey key{.kind = RecordKind::Name, .key = to_bytes(rest.first(key_size))};
  const Bytes value = to_bytes(rest.subspan(key_size));

  if (const auto decoded = decode_name_key(key); decoded.ok()) {
    WEFT_ASSERT(encode_name_key(decoded.value()) == key);
  }
  if (const auto decoded = decode_names(value); decoded.ok()) {
    WEFT_ASSERT(encode_names(decoded.value()) == value);
  }
  if (const auto decoded = decode_run(value); decoded.ok()) {
    WEFT_ASSERT(encode_run(decoded.value()) == value);
  }
  Names names({.self = PeerName(1),
               .zone = {.domain = Name::parse("weft.local").value()},
               .entries_max = 3});
  names.on_peer_reachable({}, PeerName(2));
  for (const PeerName origin : {PeerName(2), PeerName(3), PeerName(1)}) {
    names.on_record({.origin = origin, .key = key, .value = value});
    names.check_invariants();
  }
  NamesActions out;
  names.on_deadline(TimePoint() + std::chrono::seconds(3), out);
  names.check_invariants();
  (void)names.zone();
  names.on_peer_unreachable(PeerName(2));
  names.on_peer_reachable({}, PeerName(3));
  names.check_invariants();
  (void)names.zone();
  names.on_record({.origin = PeerName(2), .key = key, .value = {}});
  names.on_record({.origin = PeerName(3), .key = key, .value = {}});
  names.check_invariants();
}

}  // namespace
}  // namespace weft::dns

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::dns::run({data, size});
  return 0;
}
