#include "router/datapath/endpoint_record.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::router {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

RecordKey endpoint_key(Mac mac) {
  return RecordKey{.kind = RecordKind::Endpoint, .key = to_bytes(ByteView(mac.octets()))};
}

Result<Mac> decode_endpoint_key(const RecordKey& key) {
  const Mac mac = WEFT_TRY(Mac::from_bytes(key.key));
  if (mac.is_group() || mac == Mac()) {
    return Error{Errc::Invalid, fmt::format("endpoint {} (expected a station)", mac.to_string())};
  }
  return mac;
}

Bytes encode_endpoint(const std::vector<Ip>& addresses) {
  Writer writer;
  writer.u8(kVersion);
  const std::size_t count = std::min(addresses.size(), kEndpointAddressesMax);
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes octets = addresses[i].bytes();
    writer.u8(static_cast<std::uint8_t>(octets.size())).append(octets);
  }
  return writer.take();
}

Result<std::vector<Ip>> decode_endpoint(ByteView value) {
  Reader reader(value);
  const auto version = WEFT_TRY(reader.u8());
  if (version != kVersion) {
    return Error{Errc::Invalid,
                 fmt::format("endpoint version {} (expected {})", version, kVersion)};
  }
  std::vector<Ip> addresses;
  while (!reader.empty()) {
    if (addresses.size() == kEndpointAddressesMax) {
      return Error{Errc::Invalid, fmt::format("more than {} addresses", kEndpointAddressesMax)};
    }
    const auto size = WEFT_TRY(reader.u8());
    const ByteView octets = WEFT_TRY(reader.take(size));
    const Ip address = WEFT_TRY(Ip::from_bytes(octets));
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace weft::router
