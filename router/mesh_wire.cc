#include "router/mesh_wire.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "proto/mesh.pb.h"
#include "router/channel.h"
#include "router/overlay/packed.h"

namespace weft::router {
namespace {

constexpr std::uint64_t kNameLast = (std::uint64_t{1} << 48U) - 1;

Error invalid(std::string what) {
  return Error{Errc::Invalid, std::move(what)};
}

template <class Proto>
Bytes serialise(const Proto& proto) {
  Bytes bytes(proto.ByteSizeLong());
  const bool fits = proto.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  WEFT_ASSERT(fits);
  return bytes;
}

template <class Proto>
Result<Proto> parse(ByteView bytes, const char* what) {
  Proto proto;
  if (bytes.size() > kFrameMax
      || !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid(fmt::format("{} of {} bytes does not parse", what, bytes.size()));
  }
  return proto;
}

std::string text(const Bytes& bytes) {
  return std::string(as_text(bytes));
}

Result<PeerName> to_name(std::uint64_t number) {
  if (number == 0 || number > kNameLast) {
    return invalid(fmt::format("peer name {:#x} (expected 48 bits, not zero)", number));
  }
  return PeerName(number);
}

// Well-formed by RFC 3629, apart from the surrogates, which do no harm.
bool is_utf8(std::string_view text) {
  std::size_t continuation = 0;
  std::uint32_t code = 0;
  std::uint32_t lowest = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (continuation > 0) {
      if ((byte & 0xc0U) != 0x80U) {
        return false;
      }
      code = (code << 6U) | (byte & 0x3fU);
      continuation -= 1;
      if (continuation == 0 && (code < lowest || code > 0x10ffff)) {
        return false;
      }
    } else if (byte >= 0x80) {
      continuation = (byte & 0xe0U) == 0xc0U ? 1 : (byte & 0xf0U) == 0xe0U ? 2 : 3;
      if (byte < 0xc0 || byte >= 0xf8) {
        return false;
      }
      lowest = continuation == 1 ? 0x80 : continuation == 2 ? 0x800 : 0x10000;
      code = byte & (0x3fU >> continuation);
    }
  }
  return continuation == 0;
}

Result<std::string> to_text(const std::string& value, std::size_t max, const char* what) {
  if (value.size() > max) {
    return invalid(fmt::format("{} of {} bytes (at most {})", what, value.size(), max));
  }
  // It ends up in logs, on terminals and in JSON.
  std::string printable = value;
  const bool valid = is_utf8(value);
  for (char& c : printable) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid)) {
      c = '?';
    }
  }
  return printable;
}

Result<std::uint16_t> to_port(std::uint32_t port) {
  if (port > 0xffff) {
    return invalid(fmt::format("port {} (at most 65535)", port));
  }
  return static_cast<std::uint16_t>(port);
}

Result<Topic> to_topic(std::uint32_t topic) {
  switch (topic) {
    case static_cast<std::uint32_t>(Topic::Ring):
      return Topic::Ring;
    case static_cast<std::uint32_t>(Topic::Ipam):
      return Topic::Ipam;
    case static_cast<std::uint32_t>(Topic::Probe):
      return Topic::Probe;
    case static_cast<std::uint32_t>(Topic::Ring6):
      return Topic::Ring6;
    case static_cast<std::uint32_t>(Topic::Ipam6):
      return Topic::Ipam6;
    default:
      return invalid(fmt::format("topic {} is unknown", topic));
  }
}

// Encoding ---------------------------------------------------------------------------------------

void fill(wire::Payload& out, const Payload& payload) {
  out.set_topic(static_cast<std::uint32_t>(payload.topic));
  out.set_payload(text(payload.payload));
}

void fill(wire::Delta& out, const Delta& delta) {
  out.set_solicited(delta.solicited);
  out.set_origins(text(pack(delta.origins)));
}

void fill(wire::Want& out, const Want& want) {
  out.set_versions(text(pack(want.entries)));
  out.set_graft(want.graft);
}

void fill(wire::Ranges& out, const Ranges& ranges) {
  for (const RangePart& part : ranges.parts) {
    wire::Ranges::Part& to = *out.add_parts();
    to.set_first(part.first.number());
    to.set_last(part.last.number());
    if (part.fingerprint) {
      to.set_fingerprint(*part.fingerprint);
    }
    to.set_versions(text(pack(part.items)));
  }
}

