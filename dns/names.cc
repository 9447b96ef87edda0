#include "dns/names.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::dns {

Names::Names(Options options)
    : options_(std::move(options)),
      builder_(options_.zone, options_.seed) {}

Result<std::optional<Name>> Names::qualify(std::string_view text) const {
  const Name name = WEFT_TRY(Name::parse(text));
  if (text.ends_with('.') || name.is_within(options_.zone.domain)) {
    return name.is_within(options_.zone.domain) ? std::optional(name) : std::nullopt;
  }
  return std::optional(WEFT_TRY(name.within(options_.zone.domain)));
}

ZoneEntry Names::zone_entry(PeerName origin,
                            const std::string& owner,
                            const NameEntry& entry) const {
  return {.name = entry.name,
          .address = entry.address,
          .port = entry.port,
          .origin = origin,
          .owner = owner,
          .local = origin == options_.self};
}

// Our own -------------------------------------------------------------------------------------

Result<Ok> Names::put(const std::string& owner,
                      const NameEntry& entry,
                      Source source,
                      Changed& changed) {
  if (!entry.name.is_within(options_.zone.domain)) {
    return Ok{};
  }
  Own& own = own_[owner];
  auto claim = own.claims.find(entry);
  if (claim == own.claims.end()) {
    if (stats_.own_entries >= options_.own_entries_max) {
      return Error{
          Errc::Exhausted,
          fmt::format("there are {} names of this host already", options_.own_entries_max)};
    }
    if (own.roomy.empty()) {
      std::uint16_t free = 0;
      for (auto part = own.parts.begin(); part != own.parts.end() && part->first == free; ++part) {
        ++free;
      }
      own.roomy.insert(free);
    }
    const std::uint16_t number = *own.roomy.begin();
    claim = own.claims.emplace(entry, Claim{.part = number}).first;
    auto& part = own.parts[number];
    part.push_back(&claim->first);
    if (part.size() == kPartEntriesMax) {
      own.roomy.erase(number);
    }
    changed.insert(number);
    ++stats_.own_entries;
    ++stats_.entries;
    builder_.add(zone_entry(options_.self, owner, entry));
  }
  (source == Source::Watched ? claim->second.watched : claim->second.by_hand) = true;
  return Ok{};
}

void Names::erase_unclaimed(const std::string& owner, Changed& changed) {
  Own& own = own_[owner];
  for (auto claim = own.claims.begin(); claim != own.claims.end();) {
    const auto& [entry, state] = *claim;
    if (state.watched || state.by_hand) {
      ++claim;
      continue;
    }
    builder_.remove(zone_entry(options_.self, owner, entry));
    changed.insert(state.part);
    own.roomy.insert(state.part);
    std::erase(own.parts.at(state.part), &entry);
    --stats_.own_entries;
    --stats_.entries;
    claim = own.claims.erase(claim);
  }
}

// Parts and owners that are left empty are withdrawn and forgotten.
void Names::publish(const std::string& owner, const Changed& changed, NamesActions& out) {
  Own& own = own_[owner];
  for (const std::uint16_t number : changed) {
    const auto part = own.parts.find(number);
    std::optional<Bytes> value;
    if (!part->second.empty()) {
      Part entries;
      for (const NameEntry* entry : part->second) {
        entries.push_back(*entry);
      }
      value = encode_names(entries);
    } else {
      own.parts.erase(part);
      own.roomy.erase(number);
    }
    out.push_back(
        {.key = encode_name_key({.part = number, .owner = owner}), .value = std::move(value)});
  }
  if (own.claims.empty()) {
    own_.erase(owner);
  }
}

Result<Ok> Names::add(const std::string& owner, const NameEntry& entry, NamesActions& out) {
  WEFT_TRY(check_owner(owner));
  Changed changed;
  const auto added = put(owner, entry, Source::ByHand, changed);
  publish(owner, changed, out);
  return added;
}

Result<Ok> Names::watch(const std::string& owner,
                        const std::vector<NameEntry>& entries,
                        NamesActions& out) {
  WEFT_TRY(check_owner(owner));
  Changed changed;
  for (auto& [entry, claim] : own_[owner].claims) {
    claim.watched = false;
  }
  Result<Ok> result = Ok{};
  for (const NameEntry& entry : entries) {
    if (auto added = put(owner, entry, Source::Watched, changed); !added.ok()) {
      result = std::move(added);
    }
  }
  erase_unclaimed(owner, changed);
  publish(owner, changed, out);
  return result;
}

