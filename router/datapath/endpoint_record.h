// What a peer tells the others about one of its containers' interfaces: a record (base/records.h)
// whose key is the MAC and whose value is the list of addresses behind it. Pure.
//
//   value: version (1 octet, 1), then per address its size (4 or 16) and its octets
#pragma once

#include <cstddef>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/records.h"
#include "base/result.h"

namespace weft::router {

// An interface has an address or two per family; the rest is for addresses added by hand.
inline constexpr std::size_t kEndpointAddressesMax = 16;

RecordKey endpoint_key(Mac mac);
// Fails unless the key names a station's MAC.
Result<Mac> decode_endpoint_key(const RecordKey& key);

// Addresses beyond kEndpointAddressesMax are not told: they are found by flooding.
Bytes encode_endpoint(const std::vector<Ip>& addresses);
Result<std::vector<Ip>> decode_endpoint(ByteView value);

}  // namespace weft::router