void fill(wire::Heartbeat& out, const Heartbeat& heartbeat) {
  out.set_sequence(heartbeat.beat.sequence);
  out.set_echo(heartbeat.beat.echo);
  out.set_echo_age_usec(heartbeat.beat.echo_age_usec);
  out.set_hash(heartbeat.hash);
  out.set_received(heartbeat.received);
  out.set_suspected(heartbeat.suspected);
  out.set_anew(heartbeat.anew);
}

void fill(wire::Challenge& out, Incarnation incarnation, std::uint64_t nonce) {
  out.set_incarnation(incarnation.value());
  out.set_nonce(nonce);
}

void fill(wire::Routed& out, const Routed& routed) {
  out.set_from(routed.from.number());
  out.set_to(routed.to.number());
  out.set_hops_left(routed.hops_left);
  std::visit(
      overloaded{
          [&out](const Payload& m) { fill(*out.mutable_payload(), m); },
          [&out](const Challenge& m) { fill(*out.mutable_challenge(), m.incarnation, m.nonce); },
          [&out](const ChallengeAnswer& m) { fill(*out.mutable_answer(), m.incarnation, m.nonce); },
      },
      routed.body);
}

void fill(wire::Verdict& out, const Verdict& verdict) {
  out.set_code(static_cast<wire::Verdict::Code>(verdict.code));
  out.set_reason(verdict.reason.substr(0, kReasonMax));
  for (const Endpoint& referral : verdict.referrals) {
    wire::Verdict::Referral& to = *out.add_referrals();
    to.set_address(text(referral.address.bytes()));
    to.set_port(referral.port);
  }
  out.set_outrun(verdict.outrun.value());
}

// Decoding ---------------------------------------------------------------------------------------

Result<Verdict> from_wire(const wire::Verdict& in) {
  Verdict verdict;
  // Whatever a later version refuses for, it is a refusal.
  verdict.code = wire::Verdict::Code_IsValid(in.code()) ? static_cast<Verdict::Code>(in.code())
                                                        : Verdict::Code::Malformed;
  verdict.reason = WEFT_TRY(to_text(in.reason(), kReasonMax, "reason"));
  if (static_cast<std::size_t>(in.referrals_size()) > kReferralsMax) {
    return invalid(fmt::format("{} referrals", in.referrals_size()));
  }
  for (const wire::Verdict::Referral& referral : in.referrals()) {
    const Ip address = WEFT_TRY(Ip::from_bytes(as_bytes(referral.address())));
    verdict.referrals.push_back({address, WEFT_TRY(to_port(referral.port()))});
  }
  verdict.outrun = Incarnation(in.outrun());
  return verdict;
}

Result<Want> from_wire(const wire::Want& in) {
  Digest entries = WEFT_TRY(unpack_versions(as_bytes(in.versions())));
  return Want{std::move(entries), in.graft()};
}

Result<Announce> from_wire(const wire::Announce& in) {
  Digest entries = WEFT_TRY(unpack_versions(as_bytes(in.versions())));
  return Announce{std::move(entries)};
}

Result<Ranges> from_wire(const wire::Ranges& in) {
  if (static_cast<std::size_t>(in.parts_size()) > kRangesMax) {
    return invalid(fmt::format("{} ranges", in.parts_size()));
  }
  Ranges ranges;
  for (const wire::Ranges::Part& from : in.parts()) {
    RangePart part;
    part.first = WEFT_TRY(to_name(from.first()));
    part.last = WEFT_TRY(to_name(from.last()));
    if (part.last < part.first) {
      return invalid(fmt::format("range {:#x} to {:#x}", from.first(), from.last()));
    }
    if (from.has_fingerprint()) {
      part.fingerprint = from.fingerprint();
    }
    part.items = WEFT_TRY(unpack_versions(as_bytes(from.versions())));
    ranges.parts.push_back(std::move(part));
  }
  return ranges;
}

Heartbeat to_heartbeat(const wire::Heartbeat& in) {
  return {.beat = {in.sequence(), in.echo(), in.echo_age_usec()},
          .hash = in.hash(),
          .received = in.received(),
          .suspected = in.suspected(),
          .anew = in.anew()};
}

