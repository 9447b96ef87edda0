#include "router/datapath/forwarding.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/overloaded.h"
#include "router/datapath/arp.h"
#include "router/datapath/carrier.h"
#include "router/datapath/endpoint_record.h"
#include "router/datapath/endpoint_table.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/flood_limit.h"
#include "router/datapath/nd.h"
#include "router/datapath/too_big.h"
#include "router/multicast/group_members.h"
#include "router/multicast/group_report.h"

namespace weft::router {
namespace {

// The largest frame that fits a UDP datagram over IPv4 behind a VXLAN header.
constexpr std::size_t kFrameMax = 65535 - 20 - 8 - 8;

ForwardingAction set_action(Mac mac, const Placement& placement) {
  return std::visit(overloaded{
                        [mac](std::uint32_t ifindex) -> ForwardingAction {
                          return SetLocal{mac, ifindex};
                        },
                        [mac](const Ip& underlay) -> ForwardingAction {
                          return SetRemote{mac, underlay};
                        },
                    },
                    placement);
}

}  // namespace

class Forwarding::Impl {
 public:
  Impl(Options options, TimePoint now, Adopted adopted)
      : options_(options),
        limit_(options.flood_rate_max, now),
        peers_(std::move(adopted.peers)),
        neighbors_(std::move(adopted.neighbors)) {
    for (const auto& [mac, underlay] : adopted.remotes) {
      installed_.emplace(mac, underlay);
      unconfirmed_.insert(mac);
    }
    for (const auto& [mac, ifindex] : adopted.locals) {
      installed_.insert_or_assign(mac, ifindex);
      unconfirmed_.insert(mac);
    }
    if (!unconfirmed_.empty() || !peers_.empty() || !neighbors_.empty()) {
      grace_ends_ = now + options_.adopted_grace;
    }
    if (options_.querier) {
      const bool has_members = !adopted.locals.empty();
      groups_.start(now,
                    has_members ? GroupMembers::Start::WithMembers : GroupMembers::Start::Empty,
                    group_changes_);
    }
  }

  void add_local(Mac mac,
                 const std::vector<Ip>& addresses,
                 std::optional<std::uint32_t> ifindex,
                 ForwardingActions& out) {
    const std::vector<Ip> before = table_.local_addresses(mac);
    if (!table_.set_local(mac, {.ifindex = ifindex, .addresses = addresses})) {
      return;
    }
    settle(mac, out);
    settle_neighbors(before, out);
    settle_neighbors(addresses, out);
    out.push_back(PublishRecord{.key = endpoint_key(mac), .value = encode_endpoint(addresses)});
  }

  void ask_groups(TimePoint now) { groups_.ask_soon(now); }

  void remove_local(Mac mac, ForwardingActions& out) {
    const std::vector<Ip> before = table_.local_addresses(mac);
    if (!table_.remove_local(mac)) {
      return;
    }
    settle(mac, out);
    settle_neighbors(before, out);
    out.push_back(PublishRecord{.key = endpoint_key(mac), .value = std::nullopt});
  }

  void on_record(TimePoint now, const RecordChanged& change, ForwardingActions& out) {
    if (change.key.kind != RecordKind::Endpoint || change.origin == options_.self) {
      return;
    }
    if (const auto group = decode_group_key(change.key)) {
      return groups_.on_claim(now, change.origin, *group, change.value.has_value());
    }
    const Result<Mac> mac = decode_endpoint_key(change.key);
    if (!mac.ok()) {
      ++stats_.endpoints_refused;
      return;
    }
    const std::vector<Ip> before = table_.claimed_addresses(change.origin, mac.value());
    if (!change.value) {
      if (table_.remove_claim(change.origin, mac.value())) {
        settle(mac.value(), out);
        settle_neighbors(before, out);
      }
      return;
    }
    Result<std::vector<Ip>> addresses = decode_endpoint(*change.value);
    const bool fits = table_.has_claim(change.origin, mac.value())
                      || table_.claim_count() < options_.endpoints_max;
    if (!addresses.ok() || !fits) {
      ++stats_.endpoints_refused;
      return;
    }
    table_.set_claim(change.origin, mac.value(), addresses.value());
    settle(mac.value(), out);
    settle_neighbors(before, out);
    settle_neighbors(addresses.value(), out);
  }

  void set_underlay(PeerName peer, const std::optional<Ip>& underlay, ForwardingActions& out) {
    if (peer == options_.self) {
      return;
    }
    const std::optional<Ip> before = table_.underlay(peer);
    table_.set_underlay(peer, underlay);
    if (underlay && peers_.insert(*underlay).second) {
      out.push_back(SetPeer{*underlay});
    }
    if (before == underlay) {
      return;
    }
    for (const Mac mac : table_.claimed_by(peer)) {
      settle(mac, out);
      settle_neighbors(table_.claimed_addresses(peer, mac), out);
    }
    if (before && !table_.is_underlay_used(*before)) {
      peers_.erase(*before);
      frame_max_.erase(*before);
      out.push_back(DropPeer{*before});
    }
  }

