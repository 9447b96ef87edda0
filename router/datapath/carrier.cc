#include "router/datapath/carrier.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/datapath/ethernet.h"

namespace weft::router {

void write_name(PeerName name, Writer& out) {
  out.append(name.as_mac().octets());
}

Result<PeerName> read_name(Reader& reader) {
  const std::uint64_t high = WEFT_TRY(reader.u16());
  const std::uint64_t low = WEFT_TRY(reader.u32());
  return PeerName(high << 32U | low);
}

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kRelaysInKernel = 1;
constexpr std::uint8_t kChecksumRight = 1;

enum class Kind : std::uint8_t { Probe = 1, Answer = 2, Relay = 3, ChecksumHeard = 4 };

void write_path(const Path& path, Writer& out) {
  out.u8(static_cast<std::uint8_t>(path.way)).u8(0);
  write_name(path.via, out);
}

Result<Path> read_path(Reader& reader) {
  const std::uint8_t way = WEFT_TRY(reader.u8());
  WEFT_TRY(reader.u8());
  const PeerName via = WEFT_TRY(read_name(reader));
  if (way > static_cast<std::uint8_t>(Way::Esp)) {
    return Error{Errc::Invalid, fmt::format("way {} of a probe", way)};
  }
  const auto known = static_cast<Way>(way);
  if ((known == Way::Relay) != (via != PeerName())) {
    return Error{Errc::Invalid, "a relay without a name, or a name without a relay"};
  }
  return Path{known, via};
}

void write(const Probe& probe, Writer& out) {
  out.u8(kVersion).u8(static_cast<std::uint8_t>(Kind::Probe)).u8(0).u8(0);
  write_name(probe.origin, out);
  write_path(probe.path, out);
  out.u64(probe.id);
}

void write(const Answer& answer, Writer& out) {
  out.u8(kVersion).u8(static_cast<std::uint8_t>(Kind::Answer));
  out.u8(answer.relays_in_kernel ? kRelaysInKernel : 0).u8(0);
  write_name(answer.origin, out);
  write_path(answer.path, out);
  out.u64(answer.id);
}

void write(const Relay& relay, Writer& out) {
  WEFT_ASSERT(relay.targets.size() <= Relay::kTargetsMax);
  out.u8(kVersion).u8(static_cast<std::uint8_t>(Kind::Relay)).u8(0).u8(relay.hops);
  out.u16(static_cast<std::uint16_t>(relay.targets.size()));
  for (const PeerName target : relay.targets) {
    write_name(target, out);
  }
  out.append(relay.frame);
}

void write(const ChecksumHeard& heard, Writer& out) {
  out.u8(kVersion).u8(static_cast<std::uint8_t>(Kind::ChecksumHeard));
  out.u8(heard.is_right ? kChecksumRight : 0).u8(0);
  write_name(heard.origin, out);
  out.u64(heard.id);
}

Result<Carrier> read_relay(std::uint8_t hops, Reader& reader) {
  const std::uint16_t count = WEFT_TRY(reader.u16());
  if (count > Relay::kTargetsMax || hops > Relay::kHopsMax) {
    return Error{Errc::Invalid, fmt::format("relay to {} peers over {} hops", count, hops)};
  }
  ByteView names = WEFT_TRY(reader.take(std::size_t{6} * count));
  Relay relay{.hops = hops, .targets = {}, .frame = to_bytes(reader.rest())};
  Reader each(names);
  relay.targets.reserve(count);
  while (!each.empty()) {
    relay.targets.push_back(WEFT_TRY(read_name(each)));
  }
  // It will be written to a bridge, which is not to be troubled with less than a header.
  WEFT_TRY(decode_ethernet(relay.frame));
  return Carrier(std::move(relay));
}

}  // namespace

Mac bridge_mac(PeerName peer) {
  Mac::Octets octets = peer.as_mac().octets();
  octets[0] = static_cast<std::uint8_t>((octets[0] & 0xfeU) | 0x02U);
  return Mac(octets);
}

Bytes encode_carrier(PeerName from, PeerName to, const Carrier& carrier, std::size_t size_min) {
  Writer out;
  write_ethernet(
      {.destination = bridge_mac(to), .source = bridge_mac(from), .type = kEtherTypeCarrier}, out);
  std::visit([&out](const auto& what) { write(what, out); }, carrier);
  Bytes frame = out.take();
  frame.resize(std::max(frame.size(), size_min));
  return frame;
}

Result<Carrier> decode_carrier(ByteView frame) {
  const EthernetFrame ethernet = WEFT_TRY(decode_ethernet(frame));
  if (ethernet.header.type != kEtherTypeCarrier) {
    return Error{Errc::Invalid, fmt::format("ethertype {:04x}", ethernet.header.type)};
  }
  Reader reader(ethernet.payload);
  const std::uint8_t version = WEFT_TRY(reader.u8());
  const std::uint8_t kind = WEFT_TRY(reader.u8());
  const std::uint8_t flags = WEFT_TRY(reader.u8());
  const std::uint8_t hops = WEFT_TRY(reader.u8());
  if (version != kVersion) {
    return Error{Errc::Invalid, fmt::format("carrier version {} (expected {})", version, kVersion)};
  }
  if (kind == static_cast<std::uint8_t>(Kind::Relay)) {
    return read_relay(hops, reader);
  }
  // Padding behind these is legal: Ethernet pads, and probes of a path's MTU do.
  const PeerName origin = WEFT_TRY(read_name(reader));
  if (kind == static_cast<std::uint8_t>(Kind::ChecksumHeard)) {
    const std::uint64_t probe = WEFT_TRY(reader.u64());
    return Carrier(
        ChecksumHeard{.origin = origin, .id = probe, .is_right = (flags & kChecksumRight) != 0});
  }
  const Path path = WEFT_TRY(read_path(reader));
  const std::uint64_t id = WEFT_TRY(reader.u64());
  if (kind == static_cast<std::uint8_t>(Kind::Probe)) {
    return Carrier(Probe{.origin = origin, .path = path, .id = id});
  }
  if (kind == static_cast<std::uint8_t>(Kind::Answer)) {
    return Carrier(Answer{.origin = origin,
                          .path = path,
                          .id = id,
                          .relays_in_kernel = (flags & kRelaysInKernel) != 0});
  }
  return Error{Errc::Invalid, fmt::format("carrier of kind {}", kind)};
}

}  // namespace weft::router
