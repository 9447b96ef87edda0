// Which hosts have members of which multicast group: what IGMP and MLD snooping is for (RFC 4541).
//
// Each host listens to its own containers' reports, asks them regularly, and tells the others by
// records (base/records.h) of the groups it has members of. Frames for a group go only to those
// hosts; for a group nobody has joined, to all. Pure; control strand only.
//
//   record: kind Endpoint, key = the group (4 or 16 octets), value: version (1 octet, 1). The key
//   0.0.0.0 stands for every group: a host that does not know (yet), or has too many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "base/time.h"
#include "router/multicast/group_report.h"

namespace weft::router {

// A group's key, or nothing: the record is about something else.
RecordKey group_key(const Ip& group);
std::optional<Ip> decode_group_key(const RecordKey& key);

class GroupMembers {
 public:
  // A record each, which every peer keeps. Containers join a handful; a host with more of them gets
  // every group's frames instead.
  static constexpr std::size_t kLocalMax = 256;
  // 64 hosts with that many. A peer of which not all can be kept gets every group's frames.
  static constexpr std::size_t kRemoteMax = 16384;
  // What the RFCs call the group membership interval: 2 * 125 s, and the time to answer.
  static constexpr Duration kMembership = std::chrono::seconds(260);
  static constexpr Duration kQueryInterval = std::chrono::seconds(125);
  // After a farewell others on this host have so long to speak up: a question, and a second to
  // answer.
  static constexpr Duration kLastMember = std::chrono::seconds(3);
  // Farewells make us ask no more often than that.
  static constexpr Duration kQuerySpacing = std::chrono::seconds(1);
  // At a start with containers their groups are not known for so long: three questions, one answer.
  static constexpr Duration kLearning = std::chrono::seconds(5);

  // A group that was unknown goes to all for so long: others who have joined it, too, may be on the
  // way to telling.
  static constexpr Duration kSettling = std::chrono::seconds(2);

  // What to tell the others: true, that this host hears the group; false, that it does not.
  using Changes = std::vector<std::pair<Ip, bool>>;

  // At a start. With containers that may have joined groups before, everything is ours for a while.
  enum class Start : std::uint8_t { Empty, WithMembers };
  void start(TimePoint now, Start how, Changes& out);

  void on_report(TimePoint now, const GroupReport& report, Changes& out);
  void on_claim(TimePoint now, PeerName origin, const Ip& group, bool hears);

  // Whoever is to get a frame for the group; nothing: everybody is.
  std::optional<std::set<PeerName>> listeners(TimePoint now, const Ip& group) const;

  // A container is new, and may have joined groups before.
  void ask_soon(TimePoint now);
  // True: time to ask the containers.
  bool on_deadline(TimePoint now, Changes& out);
  TimePoint next_deadline() const;

  std::size_t local_count() const { return locals_.size(); }
  std::size_t remote_count() const { return claim_count_; }
  std::uint64_t refused() const { return refused_; }
  void check_invariants() const;

 private:
  void hear_everything(TimePoint until, Changes& out);
  void forget_if_unknown(const Ip& group);

  std::map<Ip, TimePoint> locals_;  // Until when each has members here.
  TimePoint everything_until_ = kNever;
  bool hears_everything_ = false;
  TimePoint next_query_ = kNever;
  TimePoint last_query_{};

  std::map<Ip, std::set<PeerName>> claims_;
  std::map<Ip, TimePoint> settled_at_;  // Of all groups with members, here or elsewhere.
  std::set<PeerName> everywhere_;       // Hear every group.
  std::size_t claim_count_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace weft::router
