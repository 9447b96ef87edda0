#include "router/multicast/group_report.h"

#include <utility>

#include "router/datapath/ip.h"
#include "router/datapath/nd.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

constexpr std::uint8_t kIgmpQuery = 0x11;
constexpr std::uint8_t kIgmpReportV1 = 0x12;
constexpr std::uint8_t kIgmpReportV2 = 0x16;
constexpr std::uint8_t kIgmpLeave = 0x17;
constexpr std::uint8_t kIgmpReportV3 = 0x22;
constexpr std::uint8_t kMldQuery = 130;
constexpr std::uint8_t kMldReportV1 = 131;
constexpr std::uint8_t kMldDone = 132;
constexpr std::uint8_t kMldReportV2 = 143;

// RFC 3376, 4.2.12 and RFC 3810, 5.2.12.
constexpr std::uint8_t kIsInclude = 1;
constexpr std::uint8_t kIsExclude = 2;
constexpr std::uint8_t kToInclude = 3;
constexpr std::uint8_t kToExclude = 4;
constexpr std::uint8_t kAllowNew = 5;

// One second: in tenths of one for IGMP, in milliseconds for MLD.
constexpr std::uint8_t kIgmpResponseTime = 10;
constexpr std::uint16_t kMldResponseTime = 1000;
// Robustness 2, and the interval of 125 s that both RFCs suggest.
constexpr std::uint8_t kRobustness = 2;
constexpr std::uint8_t kIntervalSeconds = 125;

constexpr Mac kAllHostsMac({0x01, 0x00, 0x5e, 0, 0, 1});
constexpr Mac kAllNodesMac({0x33, 0x33, 0, 0, 0, 1});
constexpr std::uint32_t kAllHosts = 0xe0000001;
constexpr Ipv6 kAllNodes(Ipv6::Octets{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});

void note(std::uint8_t kind, std::size_t sources, const Ip& group, GroupReport& report) {
  const bool includes = kind == kIsInclude || kind == kToInclude;
  const bool joins =
      kind == kIsExclude || kind == kToExclude || (sources > 0 && (includes || kind == kAllowNew));
  if (!is_announced(group)) {
    return;
  }
  if (joins) {
    report.joined.push_back(group);
  } else if (includes) {
    report.left.push_back(group);
  }
}

// The records of version 3 of IGMP and version 2 of MLD, which differ in the addresses' size.
Result<GroupReport> read_records(Reader reader, std::size_t address_size) {
  GroupReport report;
  WEFT_TRY(reader.u16());  // Reserved.
  const std::size_t count = WEFT_TRY(reader.u16());
  if (count > kReportedGroupsMax) {
    return Error{Errc::Invalid, "too many groups in one report"};
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto kind = WEFT_TRY(reader.u8());
    const std::size_t auxiliary = WEFT_TRY(reader.u8());
    const std::size_t sources = WEFT_TRY(reader.u16());
    const ByteView address = WEFT_TRY(reader.take(address_size));
    const Ip group = WEFT_TRY(Ip::from_bytes(address));
    WEFT_TRY(reader.take(sources * address_size + auxiliary * 4));
    note(kind, sources, group, report);
  }
  return report;
}

// A report or farewell of one group, as all earlier versions have it.
Result<GroupReport> read_one(ByteView address, bool joins) {
  const Ip group = WEFT_TRY(Ip::from_bytes(address));
  GroupReport report;
  if (is_announced(group)) {
    (joins ? report.joined : report.left).push_back(group);
  }
  return report;
}

Result<GroupReport> decode_igmp(ByteView packet) {
  if (packet.size() < kIpv4Size || packet[9] != kProtocolIgmp) {
    return Error{Errc::Invalid, "no IGMP"};
  }
  const std::size_t header = std::size_t{packet[0] & 0x0fU} * 4;
  const std::size_t total = read16(packet.data() + 2);
  if (packet[0] >> 4U != 4 || header < kIpv4Size || total < header || total > packet.size()) {
    return Error{Errc::Invalid, "malformed IPv4 header"};
  }
  const ByteView message = packet.subspan(header, total - header);
  if (message.size() < 8 || message.size() % 2 != 0
      || checksum_of(sum_words(message.data(), message.size())) != 0) {
    return Error{Errc::Invalid, "malformed IGMP message"};
  }
  Reader reader(message.subspan(4));
  switch (message[0]) {
    case kIgmpReportV1:
    case kIgmpReportV2:
      return read_one(reader.rest().first(4), true);
    case kIgmpLeave:
      return read_one(reader.rest().first(4), false);
    case kIgmpReportV3:
      return read_records(reader, 4);
    default:
      return Error{Errc::Invalid, "no report"};
  }
}