  void set_frame_max(const Ip& underlay, std::size_t frame_max) {
    if (peers_.contains(underlay)) {
      frame_max_.insert_or_assign(underlay, frame_max);
    }
  }

  void on_frame(TimePoint now, ByteView bytes, ForwardingActions& out) {
    const Result<EthernetFrame> frame = decode_ethernet(bytes);
    if (!frame.ok() || bytes.size() > kFrameMax) {
      ++stats_.frames_malformed;
      return;
    }
    const EthernetHeader& header = frame.value().header;
    if (is_link_local_control(header.destination)) {
      return;
    }
    if (header.type == kEtherTypeArp) {
      return on_arp(now, frame.value(), bytes, out);
    }
    if (header.type == kEtherTypeIpv6) {
      if (const auto asked = parse_solicitation(frame.value().payload)) {
        return on_solicitation(now, *asked, header, bytes, out);
      }
    }
    // Somebody here has joined two interfaces, and what peers flooded to us comes back.
    const auto source = installed_.find(header.source);
    if (source != installed_.end() && std::holds_alternative<Ip>(source->second)) {
      ++stats_.frames_looped;
      return;
    }
    const bool is_of_host = header.source == host_;
    const auto report =
        options_.querier || is_of_host ? parse_group_report(frame.value()) : std::nullopt;
    // On a new link the host's kernel reports groups of that link alone, such as those of its own
    // addresses: all hosts of a cluster that starts would tell all others what nobody can use.
    if (report && is_of_host && report->joined.empty() && report->left.empty()) {
      return;
    }
    if (report && options_.querier) {
      groups_.on_report(now, *report, group_changes_);
      tell_groups(out);
      // Routers among the containers want to hear it, wherever they are.
      return pass_on(now, header.destination, bytes, out);
    }
    pass_on(now, {header.destination, announced_group(frame.value())}, bytes, out);
  }

  void on_deadline(TimePoint now, ForwardingActions& out) {
    if (groups_.on_deadline(now, group_changes_) && table_.local_count() > 0) {
      out.push_back(FrameToBridge{encode_igmp_query(*options_.querier)});
      out.push_back(FrameToBridge{encode_mld_query(*options_.querier)});
    }
    tell_groups(out);
    drop_unconfirmed(now, out);
  }

  void drop_unconfirmed(TimePoint now, ForwardingActions& out) {
    if (now < grace_ends_) {
      return;
    }
    grace_ends_ = kNever;
    for (const Mac mac : std::exchange(unconfirmed_, {})) {
      installed_.erase(mac);
      out.push_back(DropMac{mac});
    }
    std::vector<Ip> addresses;
    for (const auto& [address, mac] : neighbors_) {
      addresses.push_back(address);
    }
    settle_neighbors(addresses, out);
    for (auto it = peers_.begin(); it != peers_.end();) {
      if (table_.is_underlay_used(*it)) {
        ++it;
        continue;
      }
      out.push_back(DropPeer{*it});
      it = peers_.erase(it);
    }
  }

  TimePoint next_deadline() const { return std::min(grace_ends_, groups_.next_deadline()); }
  ForwardingStats stats() const {
    ForwardingStats stats = stats_;
    stats.groups_refused = groups_.refused();
    return stats;
  }
  std::size_t group_count() const { return groups_.local_count(); }
  std::size_t local_count() const { return table_.local_count(); }

  std::size_t remote_count() const {
    const auto count = std::count_if(installed_.begin(), installed_.end(), [](const auto& entry) {
      return std::holds_alternative<Ip>(entry.second);
    });
    return static_cast<std::size_t>(count);
  }

  void check_invariants() const {
    table_.check_invariants();
    groups_.check_invariants();
    WEFT_ASSERT(table_.claim_count() <= options_.endpoints_max);
    for (const auto& [mac, placement] : installed_) {
      if (!unconfirmed_.contains(mac)) {
        WEFT_ASSERT(table_.placement(mac) == placement);
      }
    }
    for (const Mac mac : unconfirmed_) {
      WEFT_ASSERT(installed_.contains(mac));
      WEFT_ASSERT(!table_.placement(mac));
    }
  }

 private:
  // Whom a frame is for: a station, or the members of a group.
  struct Destination {
    Destination(Mac station) : mac(station) {}  // NOLINT: most are.
    Destination(Mac to, const std::optional<Ip>& members_of) : mac(to), group(members_of) {}
    Mac mac;
    std::optional<Ip> group;
  };

