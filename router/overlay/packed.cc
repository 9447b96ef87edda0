#include "router/overlay/packed.h"

#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::router {
namespace {

// A digest names every origin of the largest cluster twice over; beyond, it is not one.
constexpr std::size_t kVersionsMax = 8192;
constexpr unsigned kVarintBits = 7;
constexpr std::uint8_t kVarintMore = 1U << kVarintBits;

Error invalid(std::string what) {
  return Error{Errc::Invalid, std::move(what)};
}

void put_record(Writer& out, const OriginDelta::Record& record, std::uint64_t before) {
  WEFT_ASSERT(record.sequence > before);
  out.u8(static_cast<std::uint8_t>(record.key.kind));
  put_varint(out, record.key.key.size());
  out.append(record.key.key);
  put_varint(out, record.sequence - before);
  put_varint(out, record.value ? record.value->size() + 1 : 0);
  if (record.value) {
    out.append(*record.value);
  }
}

Result<Bytes> take_sized(Reader& in, std::uint64_t size) {
  if (size > in.remaining()) {
    return invalid(fmt::format("{} bytes announced, {} there", size, in.remaining()));
  }
  const ByteView bytes = WEFT_TRY(in.take(static_cast<std::size_t>(size)));
  return to_bytes(bytes);
}

Result<OriginDelta::Record> take_record(Reader& in, std::uint64_t before, std::uint64_t through) {
  OriginDelta::Record record;
  // A kind of a later version is stored and passed on all the same.
  const std::uint8_t kind = WEFT_TRY(in.u8());
  if (kind == 0) {
    return invalid("record kind 0");
  }
  record.key.kind = static_cast<RecordKind>(kind);
  const std::uint64_t key_size = WEFT_TRY(take_varint(in));
  record.key.key = WEFT_TRY(take_sized(in, key_size));
  const std::uint64_t step = WEFT_TRY(take_varint(in));
  if (step == 0 || step > through - before) {
    return invalid(
        fmt::format("record sequence {} + {} in ({}, {}]", before, step, before, through));
  }
  record.sequence = before + step;
  if (const std::uint64_t size = WEFT_TRY(take_varint(in)); size > 0) {
    record.value = WEFT_TRY(take_sized(in, size - 1));
  }
  return record;
}

Result<OriginDelta> take_origin(Reader& in) {
  OriginDelta part;
  part.origin = WEFT_TRY(take_name(in));
  const std::uint64_t incarnation = WEFT_TRY(take_varint(in));
  part.incarnation = Incarnation(incarnation);
  part.after = WEFT_TRY(take_varint(in));
  const std::uint64_t length = WEFT_TRY(take_varint(in));
  part.through = part.after + length;
  if (part.after >= part.through) {
    return invalid(fmt::format("delta after {} through {}", part.after, part.through));
  }
  const std::uint64_t shape = WEFT_TRY(take_varint(in));
  if ((shape & 1U) != 0) {
    part.floor = WEFT_TRY(take_varint(in));
    if (*part.floor > part.through) {
      return invalid(fmt::format("floor {} above {}", *part.floor, part.through));
    }
  }
  // Nothing is reserved: the count is only as good as what follows it.
  std::uint64_t last = part.after;
  for (std::uint64_t left = shape >> 1U; left > 0; --left) {
    part.records.push_back(WEFT_TRY(take_record(in, last, part.through)));
    last = part.records.back().sequence;
  }
  return part;
}

}  // namespace

void put_varint(Writer& out, std::uint64_t value) {
  while (value >= kVarintMore) {
    out.u8(static_cast<std::uint8_t>(value) | kVarintMore);
    value >>= kVarintBits;
  }
  out.u8(static_cast<std::uint8_t>(value));
}

Result<std::uint64_t> take_varint(Reader& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += kVarintBits) {
    const std::uint8_t octet = WEFT_TRY(in.u8());
    const std::uint64_t bits = octet & (kVarintMore - 1U);
    if (((bits << shift) >> shift) != bits) {
      break;
    }
    value |= bits << shift;
    if ((octet & kVarintMore) == 0) {
      return value;
    }
  }
  return invalid("a number beyond 64 bits");
}

void put_name(Writer& out, PeerName name) {
  out.u16(static_cast<std::uint16_t>(name.number() >> 32U));
  out.u32(static_cast<std::uint32_t>(name.number()));
}

Result<PeerName> take_name(Reader& in) {
  const std::uint64_t high = WEFT_TRY(in.u16());
  const std::uint64_t low = WEFT_TRY(in.u32());
  if ((high | low) == 0) {
    return invalid("peer name 0 (expected 48 bits, not zero)");
  }
  return PeerName((high << 32U) | low);
}

Bytes pack(const Digest& versions) {
  Writer out;
  for (const auto& [origin, version] : versions) {
    put_name(out, origin);
    put_varint(out, version.incarnation.value());
    put_varint(out, version.sequence);
  }
  return out.take();
}

Result<Digest> unpack_versions(ByteView bytes) {
  Reader in(bytes);
  Digest versions;
  while (!in.empty()) {
    const PeerName origin = WEFT_TRY(take_name(in));
    const std::uint64_t incarnation = WEFT_TRY(take_varint(in));
    const std::uint64_t sequence = WEFT_TRY(take_varint(in));
    if (!versions.empty() && origin <= versions.rbegin()->first) {
      return invalid(fmt::format("version of {:#x} out of order", origin.number()));
    }
    if (versions.size() >= kVersionsMax) {
      return invalid(fmt::format("versions of more than {} origins", kVersionsMax));
    }
    versions.emplace_hint(
        versions.end(), origin, OriginVersion{Incarnation(incarnation), sequence});
  }
  return versions;
}

Bytes pack(const std::vector<OriginDelta>& origins) {
  Writer out;
  for (const OriginDelta& part : origins) {
    put_name(out, part.origin);
    put_varint(out, part.incarnation.value());
    put_varint(out, part.after);
    put_varint(out, part.through - part.after);
    put_varint(out, 2 * std::uint64_t{part.records.size()} + (part.floor ? 1U : 0U));
    if (part.floor) {
      put_varint(out, *part.floor);
    }
    std::uint64_t before = part.after;
    for (const OriginDelta::Record& record : part.records) {
      put_record(out, record, before);
      before = record.sequence;
    }
  }
  return out.take();
}

Result<std::vector<OriginDelta>> unpack_origins(ByteView bytes) {
  Reader in(bytes);
  std::vector<OriginDelta> origins;
  while (!in.empty()) {
    origins.push_back(WEFT_TRY(take_origin(in)));
  }
  return origins;
}

}  // namespace weft::router