Result<Delta> from_wire(const wire::Delta& in) {
  Delta delta{.origins = {}, .solicited = in.solicited()};
  delta.origins = WEFT_TRY(unpack_origins(as_bytes(in.origins())));
  return delta;
}

Result<Payload> from_wire(const wire::Payload& in) {
  Payload payload;
  payload.topic = WEFT_TRY(to_topic(in.topic()));
  if (in.payload().size() > kGossipPayloadMax) {
    return invalid(fmt::format("payload of {} bytes", in.payload().size()));
  }
  payload.payload = to_bytes(in.payload());
  return payload;
}

Result<Message> from_wire(const wire::Routed& in) {
  Routed routed;
  routed.from = WEFT_TRY(to_name(in.from()));
  routed.to = WEFT_TRY(to_name(in.to()));
  if (in.hops_left() > kHopsMax) {
    return invalid(fmt::format("{} hops left (at most {})", in.hops_left(), kHopsMax));
  }
  routed.hops_left = static_cast<std::uint8_t>(in.hops_left());
  switch (in.kind_case()) {
    case wire::Routed::kPayload:
      routed.body = WEFT_TRY(from_wire(in.payload()));
      return Message(std::move(routed));
    case wire::Routed::kChallenge:
      routed.body = Challenge{Incarnation(in.challenge().incarnation()), in.challenge().nonce()};
      return Message(std::move(routed));
    case wire::Routed::kAnswer:
      routed.body = ChallengeAnswer{Incarnation(in.answer().incarnation()), in.answer().nonce()};
      return Message(std::move(routed));
    case wire::Routed::KIND_NOT_SET:
      return Message(UnknownMessage{});
  }
  return Message(UnknownMessage{});
}

template <class In>
Result<Message> as_message(const In& in) {
  auto value = WEFT_TRY(from_wire(in));
  return Message(std::move(value));
}

}  // namespace

Bytes encode(const Hello& hello) {
  wire::Hello out;
  out.set_name(hello.name.number());
  out.set_incarnation(hello.incarnation.value());
  out.set_session(hello.session);
  out.set_nickname(hello.nickname.substr(0, kNicknameMax));
  out.set_version(hello.version.substr(0, kVersionTextMax));
  out.set_port(hello.port);
  out.set_dial_serial(hello.dial_serial);
  if (hello.observed) {
    out.set_observed(text(hello.observed->bytes()));
  }
  out.set_alone(hello.alone);
  out.set_fixed(hello.fixed);
  out.set_fresh(hello.fresh);
  out.set_inflates(hello.inflates);
  return serialise(out);
}

Result<Hello> decode_hello(ByteView bytes) {
  const auto in = WEFT_TRY(parse<wire::Hello>(bytes, "hello"));
  Hello hello;
  hello.name = WEFT_TRY(to_name(in.name()));
  hello.incarnation = Incarnation(in.incarnation());
  hello.session = in.session();
  hello.nickname = WEFT_TRY(to_text(in.nickname(), kNicknameMax, "nickname"));
  hello.version = WEFT_TRY(to_text(in.version(), kVersionTextMax, "version"));
  hello.port = WEFT_TRY(to_port(in.port()));
  hello.dial_serial = in.dial_serial();
  if (!in.observed().empty()) {
    hello.observed = WEFT_TRY(Ip::from_bytes(as_bytes(in.observed())));
  }
  hello.alone = in.alone();
  hello.fixed = in.fixed();
  hello.fresh = in.fresh();
  hello.inflates = in.inflates();
  return hello;
}

const char* to_string(FrameKind kind) {
  switch (kind) {
    case FrameKind::Verdict:
      return "verdict";
    case FrameKind::Heartbeat:
      return "heartbeat";
    case FrameKind::Want:
      return "want";
    case FrameKind::Ranges:
      return "ranges";
    case FrameKind::Delta:
      return "delta";
    case FrameKind::Payload:
      return "payload";
    case FrameKind::Routed:
      return "routed";
    case FrameKind::Announce:
      return "announce";
    case FrameKind::Prune:
      return "prune";
    case FrameKind::Goodbye:
      return "goodbye";
  }
  return "unknown";
}

