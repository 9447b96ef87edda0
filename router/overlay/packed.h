// The bulk of what peers say to each other, in as few bytes as there is something to say: records,
// and versions of origins. In a large cluster nearly all that is sent is these, and every number in
// them is small; Protobuf frames (proto/mesh.proto) carry them as `bytes`.
//
//   version   u48 origin, varint incarnation, varint sequence
//   origin    u48 origin, varint incarnation, varint after, varint (through − after),
//             varint (2 · records + 1 if there is a floor), varint floor, records
//   record    u8 kind, varint size of the key, key, varint (sequence − the one before),
//             varint (0: withdrawn, else 1 + size of the value), value
//
// A varint is LEB128, at most ten octets. Decoding checks everything a value promises: names fit 48
// bits, versions ascend by name, sequences ascend within (after, through].
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/overlay/records.h"

namespace weft::router {

void put_varint(Writer& out, std::uint64_t value);
Result<std::uint64_t> take_varint(Reader& in);
void put_name(Writer& out, PeerName name);
Result<PeerName> take_name(Reader& in);  // Never zero.

Bytes pack(const Digest& versions);
Result<Digest> unpack_versions(ByteView bytes);

Bytes pack(const std::vector<OriginDelta>& origins);
Result<std::vector<OriginDelta>> unpack_origins(ByteView bytes);

}  // namespace weft::router
