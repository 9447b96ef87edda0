// Whatever bytes arrive as a message, a hello, a Peer or a Links record: they are refused, or they
// are a value that survives being encoded and decoded again. A delta that decodes leaves any store
// valid.
//
// The first byte chooses the decoder.
#include <cstddef>
#include <cstdint>
#include <variant>

#include "base/assert.h"
#include "router/mesh_wire.h"
#include "router/overlay/links_record.h"
#include "router/overlay/records.h"

namespace weft::router {
namespace {

void try_message(ByteView bytes) {
  const auto message = decode_message(bytes);
  if (!message.ok() || std::holds_alternative<UnknownMessage>(message.value())) {
    return;
  }
  WEFT_ASSERT(decode_message(encode(message.value())).value() == message.value());
  if (const auto* delta = std::get_if<Delta>(&message.value())) {
    RecordStore store({.self = weft::PeerName(1),
                       .incarnation = weft::Incarnation(1),
                       .origins_max = 3,
                       .records_max = 4,
                       .origin_bytes_max = 256,
                       .tombstones_min = 2});
    (void)store.merge(*delta);
    store.check_invariants();
    WEFT_ASSERT(store.merge(*delta).changes.empty());
    store.check_invariants();
  }
}

void try_hello(ByteView bytes) {
  const auto hello = decode_hello(bytes);
  if (hello.ok()) {
    WEFT_ASSERT(decode_hello(encode(hello.value())).value() == hello.value());
  }
}

void try_peer_info(ByteView bytes) {
  const auto info = decode_peer_info(bytes);
  if (info.ok()) {
    WEFT_ASSERT(decode_peer_info(encode(info.value())).value() == info.value());
  }
}

void try_links(ByteView bytes) {
  const auto links = decode_links(bytes);
  if (links.ok()) {
    WEFT_ASSERT(decode_links(encode(links.value())).value() == links.value());
    WEFT_ASSERT(link_count(bytes) == links.value().links.size());
  }
}

}  // namespace

}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const weft::ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      weft::router::try_message(bytes);
      break;
    case 1:
      weft::router::try_hello(bytes);
      break;
    case 2:
      weft::router::try_peer_info(bytes);
      break;
    default:
      weft::router::try_links(bytes);
      break;
  }
  return 0;
}
