#include "dns/name_record.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "dns/message.h"

namespace weft::dns {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kTextForm = 0;
constexpr std::uint8_t kIdForm = 1;

bool is_container_id(const std::string& owner) {
  return owner.size() == kContainerIdSize && std::all_of(owner.begin(), owner.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Result<Ok> check_owner(const std::string& owner) {
  const bool is_printable =
      std::all_of(owner.begin(), owner.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!is_container_id(owner) && (owner.empty() || owner.size() > kOwnerMax || !is_printable)) {
    return Error{Errc::Invalid,
                 fmt::format("owner of {} characters (expected a container's id, or 1 to {} "
                             "printable characters)",
                             owner.size(),
                             kOwnerMax)};
  }
  return Ok{};
}

RecordKey encode_name_key(const NameKey& key) {
  Writer writer;
  writer.u16(key.part);
  if (is_container_id(key.owner)) {
    writer.u8(kIdForm).append(from_hex(key.owner).value());
  } else {
    WEFT_ASSERT(key.owner.size() <= kOwnerMax);
    writer.u8(kTextForm).append(as_bytes(key.owner));
  }
  return {.kind = RecordKind::Name, .key = writer.take()};
}

Result<NameKey> decode_name_key(const RecordKey& key) {
  Reader reader(key.key);
  NameKey out;
  out.part = WEFT_TRY(reader.u16());
  const auto form = WEFT_TRY(reader.u8());
  if (form == kIdForm) {
    const ByteView id = WEFT_TRY(reader.take(kContainerIdSize / 2));
    out.owner = to_hex(id);
    if (!reader.empty()) {
      return Error{Errc::Invalid, fmt::format("{} octets after the id", reader.remaining())};
    }
    return out;
  }
  if (form != kTextForm) {
    return Error{Errc::Invalid, fmt::format("owner of form {} (expected 0 or 1)", form)};
  }
  out.owner = as_text(reader.rest());
  WEFT_TRY(check_owner(out.owner));
  if (is_container_id(out.owner)) {
    return Error{Errc::Invalid, "container's id as text"};
  }
  return out;
}

Bytes encode_run(const RunOfNames& run) {
  Writer writer;
  writer.u8(kVersion).u64(run.run).u64(run.count);
  return writer.take();
}

Result<RunOfNames> decode_run(ByteView value) {
  Reader reader(value);
  const auto version = WEFT_TRY(reader.u8());
  RunOfNames run;
  run.run = WEFT_TRY(reader.u64());
  run.count = WEFT_TRY(reader.u64());
  if (version != kVersion || !reader.empty()) {
    return Error{Errc::Invalid, fmt::format("run of version {} (expected {})", version, kVersion)};
  }
  return run;
}

Bytes encode_names(const NamesOfPart& part) {
  WEFT_ASSERT(part.entries.size() <= kPartEntriesMax);
  Writer writer;
  writer.u8(kVersion).u64(part.run);
  for (const NameEntry& entry : part.entries) {
    const Bytes address = entry.address.bytes();
    writer.u8(static_cast<std::uint8_t>(entry.name.wire().size()))
        .append(as_bytes(entry.name.wire()))
        .u8(static_cast<std::uint8_t>(address.size()))
        .append(address)
        .u16(entry.port);
  }
  return writer.take();
}

Result<NamesOfPart> decode_names(ByteView value) {
  Reader reader(value);
  const auto version = WEFT_TRY(reader.u8());
  if (version != kVersion) {
    return Error{Errc::Invalid,
                 fmt::format("names of version {} (expected {})", version, kVersion)};
  }
  NamesOfPart part;
  part.run = WEFT_TRY(reader.u64());
  while (!reader.empty()) {
    if (part.entries.size() == kPartEntriesMax) {
      return Error{Errc::Invalid, fmt::format("more than {} names", kPartEntriesMax)};
    }
    NameEntry entry;
    const auto name_size = WEFT_TRY(reader.u8());
    const ByteView wire = WEFT_TRY(reader.take(name_size));
    std::size_t name_end = 0;
    entry.name = WEFT_TRY(read_name(wire, name_end));
    if (name_end != wire.size()) {
      return Error{Errc::Invalid, fmt::format("{} octets after a name", wire.size() - name_end)};
    }
    const auto address_size = WEFT_TRY(reader.u8());
    const ByteView address = WEFT_TRY(reader.take(address_size));
    entry.address = WEFT_TRY(Ip::from_bytes(address));
    entry.port = WEFT_TRY(reader.u16());
    part.entries.push_back(std::move(entry));
  }
  return part;
}

}  // namespace weft::dns
