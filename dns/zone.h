// What is answered from: an immutable snapshot of every name that lives, and the builder that makes
// the next one from the last with the work of what changed only.
//
// Built for lookups that cost the same for a hundred names and for a hundred thousand: names are
// spread over shards by their hash, a shard is one hash table over one block of octets. Snapshots
// share the shards that did not change. A Zone may be read from any thread; the builder lives on
// the control strand. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "dns/horizon.h"
#include "dns/name.h"

namespace weft::dns {

// With 100,000 names a change rebuilds a shard of a hundred.
inline constexpr std::size_t kShardCount = 1024;
// Of one name and family: what fits into one answer over TCP four times over.
inline constexpr std::size_t kAddressesMax = 1000;

// One name with one address, said by one origin on behalf of one owner (a container, mostly).
struct ZoneEntry {
  Name name;
  Ip address;
  // Not 0: a service, such as _http._tcp.web.weft.local at this port of the address (SRV).
  std::uint16_t port = 0;
  PeerName origin;
  std::string owner;
  bool local = false;  // Its container runs on this host.
};

class Zone {
 public:
  struct Settings {
    Name domain;
    std::uint32_t ttl_seconds = 1;
    // Addresses on this host before others. Either way each group is shuffled in each answer.
    bool local_first = false;
  };
  // What is known of one name. Addresses are octets one behind the other, local ones first.
  struct Node {
    ByteView v4;
    ByteView v6;
    std::size_t v4_local_count = 0;
    std::size_t v6_local_count = 0;
    // Per service its port (2 octets), the size of its target (1) and the target.
    ByteView services;
    std::string_view pointer;  // Of a reverse name; empty for others.
  };

  // Nothing if the name does not exist. Below the domain a name exists if one below it does (RFC
  // 8020). `folded` is a folded name's octets.
  std::optional<Node> find(std::string_view folded) const;

  const Settings& settings() const { return settings_; }
  std::string_view domain_folded() const { return domain_folded_; }
  // The data of the SOA record that goes with negative answers (RFC 2308).
  std::string_view soa() const { return soa_; }
  std::size_t name_count() const { return name_count_; }
  const Horizon& horizon() const { return *horizon_; }

 private:
  friend class ZoneBuilder;
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t at = 0;  // Of the node in `octets`, plus one; 0 is a free slot.
  };
  struct Shard {
    std::vector<Slot> slots;  // A power of two, at most half full.
    Bytes octets;
  };

  Settings settings_;
  std::uint64_t seed_ = 0;
  std::string domain_folded_;
  std::string soa_;
  std::size_t name_count_ = 0;
  std::shared_ptr<const Horizon> horizon_ = std::make_shared<const Horizon>(std::vector<Cidr>());
  std::array<std::shared_ptr<const Shard>, kShardCount> shards_;
};

class ZoneBuilder {
 public:
  struct Stats {
    std::size_t names = 0;                // Reverse names are not counted.
    std::uint64_t addresses_refused = 0;  // Beyond kAddressesMax, each time a shard was built.
  };

  // `seed` makes the places of names unpredictable to who chooses them.
  ZoneBuilder(Zone::Settings settings, std::uint64_t seed);

  // Each entry counts: what two said stays until both took it back. Names outside the domain are
  // left out. Precondition of remove(): it was added.
  void add(const ZoneEntry& entry) { change(entry, Change::Add); }
  void remove(const ZoneEntry& entry) { change(entry, Change::Remove); }

  // Who may ask from which network.
  void set_horizon(Horizon horizon);

  bool is_stale() const { return !stale_.empty() || last_->horizon_ != horizon_; }
  // As of all changes so far.
  std::shared_ptr<const Zone> build();
  Stats stats() const { return stats_; }

 private:
  enum class Change { Add, Remove };
  struct Member {
    Ip address;
    std::uint16_t port = 0;
    Name target;  // Of a service.
    PeerName origin;
    std::string owner;
    bool local = false;

    friend auto operator<=>(const Member&, const Member&) = default;
  };
  // In the order in which the first is what a reverse question is answered with.
  struct Pointer {
    Name name;
    PeerName origin;
    std::string owner;

    friend bool operator<(const Pointer& a, const Pointer& b) {
      // By text, as it is read; the octets begin with a label's size.
      return std::tuple(a.name.to_string(), a.name, a.origin, a.owner)
             < std::tuple(b.name.to_string(), b.name, b.origin, b.owner);
    }
  };
  struct Node {
    std::multiset<Member> members;
    std::multiset<Pointer> pointers;
    std::size_t children = 0;

    bool is_empty() const { return members.empty() && pointers.empty() && children == 0; }
  };
  using Shard = std::map<std::string, Node>;  // By folded name.

  void change(const ZoneEntry& entry, Change change);
  void change_member(const Name& name, const Member& member, Change change);
  void change_pointer(const Name& name, const Pointer& pointer, Change change);
  Node& touch(const std::string& folded);
  void drop_if_empty(const std::string& folded);
  std::size_t shard_of(std::string_view folded) const;
  std::shared_ptr<const Zone::Shard> build_shard(const Shard& from);
  void write_node(const std::string& folded, const Node& node, Bytes& out);

  std::vector<Shard> shards_{kShardCount};
  std::set<std::size_t> stale_;
  std::shared_ptr<const Horizon> horizon_;
  std::shared_ptr<const Zone> last_;
  Stats stats_;
};

}  // namespace weft::dns