  void tell_groups(ForwardingActions& out) {
    constexpr std::uint8_t kVersion = 1;
    for (const auto& change : std::exchange(group_changes_, {})) {
      out.push_back(
          PublishRecord{.key = group_key(change.first),
                        .value = change.second ? std::optional(Bytes{kVersion}) : std::nullopt});
    }
  }

  // Hosts that frames of no known station go to.
  std::vector<Ip> audience(TimePoint now, const std::optional<Ip>& group) {
    const auto listeners = group ? groups_.listeners(now, *group) : std::nullopt;
    if (!listeners) {
      return {peers_.begin(), peers_.end()};
    }
    std::set<Ip> hosts;
    for (const PeerName peer : *listeners) {
      if (const auto underlay = table_.underlay(peer)) {
        hosts.insert(*underlay);
      }
    }
    if (hosts.size() < peers_.size()) {
      ++(hosts.empty() ? stats_.multicast_kept : stats_.multicast_narrowed);
    }
    return {hosts.begin(), hosts.end()};
  }

  // Makes the kernel's entry for one MAC what the table says. What an earlier run left stays while
  // nobody says anything.
  void settle(Mac mac, ForwardingActions& out) {
    const std::optional<Placement> wanted = table_.placement(mac);
    const auto it = installed_.find(mac);
    if (!wanted) {
      if (it != installed_.end() && !unconfirmed_.contains(mac)) {
        installed_.erase(it);
        out.push_back(DropMac{mac});
      }
      return;
    }
    unconfirmed_.erase(mac);
    if (it != installed_.end() && it->second == *wanted) {
      return;
    }
    installed_.insert_or_assign(mac, *wanted);
    out.push_back(set_action(mac, *wanted));
  }

  // The same for who has an address elsewhere.
  void settle_neighbors(const std::vector<Ip>& addresses, ForwardingActions& out) {
    for (const Ip& address : addresses) {
      if (!options_.has_neighbors || !address.is_v4()) {
        continue;
      }
      const std::optional<Mac> owner =
          table_.is_local_address(address) ? std::nullopt : table_.remote_owner(address);
      const auto known = neighbors_.find(address);
      if (owner && (known == neighbors_.end() || known->second != *owner)) {
        neighbors_.insert_or_assign(address, *owner);
        out.push_back(SetNeighbor{address, *owner});
      } else if (!owner && known != neighbors_.end()) {
        neighbors_.erase(known);
        out.push_back(DropNeighbor{address});
      }
    }
  }

  void on_arp(TimePoint now, const EthernetFrame& frame, ByteView bytes, ForwardingActions& out) {
    const Result<ArpPacket> decoded = decode_arp(frame.payload);
    if (!decoded.ok()) {
      ++stats_.frames_malformed;
      return;
    }
    const ArpPacket& packet = decoded.value();
    const bool question = packet.operation == ArpPacket::Operation::Request;
    // An announcement moves an address; everybody must hear it, and it wants no answer.
    if (!question || packet.is_announcement()) {
      return pass_on(now, frame.header.destination, bytes, out);
    }
    if (table_.is_local_address(packet.target)) {
      return;  // The bridge has shown it to the container, which answers by itself.
    }
    const std::optional<Mac> owner = table_.remote_owner(packet.target);
    // A question about one's own address is a duplicate check after a move from another host.
    if (!owner || *owner == frame.header.source) {
      return pass_on(now, frame.header.destination, bytes, out);
    }
    ++stats_.arp_answered;
    out.push_back(FrameToBridge{encode_arp_frame({.operation = ArpPacket::Operation::Reply,
                                                  .sender_mac = *owner,
                                                  .sender = packet.target,
                                                  .target_mac = frame.header.source,
                                                  .target = packet.sender})});
  }

  void on_solicitation(TimePoint now,
                       const NeighborSolicitation& asked,
                       const EthernetHeader& header,
                       ByteView bytes,
                       ForwardingActions& out) {
    if (table_.is_local_address(asked.target)) {
      return;
    }
    const std::optional<Mac> owner = table_.remote_owner(asked.target);
    if (!owner || *owner == header.source) {
      return pass_on(now, header.destination, bytes, out);
    }
    ++stats_.nd_answered;
    out.push_back(FrameToBridge{encode_advertisement_frame(
        {.owner = *owner, .target = asked.target, .asked = asked, .asker = header.source})});
  }

