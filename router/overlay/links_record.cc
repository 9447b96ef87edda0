#include "router/overlay/links_record.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::router {
namespace {

constexpr std::uint8_t kLayout = 1;

void put_name(Writer& out, PeerName name) {
  out.u16(static_cast<std::uint16_t>(name.number() >> 32U));
  out.u32(static_cast<std::uint32_t>(name.number()));
}

Result<PeerName> take_name(Reader& in, PeerName after) {
  const std::uint64_t high = WEFT_TRY(in.u16());
  const std::uint64_t low = WEFT_TRY(in.u32());
  const std::uint64_t number = (high << 32U) | low;
  if (number <= after.number()) {
    return Error{Errc::Invalid, fmt::format("name {:#x} after {:#x}", number, after.number())};
  }
  return PeerName(number);
}

Result<std::size_t> take_count(Reader& in) {
  const std::uint16_t count = WEFT_TRY(in.u16());
  if (count > kNeighboursMax) {
    return Error{Errc::Invalid, fmt::format("{} peers (at most {})", count, kNeighboursMax)};
  }
  return std::size_t{count};
}

}  // namespace

Bytes encode(const LinksRecord& record) {
  WEFT_ASSERT(record.links.size() <= kNeighboursMax);
  WEFT_ASSERT(record.accusations.size() <= kNeighboursMax);
  Writer out;
  out.u8(kLayout).u32(record.life);
  out.u16(static_cast<std::uint16_t>(record.links.size()));
  for (const LinksRecord::Link& link : record.links) {
    put_name(out, link.to);
    out.u8(link.cost);
  }
  out.u16(static_cast<std::uint16_t>(record.accusations.size()));
  for (const LinksRecord::Accusation& accusation : record.accusations) {
    put_name(out, accusation.peer);
    out.u32(accusation.life.incarnation).u32(accusation.life.count);
  }
  return out.take();
}

std::size_t link_count(ByteView bytes) {
  Reader in(bytes);
  if (in.u8().value_or(0) != kLayout || !in.u32().ok()) {
    return 0;
  }
  return in.u16().value_or(0);
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
  record.life = WEFT_TRY(in.u32());
  const std::size_t links = WEFT_TRY(take_count(in));
  record.links.reserve(links);
  PeerName last;
  for (std::size_t i = 0; i < links; ++i) {
    last = WEFT_TRY(take_name(in, last));
    const std::uint8_t cost = WEFT_TRY(in.u8());
    record.links.push_back({last, cost});
  }
  const std::size_t accusations = WEFT_TRY(take_count(in));
  last = PeerName();
  for (std::size_t i = 0; i < accusations; ++i) {
    last = WEFT_TRY(take_name(in, last));
    const std::uint32_t incarnation = WEFT_TRY(in.u32());
    const std::uint32_t count = WEFT_TRY(in.u32());
    record.accusations.push_back({last, {incarnation, count}});
  }
  if (!in.empty()) {
    return Error{Errc::Invalid, fmt::format("{} bytes after the links", in.remaining())};
  }
  return Ok{};
}

}  // namespace weft::router
