#include "router/overlay/links_record.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "router/overlay/packed.h"

namespace weft::router {
namespace {

constexpr std::uint8_t kLayout = 2;

Result<PeerName> take_name_after(Reader& in, PeerName before) {
  const PeerName name = WEFT_TRY(take_name(in));
  if (name <= before) {
    return Error{Errc::Invalid,
                 fmt::format("name {:#x} after {:#x}", name.number(), before.number())};
  }
  return name;
}

// Reads octets instead of values: these are most of what a path computation reads.
Result<Ok> take_links(Reader& in, std::size_t count, std::vector<LinksRecord::Link>& out) {
  constexpr std::size_t kNameSize = 6;
  const ByteView bytes = WEFT_TRY(in.take(count * (kNameSize + 1)));
  out.reserve(count);
  std::uint64_t last = 0;
  for (const std::uint8_t* at = bytes.data(); at != bytes.data() + bytes.size();) {
    std::uint64_t name = 0;
    for (std::size_t octet = 0; octet < kNameSize; ++octet) {
      name = (name << 8U) | *at++;
    }
    if (name <= last) {
      return Error{Errc::Invalid, fmt::format("name {:#x} after {:#x}", name, last)};
    }
    last = name;
    out.push_back({PeerName(name), *at++});
  }
  return Ok{};
}

Result<std::size_t> take_count(Reader& in) {
  const std::uint64_t count = WEFT_TRY(take_varint(in));
  if (count > kNeighboursMax) {
    return Error{Errc::Invalid, fmt::format("{} peers (at most {})", count, kNeighboursMax)};
  }
  return static_cast<std::size_t>(count);
}

Result<std::uint32_t> take_life(Reader& in) {
  const std::uint64_t life = WEFT_TRY(take_varint(in));
  if (life > UINT32_MAX) {
    return Error{Errc::Invalid, fmt::format("life {} (at most 32 bits)", life)};
  }
  return static_cast<std::uint32_t>(life);
}

}  // namespace

Bytes encode(const LinksRecord& record) {
  WEFT_ASSERT(record.links.size() <= kNeighboursMax);
  WEFT_ASSERT(record.accusations.size() <= kNeighboursMax);
  Writer out;
  out.u8(kLayout);
  put_varint(out, record.life);
  put_varint(out, record.links.size());
  for (const LinksRecord::Link& link : record.links) {
    put_name(out, link.to);
    out.u8(link.cost);
  }
  put_varint(out, record.accusations.size());
  for (const LinksRecord::Accusation& accusation : record.accusations) {
    put_name(out, accusation.peer);
    put_varint(out, accusation.life.incarnation);
    put_varint(out, accusation.life.count);
  }
  return out.take();
}

std::size_t link_count(ByteView bytes) {
  Reader in(bytes);
  if (in.u8().value_or(0) != kLayout || !take_life(in).ok()) {
    return 0;
  }
  return take_count(in).value_or(0);
}

Result<LinksRecord> decode_links(ByteView bytes) {
  LinksRecord record;
  WEFT_TRY(decode_links(bytes, record));
  return record;
}

Result<Ok> decode_links(ByteView bytes, LinksRecord& record) {
  Reader in(bytes);
  record.links.clear();
  record.accusations.clear();
  const std::uint8_t layout = WEFT_TRY(in.u8());
  if (layout != kLayout) {
    return Error{Errc::Invalid, fmt::format("links of layout {} (expected {})", layout, kLayout)};
  }
  record.life = WEFT_TRY(take_life(in));
  const std::size_t links = WEFT_TRY(take_count(in));
  WEFT_TRY(take_links(in, links, record.links));
  const std::size_t accusations = WEFT_TRY(take_count(in));
  PeerName last;
  for (std::size_t i = 0; i < accusations; ++i) {
    last = WEFT_TRY(take_name_after(in, last));
    const std::uint32_t incarnation = WEFT_TRY(take_life(in));
    const std::uint32_t count = WEFT_TRY(take_life(in));
    record.accusations.push_back({last, {incarnation, count}});
  }
  if (!in.empty()) {
    return Error{Errc::Invalid, fmt::format("{} bytes after the links", in.remaining())};
  }
  return Ok{};
}

}  // namespace weft::router
