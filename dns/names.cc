#include "dns/names.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::dns {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A healed partition makes many peers reachable within a moment; one word is enough for all.
constexpr Duration kSayDelay = milliseconds(20);
// Who never noticed that we could not reach it has no reason to give its word. By then what it
// withdrew meanwhile has come; a lost message is repeated within a second.
constexpr Duration kAwaitMax = seconds(3);

}  // namespace

Names::Names(Options options)
    : options_(std::move(options)),
      builder_(options_.zone, options_.seed) {}

void Names::start(NamesActions& out) {
  out.push_back(
      {.key = kRunKey, .value = encode_run({.run = options_.run, .count = ++said_count_})});
}

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
      NamesOfPart stated{.run = options_.run, .entries = {}};
      for (const NameEntry* entry : part->second) {
        stated.entries.push_back(*entry);
      }
      value = encode_names(stated);
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

bool Names::is_shown(PeerName peer, const Origin& origin, const NamesOfPart& part) const {
  return origin.trusted && part.run == origin.run && reachable_.contains(peer);
}

void Names::count(const NamesOfPart& part, bool shown, int sign) {
  std::size_t& counter = shown ? stats_.entries : stats_.suspended;
  counter = sign > 0 ? counter + part.entries.size() : counter - part.entries.size();
}

void Names::set_visible(PeerName peer, const NameKey& key, const NamesOfPart& part, bool visible) {
  for (const NameEntry& entry : part.entries) {
    const ZoneEntry zone = zone_entry(peer, key.owner, entry);
    visible ? builder_.add(zone) : builder_.remove(zone);
  }
}

// What an earlier run stated stays in the records until the new one has had time to state it anew.
void Names::set_run(PeerName peer, Origin& origin, std::uint64_t run) {
  if (run <= origin.run) {
    return;
  }
  for (const auto& [key, part] : origin.parts) {
    if (is_shown(peer, origin, part)) {
      set_visible(peer, key, part, false);
      count(part, true, -1);
      count(part, false, 1);
    }
  }
  origin.run = run;
}

void Names::forget(PeerName peer, const NameKey& key) {
  Origin& origin = others_[peer];
  const auto known = origin.parts.find(key);
  if (known == origin.parts.end()) {
    return;
  }
  const bool was_shown = is_shown(peer, origin, known->second);
  if (was_shown) {
    set_visible(peer, known->first, known->second, false);
  }
  count(known->second, was_shown, -1);
  origin.parts.erase(known);
}

void Names::learn(PeerName peer, const NameKey& key, NamesOfPart part) {
  Origin& origin = others_[peer];
  set_run(peer, origin, part.run);
  const bool shown = is_shown(peer, origin, part);
  count(part, shown, 1);
  if (shown) {
    set_visible(peer, key, part, true);
  }
  origin.parts.emplace(key, std::move(part));
}

void Names::on_record(const RecordChanged& change) {
  if (change.origin == options_.self || change.key.kind != RecordKind::Name) {
    return;
  }
  if (change.key == kRunKey) {
    const auto run = change.value ? decode_run(*change.value) : Result<RunOfNames>(RunOfNames{});
    stats_.records_refused += run.ok() ? 0U : 1U;
    if (run.ok() && change.value) {
      on_run(change.origin, run.value());
    }
    return;
  }
  auto part = change.value ? decode_names(*change.value) : Result<NamesOfPart>(NamesOfPart{});
  const auto key = decode_name_key(change.key);
  if (!key.ok()) {
    ++stats_.records_refused;
    return;
  }
  forget(change.origin, key.value());
  if (!part.ok()
      || stats_.entries + stats_.suspended + part.value().entries.size() > options_.entries_max) {
    ++stats_.records_refused;
    return;
  }
  if (change.value) {
    learn(change.origin, key.value(), std::move(part).value());
  }
}

void Names::on_run(PeerName peer, const RunOfNames& run) {
  Origin& origin = others_[peer];
  set_run(peer, origin, run.run);
  // While a run that we have lost is out of reach, its word comes out of somebody's memory: what it
  // has withdrawn since may not have come. A run that we have never met had nothing to lose.
  const bool is_remembered = !reachable_.contains(peer) && origin.missed == run.run;
  if (run.run == origin.run && !is_remembered) {
    set_trusted(peer, true);
  }
}

void Names::set_trusted(PeerName peer, bool trusted) {
  Origin& origin = others_[peer];
  awaited_.erase(peer);
  if (origin.trusted == trusted) {
    return;
  }
  if (trusted) {
    origin.trusted = true;
    show_all(peer, true);
  } else {
    show_all(peer, false);
    origin.trusted = false;
  }
}

void Names::on_peer_reachable(TimePoint now, PeerName peer) {
  if (!reachable_.insert(peer).second) {
    return;
  }
  const auto at = others_.find(peer);
  if (at != others_.end() && std::exchange(at->second.missed, std::nullopt)) {
    say_due_ = std::min(say_due_, now + kSayDelay);
  }
  if (at != others_.end() && at->second.trusted) {
    show_all(peer, true);
  } else {
    awaited_[peer] = now + kAwaitMax;
  }
}

void Names::on_peer_unreachable(PeerName peer) {
  set_trusted(peer, false);
  if (reachable_.erase(peer) > 0) {
    Origin& origin = others_[peer];
    origin.missed = origin.run;
  }
}

void Names::on_deadline(TimePoint now, NamesActions& out) {
  if (say_due_ <= now) {
    say_due_ = kNever;
    start(out);
  }
  for (auto at = awaited_.begin(); at != awaited_.end();) {
    const auto [peer, due] = *at++;
    if (due <= now) {
      set_trusted(peer, true);
    }
  }
}

TimePoint Names::next_deadline() const {
  TimePoint due = say_due_;
  for (const auto& [peer, awaited] : awaited_) {
    due = std::min(due, awaited);
  }
  return due;
}

// Precondition: it is trusted, and of its latest run nothing is shown, or everything.
void Names::show_all(PeerName peer, bool visible) {
  const auto at = others_.find(peer);
  if (at == others_.end()) {
    return;
  }
  for (const auto& [key, part] : at->second.parts) {
    if (is_shown(peer, at->second, part)) {
      count(part, !visible, -1);
      count(part, visible, 1);
      set_visible(peer, key, part, visible);
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
  for (const auto& [peer, origin] : others_) {
    for (const auto& [key, part] : origin.parts) {
      for (const NameEntry& entry : part.entries) {
        listed.push_back({.entry = entry,
                          .origin = peer,
                          .owner = key.owner,
                          .suspended = !is_shown(peer, origin, part)});
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
  for (const auto& [peer, origin] : others_) {
    WEFT_ASSERT(peer != options_.self);
    for (const auto& [key, part] : origin.parts) {
      WEFT_ASSERT(part.run <= origin.run);
      (is_shown(peer, origin, part) ? shown : suspended) += part.entries.size();
    }
  }
  WEFT_ASSERT(own == stats_.own_entries);
  WEFT_ASSERT(shown == stats_.entries);
  WEFT_ASSERT(suspended == stats_.suspended);
}

}  // namespace weft::dns