FrameKind kind_of(const Message& message) {
  return std::visit(overloaded{
                        [](const Verdict&) { return FrameKind::Verdict; },
                        [](const Heartbeat&) { return FrameKind::Heartbeat; },
                        [](const Want&) { return FrameKind::Want; },
                        [](const Ranges&) { return FrameKind::Ranges; },
                        [](const Delta&) { return FrameKind::Delta; },
                        [](const Payload&) { return FrameKind::Payload; },
                        [](const Routed&) { return FrameKind::Routed; },
                        [](const Announce&) { return FrameKind::Announce; },
                        [](const Prune&) { return FrameKind::Prune; },
                        [](const Goodbye&) { return FrameKind::Goodbye; },
                        [](const UnknownMessage&) -> FrameKind {
                          WEFT_ASSERT(false);  // Never sent.
                          return {};
                        },
                    },
                    message);
}

Bytes encode(const Message& message) {
  wire::Frame out;
  std::visit(overloaded{
                 [&out](const Verdict& m) { fill(*out.mutable_verdict(), m); },
                 [&out](const Heartbeat& m) { fill(*out.mutable_heartbeat(), m); },
                 [&out](const Want& m) { fill(*out.mutable_want(), m); },
                 [&out](const Ranges& m) { fill(*out.mutable_ranges(), m); },
                 [&out](const Delta& m) { fill(*out.mutable_delta(), m); },
                 [&out](const Payload& m) { fill(*out.mutable_payload(), m); },
                 [&out](const Routed& m) { fill(*out.mutable_routed(), m); },
                 [&out](const Announce& m) {
                   out.mutable_announce()->set_versions(text(pack(m.entries)));
                 },
                 [&out](const Prune&) { (void)out.mutable_prune(); },
                 [&out](const Goodbye&) { (void)out.mutable_goodbye(); },
                 [](const UnknownMessage&) { WEFT_ASSERT(false); },
             },
             message);
  return serialise(out);
}

Result<Message> decode_message(ByteView bytes) {
  const auto in = WEFT_TRY(parse<wire::Frame>(bytes, "frame"));
  switch (in.kind_case()) {
    case wire::Frame::kVerdict:
      return as_message(in.verdict());
    case wire::Frame::kHeartbeat:
      return Message(to_heartbeat(in.heartbeat()));
    case wire::Frame::kWant:
      return as_message(in.want());
    case wire::Frame::kRanges:
      return as_message(in.ranges());
    case wire::Frame::kAnnounce:
      return as_message(in.announce());
    case wire::Frame::kPrune:
      return Message(Prune{});
    case wire::Frame::kGoodbye:
      return Message(Goodbye{});
    case wire::Frame::kDelta:
      return as_message(in.delta());
    case wire::Frame::kPayload:
      return as_message(in.payload());
    case wire::Frame::kRouted:
      return from_wire(in.routed());
    case wire::Frame::KIND_NOT_SET:
      return Message(UnknownMessage{});
  }
  return Message(UnknownMessage{});
}

Bytes encode(const PeerInfo& info) {
  wire::PeerInfo out;
  out.set_nickname(info.nickname.substr(0, kNicknameMax));
  out.set_version(info.version.substr(0, kVersionTextMax));
  out.set_port(info.port);
  for (const Ip& address : info.addresses) {
    out.add_addresses(text(address.bytes()));
  }
  out.set_key(info.key.data(), info.key.size());
  return serialise(out);
}

Result<PeerInfo> decode_peer_info(ByteView bytes) {
  const auto in = WEFT_TRY(parse<wire::PeerInfo>(bytes, "peer record"));
  PeerInfo info;
  info.nickname = WEFT_TRY(to_text(in.nickname(), kNicknameMax, "nickname"));
  info.version = WEFT_TRY(to_text(in.version(), kVersionTextMax, "version"));
  info.port = WEFT_TRY(to_port(in.port()));
  if (static_cast<std::size_t>(in.addresses_size()) > kAddressesMax) {
    return invalid(fmt::format("peer record of {} addresses", in.addresses_size()));
  }
  for (const std::string& address : in.addresses()) {
    info.addresses.push_back(WEFT_TRY(Ip::from_bytes(as_bytes(address))));
  }
  if (in.key().size() != info.key.size()) {
    return invalid(fmt::format("static key of {} bytes", in.key().size()));
  }
  std::copy(in.key().begin(), in.key().end(), info.key.begin());
  return info;
}

}  // namespace weft::router