  // To the one peer that has the destination, or else once to every peer that may care.
  void pass_on(TimePoint now,
               const Destination& destination,
               ByteView bytes,
               ForwardingActions& out) {
    std::vector<Ip> targets;
    if (const auto it = installed_.find(destination.mac); it != installed_.end()) {
      const Ip* underlay = std::get_if<Ip>(&it->second);
      if (underlay == nullptr) {
        return;  // A local container: the bridge floods unknown unicast to its port, too.
      }
      // One frame for one peer multiplies nothing: such come when a relay works without its kernel.
      send({*underlay}, bytes, out);
      return;
    } else {
      targets = audience(now, destination.group);
    }
    if (targets.empty()) {
      return;
    }
    if (!limit_.take(now)) {
      ++stats_.frames_limited;
      return;
    }
    ++stats_.frames_flooded;
    send(std::move(targets), bytes, out);
  }

  // What is too big for one of the targets is cut for all, or its sender is told.
  void send(std::vector<Ip> targets, ByteView bytes, ForwardingActions& out) {
    std::size_t frame_max = kFrameMax;
    for (const Ip& target : targets) {
      const auto known = frame_max_.find(target);
      frame_max = known == frame_max_.end() ? frame_max : std::min(frame_max, known->second);
    }
    if (bytes.size() <= frame_max) {
      out.push_back(FrameToPeers{.underlay = std::move(targets), .frame = to_bytes(bytes)});
      return;
    }
    std::vector<Bytes> pieces = fragment(bytes, frame_max);
    if (!pieces.empty()) {
      ++stats_.too_big_cut;
      for (Bytes& piece : pieces) {
        out.push_back(FrameToPeers{.underlay = targets, .frame = std::move(piece)});
      }
      return;
    }
    std::optional<Bytes> answer = too_big_answer(bytes, frame_max - kEthernetHeaderSize);
    if (!answer) {
      ++stats_.too_big_dropped;
      return;
    }
    ++stats_.too_big_answered;
    out.push_back(FrameToBridge{std::move(*answer)});
  }

  Options options_;
  const Mac host_ = bridge_mac(options_.self);
  FloodLimit limit_;
  EndpointTable table_;
  std::map<Mac, Placement> installed_;  // What the kernel holds.
  std::set<Mac> unconfirmed_;           // Of these, what nobody has spoken for since the start.
  std::set<Ip> peers_;
  std::map<Ip, std::size_t> frame_max_;  // Of the peers' paths.
  std::map<Ip, Mac> neighbors_;          // What the kernel answers.
  TimePoint grace_ends_ = kNever;
  GroupMembers groups_;
  GroupMembers::Changes group_changes_;  // Not told yet.
  ForwardingStats stats_;
};

Forwarding::Forwarding(Options options, TimePoint now, Adopted adopted)
    : impl_(std::make_unique<Impl>(options, now, std::move(adopted))) {}

Forwarding::~Forwarding() = default;

void Forwarding::add_local(TimePoint now,
                           Mac mac,
                           const std::vector<Ip>& addresses,
                           std::uint32_t ifindex,
                           ForwardingActions& out) {
  impl_->add_local(mac, addresses, ifindex, out);
  impl_->ask_groups(now);
}

void Forwarding::remove_local(TimePoint /*now*/, Mac mac, ForwardingActions& out) {
  impl_->remove_local(mac, out);
}

void Forwarding::set_host(TimePoint /*now*/,
                          Mac mac,
                          const std::vector<Ip>& addresses,
                          ForwardingActions& out) {
  if (addresses.empty()) {
    impl_->remove_local(mac, out);
  } else {
    impl_->add_local(mac, addresses, std::nullopt, out);
  }
}

void Forwarding::on_record(TimePoint now, const RecordChanged& change, ForwardingActions& out) {
  impl_->on_record(now, change, out);
}

void Forwarding::set_underlay(TimePoint /*now*/,
                              PeerName peer,
                              std::optional<Ip> underlay,
                              ForwardingActions& out) {
  impl_->set_underlay(peer, underlay, out);
}

void Forwarding::set_frame_max(const Ip& underlay, std::size_t frame_max) {
  impl_->set_frame_max(underlay, frame_max);
}

void Forwarding::on_frame(TimePoint now, ByteView frame, ForwardingActions& out) {
  impl_->on_frame(now, frame, out);
}

void Forwarding::on_deadline(TimePoint now, ForwardingActions& out) {
  impl_->on_deadline(now, out);
}

TimePoint Forwarding::next_deadline() const {
  return impl_->next_deadline();
}

ForwardingStats Forwarding::stats() const {
  return impl_->stats();
}

std::size_t Forwarding::local_count() const {
  return impl_->local_count();
}

std::size_t Forwarding::group_count() const {
  return impl_->group_count();
}

std::size_t Forwarding::remote_count() const {
  return impl_->remote_count();
}

void Forwarding::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace weft::router