std::size_t Names::remove(const Filter& filter, NamesActions& out) {
  const std::size_t before = stats_.own_entries;
  const std::string folded = filter.name ? filter.name->folded() : "";
  std::vector<std::string> owners;
  for (const auto& [owner, own] : own_) {
    if (!filter.owner || *filter.owner == owner) {
      owners.push_back(owner);
    }
  }
  for (const std::string& owner : owners) {
    for (auto& [entry, claim] : own_.at(owner).claims) {
      if ((!filter.address || *filter.address == entry.address)
          && (!filter.name || folded == entry.name.folded())) {
        claim.watched = false;
        claim.by_hand = false;
      }
    }
    Changed changed;
    erase_unclaimed(owner, changed);
    publish(owner, changed, out);
  }
  return before - stats_.own_entries;
}

// Of others -----------------------------------------------------------------------------------

void Names::show(PeerName origin, const NameKey& key, const Part& part) {
  for (const NameEntry& entry : part) {
    builder_.add(zone_entry(origin, key.owner, entry));
  }
  stats_.entries += part.size();
}

void Names::hide(PeerName origin, const NameKey& key, const Part& part) {
  for (const NameEntry& entry : part) {
    builder_.remove(zone_entry(origin, key.owner, entry));
  }
  stats_.entries -= part.size();
}

void Names::on_record(const RecordChanged& change) {
  if (change.origin == options_.self || change.key.kind != RecordKind::Name) {
    return;
  }
  const auto key = decode_name_key(change.key);
  if (!key.ok()) {
    ++stats_.records_refused;
    return;
  }
  const bool is_shown = reachable_.contains(change.origin);
  auto& parts = others_[change.origin];
  if (const auto known = parts.find(key.value()); known != parts.end()) {
    if (is_shown) {
      hide(change.origin, key.value(), known->second);
    } else {
      stats_.suspended -= known->second.size();
    }
    parts.erase(known);
  }
  if (change.value) {
    auto part = decode_names(*change.value);
    if (!part.ok()
        || stats_.entries + stats_.suspended + part.value().size() > options_.entries_max) {
      ++stats_.records_refused;
    } else {
      const auto at = parts.emplace(key.value(), std::move(part).value()).first;
      if (is_shown) {
        show(change.origin, at->first, at->second);
      } else {
        stats_.suspended += at->second.size();
      }
    }
  }
  if (parts.empty()) {
    others_.erase(change.origin);
  }
}

void Names::on_peer_reachable(PeerName peer) {
  if (!reachable_.insert(peer).second) {
    return;
  }
  if (const auto at = others_.find(peer); at != others_.end()) {
    for (const auto& [key, part] : at->second) {
      stats_.suspended -= part.size();
      show(peer, key, part);
    }
  }
}

void Names::on_peer_unreachable(PeerName peer) {
  if (reachable_.erase(peer) == 0) {
    return;
  }
  if (const auto at = others_.find(peer); at != others_.end()) {
    for (const auto& [key, part] : at->second) {
      hide(peer, key, part);
      stats_.suspended += part.size();
    }
  }
}

// To look at ----------------------------------------------------------------------------------

std::vector<Names::Listed> Names::list() const {
  std::vector<Listed> listed;
  for (const auto& [owner, own] : own_) {
    for (const auto& [entry, claim] : own.claims) {
      listed.push_back({.entry = entry, .origin = options_.self, .owner = owner});
    }
  }
  for (const auto& [origin, parts] : others_) {
    for (const auto& [key, part] : parts) {
      for (const NameEntry& entry : part) {
        listed.push_back({.entry = entry,
                          .origin = origin,
                          .owner = key.owner,
                          .suspended = !reachable_.contains(origin)});
      }
    }
  }
  return listed;
}

Names::Stats Names::stats() const {
  Stats stats = stats_;
  stats.addresses_refused = builder_.stats().addresses_refused;
  return stats;
}

void Names::check_invariants() const {
  std::size_t own = 0;
  for (const auto& [owner, mine] : own_) {
    WEFT_ASSERT(!mine.claims.empty());
    std::size_t in_parts = 0;
    for (const auto& [number, part] : mine.parts) {
      WEFT_ASSERT(!part.empty());
      WEFT_ASSERT(part.size() <= kPartEntriesMax);
      WEFT_ASSERT(mine.roomy.contains(number) == (part.size() < kPartEntriesMax));
      in_parts += part.size();
    }
    WEFT_ASSERT(in_parts == mine.claims.size());
    own += mine.claims.size();
  }
  std::size_t shown = own;
  std::size_t suspended = 0;
  for (const auto& [origin, parts] : others_) {
    WEFT_ASSERT(origin != options_.self);
    WEFT_ASSERT(!parts.empty());
    for (const auto& [key, part] : parts) {
      (reachable_.contains(origin) ? shown : suspended) += part.size();
    }
  }
  WEFT_ASSERT(own == stats_.own_entries);
  WEFT_ASSERT(shown == stats_.entries);
  WEFT_ASSERT(suspended == stats_.suspended);
}

}  // namespace weft::dns
