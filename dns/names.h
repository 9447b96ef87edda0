// Who is called what, cluster-wide: the names of this host, which we alone change, and those the
// other peers state about themselves.
//
// A name is answered while its origin can be reached. When it cannot, its names are suspended:
// kept, not answered. They are back once the origin, reachable again, has said so itself: what it
// states then comes behind everything it withdrew meanwhile (router/records.h: a store holds all
// that an origin said up to a point), so nothing that is gone is answered again. What an earlier
// run of the origin's agent stated is not answered, as nobody may have been there to withdraw it.
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
#include "base/time.h"
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
    std::uint64_t run = 0;  // Of this agent: rises with each start.
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

  // Says that this run has begun. Call once, before anything else is stated.
  void start(NamesActions& out);

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
  void on_peer_reachable(TimePoint now, PeerName peer);
  void on_peer_unreachable(PeerName peer);
  void on_deadline(TimePoint now, NamesActions& out);
  TimePoint next_deadline() const;

  void set_horizon(Horizon horizon) { builder_.set_horizon(std::move(horizon)); }

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
  struct Origin {
    std::uint64_t run = 0;  // The latest it was heard of.
    bool trusted = false;   // What we hold is all it said when it was last reachable.
    // The run that was reachable, and may wait for our word once it is again.
    std::optional<std::uint64_t> missed;
    std::map<NameKey, NamesOfPart> parts;
  };
  using Changed = std::set<std::uint16_t>;  // Parts that are to be published.
  enum class Source { Watched, ByHand };

  Result<Ok> put(const std::string& owner, const NameEntry& entry, Source source, Changed& changed);
  void erase_unclaimed(const std::string& owner, Changed& changed);
  void publish(const std::string& owner, const Changed& changed, NamesActions& out);
  ZoneEntry zone_entry(PeerName origin, const std::string& owner, const NameEntry& entry) const;
  bool is_shown(PeerName peer, const Origin& origin, const NamesOfPart& part) const;
  void count(const NamesOfPart& part, bool shown, int sign);
  void set_visible(PeerName peer, const NameKey& key, const NamesOfPart& part, bool visible);
  void show_all(PeerName peer, bool visible);
  void set_trusted(PeerName peer, bool trusted);
  void on_run(PeerName peer, const RunOfNames& run);
  void set_run(PeerName peer, Origin& origin, std::uint64_t run);
  void forget(PeerName peer, const NameKey& key);
  void learn(PeerName peer, const NameKey& key, NamesOfPart part);

  const Options options_;
  ZoneBuilder builder_;
  std::map<std::string, Own> own_;  // By owner.
  std::map<PeerName, Origin> others_;
  std::set<PeerName> reachable_;
  std::map<PeerName, TimePoint> awaited_;  // Until when their word is waited for.
  std::uint64_t said_count_ = 0;           // How often we gave ours,
  TimePoint say_due_ = kNever;             // and when to give it again.
  Stats stats_;
};

}  // namespace weft::dns