// MLD comes with a hop-by-hop header, which has the router alert option (RFC 2710, 3).
Result<GroupReport> decode_mld(ByteView packet) {
  if (packet.size() < kIpv6Size + 8 || packet[0] >> 4U != 6 || packet[6] != kProtocolHopByHop
      || packet[kIpv6Size] != kProtocolIcmpv6) {
    return Error{Errc::Invalid, "no MLD"};
  }
  const std::size_t length = read16(packet.data() + 4);
  const std::size_t options = (std::size_t{packet[kIpv6Size + 1]} + 1) * 8;
  if (length < options + 8 || kIpv6Size + length > packet.size()) {
    return Error{Errc::Invalid, "malformed IPv6 header"};
  }
  const ByteView message = packet.subspan(kIpv6Size + options, length - options);
  const Ip source = WEFT_TRY(Ip::from_bytes(packet.subspan(8, 16)));
  const Ip destination = WEFT_TRY(Ip::from_bytes(packet.subspan(24, 16)));
  if (icmpv6_checksum(source.v6(), destination.v6(), message) != 0) {
    return Error{Errc::Invalid, "malformed MLD message"};
  }
  Reader reader(message.subspan(4));
  switch (message[0]) {
    case kMldReportV1:
    case kMldDone: {
      WEFT_TRY(reader.u32());  // Maximum response delay; reserved.
      const ByteView group = WEFT_TRY(reader.take(16));
      return read_one(group, message[0] == kMldReportV1);
    }
    case kMldReportV2:
      return read_records(reader, 16);
    default:
      return Error{Errc::Invalid, "no report"};
  }
}

// fe80:: and the station's EUI-64 (RFC 4291, 2.5.1 and 2.5.6).
Ipv6 link_local(Mac mac) {
  const Mac::Octets o = mac.octets();
  return Ipv6(Ipv6::Octets{0xfe,
                           0x80,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0,
                           static_cast<std::uint8_t>(o[0] ^ 2U),
                           o[1],
                           o[2],
                           0xff,
                           0xfe,
                           o[3],
                           o[4],
                           o[5]});
}

}  // namespace

bool is_announced(const Ip& group) {
  if (group.is_v4()) {
    const std::uint32_t number = group.v4().number();
    return number >> 28U == 0xe && number >> 8U != 0xe00000;
  }
  const Ipv6::Octets& octets = group.v6().octets();
  constexpr std::uint8_t kLinkScope = 2;
  return octets[0] == 0xff && (octets[1] & 0x0fU) > kLinkScope;
}

std::optional<Ip> announced_group(const EthernetFrame& frame) {
  const bool is_v4 = frame.header.type == kEtherTypeIpv4;
  const std::size_t at = is_v4 ? 16 : 24;
  const std::size_t size = is_v4 ? 4 : 16;
  if (!frame.header.destination.is_group() || (!is_v4 && frame.header.type != kEtherTypeIpv6)
      || frame.payload.size() < at + size) {
    return std::nullopt;
  }
  const Result<Ip> group = Ip::from_bytes(frame.payload.subspan(at, size));
  return group.ok() && is_announced(group.value()) ? std::optional(group.value()) : std::nullopt;
}

std::optional<GroupReport> parse_group_report(const EthernetFrame& frame) {
  const bool is_v4 = frame.header.type == kEtherTypeIpv4;
  if (!is_v4 && frame.header.type != kEtherTypeIpv6) {
    return std::nullopt;
  }
  Result<GroupReport> report = is_v4 ? decode_igmp(frame.payload) : decode_mld(frame.payload);
  return report.ok() ? std::optional(std::move(report).value()) : std::nullopt;
}

Bytes encode_igmp_query(Mac source) {
  constexpr std::uint8_t kInternetworkControl = 0xc0;
  constexpr std::uint32_t kRouterAlert = 0x94040000;
  constexpr std::size_t kHeader = kIpv4Size + 4;
  constexpr std::size_t kMessage = 12;
  Writer out;
  write_ethernet({.destination = kAllHostsMac, .source = source, .type = kEtherTypeIpv4}, out);
  out.u8(0x46).u8(kInternetworkControl).u16(kHeader + kMessage).u32(0);
  out.u8(1).u8(kProtocolIgmp).u16(0).u32(0).u32(kAllHosts).u32(kRouterAlert);
  out.u8(kIgmpQuery).u8(kIgmpResponseTime).u16(0).u32(0);
  out.u8(kRobustness).u8(kIntervalSeconds).u16(0);
  Bytes frame = out.take();
  std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  write16(ip + 10, checksum_of(sum_words(ip, kHeader)));
  write16(ip + kHeader + 2, checksum_of(sum_words(ip + kHeader, kMessage)));
  return frame;
}

Bytes encode_mld_query(Mac source) {
  constexpr std::uint32_t kOptions = 0x05020000;  // Router alert: MLD.
  constexpr std::uint16_t kPadding = 0x0100;
  constexpr std::size_t kOptionsSize = 8;
  const Ipv6 address = link_local(source);
  const auto message = [](std::uint16_t checksum) {
    Writer out;
    out.u8(kMldQuery).u8(0).u16(checksum).u16(kMldResponseTime).u16(0).append(Ipv6().octets());
    out.u8(kRobustness).u8(kIntervalSeconds).u16(0);
    return out.take();
  };
  const Bytes query = message(icmpv6_checksum(address, kAllNodes, message(0)));
  Writer out;
  write_ethernet({.destination = kAllNodesMac, .source = source, .type = kEtherTypeIpv6}, out);
  out.u32(6U << 28U).u16(static_cast<std::uint16_t>(kOptionsSize + query.size()));
  out.u8(kProtocolHopByHop).u8(1).append(address.octets()).append(kAllNodes.octets());
  out.u8(kProtocolIcmpv6).u8(0).u32(kOptions).u16(kPadding).append(query);
  return out.take();
}

}  // namespace weft::router
