// Who is called what, cluster-wide: the names of this host, which we alone change, and those the
// other peers state about themselves.
//
// A name is answered while its origin can be reached. When it cannot, its names are suspended:
// kept, not answered, and back as soon as it is reachable, less what it withdrew meanwhile. The
// mesh's records (base/records.h) carry them; tombstones and repair are theirs.
//
// An owner is a container's id or a reserved identity that no container's life bounds. What a
// runtime says of a container (watched) is replaced as a whole; what somebody added by hand stays
// until it is taken back or the container is gone.
//
// Pure; lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/records.h"
#include "base/result.h"
#include "dns/name_record.h"
#include "dns/zone.h"

namespace weft::dns {

// Identities the scripts of Weave's users know: names of no container, and of the host itself.
inline constexpr const char* kExternOwner = "weave:extern";
inline constexpr const char* kExposeOwner = "weave:expose";

using NamesActions = std::vector<PublishRecord>;

class Names {
 public:
  struct Options {
    PeerName self;
    Zone::Settings zone;
    std::uint64_t seed = 0;
    // A quarter more than the names lookups are measured with; 4 MiB of records.
    std::size_t own_entries_max = 131072;
    // Of all peers: at some 300 octets each, 80 MB.
    std::size_t entries_max = 262144;
  };
  // What to take back: whatever agrees with all that is given.
  struct Filter {
    std::optional<std::string> owner;
    std::optional<Ip> address;
    std::optional<Name> name;
  };
  struct Listed {
    NameEntry entry;
    PeerName origin;
    std::string owner;
    bool suspended = false;
  };
  struct Stats {
    std::size_t own_entries = 0;
    std::size_t entries = 0;  // Of all peers that can be reached, ours included.
    std::size_t suspended = 0;
    std::uint64_t records_refused = 0;  // Malformed, or beyond entries_max.
    std::uint64_t addresses_refused = 0;
  };

  explicit Names(Options options);

  // "web" and "web.sub" get the domain behind them; "web.weft.local" and anything with a final dot
  // is taken as it is. Fails where that is no name; nothing if it lies outside the domain.
  Result<std::optional<Name>> qualify(std::string_view text) const;

  // Adding what is there already succeeds. Names outside the domain are ignored.
  Result<Ok> add(const std::string& owner, const NameEntry& entry, NamesActions& out);
  // All that is watched of this owner; nothing takes it back.
  Result<Ok> watch(const std::string& owner,
                   const std::vector<NameEntry>& entries,
                   NamesActions& out);
  // Of our own only. Returns how many.
  std::size_t remove(const Filter& filter, NamesActions& out);

  void on_record(const RecordChanged& change);
  void on_peer_reachable(PeerName peer);
  void on_peer_unreachable(PeerName peer);

  // As of now; the same object while nothing changed.
  std::shared_ptr<const Zone> zone() { return builder_.build(); }
  bool is_zone_stale() const { return builder_.is_stale(); }

  const Zone::Settings& settings() const { return options_.zone; }
  // Everything known, by origin, owner, part; suspended names too.
  std::vector<Listed> list() const;
  Stats stats() const;
  void check_invariants() const;

 private:
  struct Claim {
    std::uint16_t part = 0;
    bool watched = false;
    bool by_hand = false;
  };
  // What one owner of this host is called.
  struct Own {
    std::map<NameEntry, Claim> claims;
    std::map<std::uint16_t, std::vector<const NameEntry*>> parts;  // Of the keys above.
    std::set<std::uint16_t> roomy;                                 // Parts that are not full.
  };
  using Part = std::vector<NameEntry>;
  using Changed = std::set<std::uint16_t>;  // Parts that are to be published.
  enum class Source { Watched, ByHand };

  Result<Ok> put(const std::string& owner, const NameEntry& entry, Source source, Changed& changed);
  void erase_unclaimed(const std::string& owner, Changed& changed);
  void publish(const std::string& owner, const Changed& changed, NamesActions& out);
  ZoneEntry zone_entry(PeerName origin, const std::string& owner, const NameEntry& entry) const;
  void show(PeerName origin, const NameKey& key, const Part& part);
  void hide(PeerName origin, const NameKey& key, const Part& part);

  const Options options_;
  ZoneBuilder builder_;
  std::map<std::string, Own> own_;  // By owner.
  std::map<PeerName, std::map<NameKey, Part>> others_;
  std::set<PeerName> reachable_;
  Stats stats_;
};

}  // namespace weft::dns
