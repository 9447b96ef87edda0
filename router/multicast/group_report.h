// Who wants to hear which multicast group: reports of IGMP (RFC 1112, 2236, 3376) and MLD (RFC
// 2710, 3810), and the general questions that bring them. Pure; decoders are total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "router/datapath/ethernet.h"

namespace weft::router {

// Of one report. A frame of 1,500 octets has room for 183 groups of IPv4; hosts that have joined
// more say so in several reports.
inline constexpr std::size_t kReportedGroupsMax = 256;

// Which sources a host wants to hear of a group is not looked at: it is sent all of them.
struct GroupReport {
  std::vector<Ip> joined;
  std::vector<Ip> left;

  friend bool operator==(const GroupReport&, const GroupReport&) = default;
};

// Nothing if the frame is no report, or a malformed one.
std::optional<GroupReport> parse_group_report(const EthernetFrame& frame);

// The group that an IP frame is for; nothing if it is not for a group that hosts announce they want
// to hear: those of the link itself (224.0.0.0/24, ff02::/16 and below) everybody hears (RFC
// 4541, 2.1.2 and 3).
std::optional<Ip> announced_group(const EthernetFrame& frame);
bool is_announced(const Ip& group);

// "Who hears what?" in both families, from a station of ours. Hosts answer within a second. The
// source address of IGMP is zero, as of any querier without an address (RFC 4541, 2.1.1).
Bytes encode_igmp_query(Mac source);
Bytes encode_mld_query(Mac source);

}  // namespace weft::router
