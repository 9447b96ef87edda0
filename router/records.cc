#include "router/records.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::router {
namespace {

// What a record costs on the wire beside its key and value: tags, lengths, sequence.
constexpr std::size_t kRecordOverhead = 24;

std::size_t cost(const RecordKey& key, const std::optional<Bytes>& value) {
  return key.key.size() + (value ? value->size() : 0) + kRecordOverhead;
}

// FNV-1a over 64-bit words with a final mix; not against an adversary, who could simply keep quiet.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x100000001b3;
  return hash ^ (hash >> 29U);
}

}  // namespace

RecordStore::RecordStore(Options options) : options_(options) {
  WEFT_ASSERT(options_.origins_max > 0);
  origins_[options_.self].held = {options_.incarnation, 0};
}

bool RecordStore::publish(const PublishRecord& record) {
  Origin& own = self();
  const auto at = own.records.find(record.key);
  const bool alive = at != own.records.end() && at->second.value.has_value();
  if (!record.value && !alive) {
    return true;  // Withdrawing what nobody was told changes nothing.
  }
  if (alive && at->second.value == record.value) {
    return true;
  }
  if (!fits(own, record.key, record.value)) {
    ++refused_;
    return false;
  }
  own.held.sequence += 1;
  put(own, record.key, {own.held.incarnation, own.held.sequence, record.value});
  if (!record.value) {
    compact_if_due();
  }
  return true;
}

void RecordStore::restate() {
  Origin& own = self();
  const std::uint64_t floor = own.held.sequence;
  std::vector<std::pair<RecordKey, Bytes>> living;
  for (const auto& [sequence, key] : own.by_sequence) {
    const Entry& entry = own.records.at(key);
    if (entry.value) {
      living.emplace_back(key, *entry.value);
    }
  }
  own.records.clear();
  own.by_sequence.clear();
  own.bytes = 0;
  for (auto& [key, value] : living) {
    own.held.sequence += 1;
    put(own, key, {own.held.incarnation, own.held.sequence, std::move(value)});
  }
  // The floor itself is news, even of an origin with nothing to say.
  if (living.empty()) {
    own.held.sequence += 1;
  }
  own.floor = floor;
}

void RecordStore::compact_if_due() {
  const Origin& own = self();
  std::size_t dead = 0;
  for (const auto& [key, entry] : own.records) {
    dead += entry.value ? 0U : 1U;
  }
  // Until the first floor, silence about a record means "not stated yet": only the owner of the
  // store knows when that is over.
  const std::size_t living = own.records.size() - dead;
  if (own.floor && dead > std::max(options_.tombstones_min, living)) {
    restate();
  }
}

bool RecordStore::fits(const Origin& origin,
                       const RecordKey& key,
                       const std::optional<Bytes>& value) const {
  if (key.key.size() > kRecordKeyMax || (value && value->size() > kRecordValueMax)) {
    return false;
  }
  const bool known = origin.records.contains(key);
  if (!value) {
    // A full table can still be emptied; withdrawals of what we never heard of have their own end.
    return known || origin.records.size() < 2 * options_.records_max;
  }
  if (key.kind == RecordKind::Peer && key.key.empty()) {
    return true;  // Without it the peer would not be on the map at all.
  }
  return (known || origin.records.size() < options_.records_max)
         && origin.bytes + cost(key, value) <= options_.origin_bytes_max;
}

void RecordStore::put(Origin& origin, const RecordKey& key, Entry entry) {
  const auto at = origin.records.find(key);
  if (at != origin.records.end()) {
    drop(origin, at);
  }
  origin.bytes += cost(key, entry.value);
  origin.by_sequence.emplace(entry.sequence, key);
  origin.records.emplace(key, std::move(entry));
}

void RecordStore::drop(Origin& origin, std::map<RecordKey, Entry>::iterator at) {
  origin.bytes -= cost(at->first, at->second.value);
  if (at->second.incarnation == origin.held.incarnation) {
    origin.by_sequence.erase(at->second.sequence);
  }
  origin.records.erase(at);
}

RecordStore::Merged RecordStore::merge(const Delta& delta) {
  Merged out;
  for (const OriginDelta& part : delta.origins) {
    if (part.origin == options_.self) {
      // Only we speak for ourselves; a lower incarnation is our own past.
      if (OriginVersion{part.incarnation, part.through} > self().held) {
        out.clone = std::max(out.clone.value_or(part.incarnation), part.incarnation);
      }
      continue;
    }
    Origin* origin = accept(part, out);
    if (origin != nullptr) {
      apply(*origin, part, out);
    }
  }
  return out;
}

// The origin to apply `part` to, or nothing if it brings no news or does not continue what we hold.
RecordStore::Origin* RecordStore::accept(const OriginDelta& part, Merged& out) {
  auto at = origins_.find(part.origin);
  if (at == origins_.end()) {
    if (part.after > 0) {
      out.gaps.push_back(part.origin);
      return nullptr;
    }
    if (origins_.size() >= options_.origins_max) {
      ++refused_;
      return nullptr;
    }
    at = origins_.try_emplace(part.origin).first;
    at->second.held = {part.incarnation, 0};
  }
  Origin& origin = at->second;
  if (OriginVersion{part.incarnation, part.through} <= origin.held) {
    return nullptr;
  }
  if (origin.buried) {
    // It lives after all; what was dropped has to come again.
    origin = Origin();
    origin.held = {part.incarnation, 0};
  }
  if (part.incarnation > origin.held.incarnation) {
    origin.held = {part.incarnation, 0};
    origin.floor.reset();
    origin.by_sequence.clear();
  }
  if (part.after > origin.held.sequence) {
    out.gaps.push_back(part.origin);
    return nullptr;
  }
  return &origin;
}

void RecordStore::apply(Origin& origin, const OriginDelta& part, Merged& out) {
  for (const OriginDelta::Record& record : part.records) {
    if (record.sequence <= origin.held.sequence) {
      continue;
    }
    const auto at = origin.records.find(record.key);
    const bool known = at != origin.records.end();
    const bool alive = known && at->second.value.has_value();
    const bool news = record.value ? !alive || at->second.value != record.value : alive;
    if (!fits(origin, record.key, record.value)) {
      ++refused_;
      if (!known) {
        continue;
      }
      // What we held is no longer true, and what is true we cannot hold.
      drop(origin, at);
      if (alive) {
        out.changes.push_back({part.origin, record.key, std::nullopt});
      }
      continue;
    }
    put(origin, record.key, {origin.held.incarnation, record.sequence, record.value});
    if (news) {
      out.changes.push_back({part.origin, record.key, record.value});
    }
  }
  origin.held.sequence = part.through;
  if (part.floor) {
    origin.floor = std::max(origin.floor.value_or(0), *part.floor);
    sweep(origin, part.origin, out);
  }
  out.advanced.push_back(part.origin);
}

// Drops what the floor says is gone: records of earlier incarnations and not above the floor.
void RecordStore::sweep(Origin& origin, PeerName name, Merged& out) {
  for (auto at = origin.records.begin(); at != origin.records.end();) {
    const auto current = at++;
    const Entry& entry = current->second;
    if (entry.incarnation == origin.held.incarnation && entry.sequence > *origin.floor) {
      continue;
    }
    if (entry.value) {
      out.changes.push_back({name, current->first, std::nullopt});
    }
    drop(origin, current);
  }
}

Digest RecordStore::digest() const {
  Digest digest;
  for (const auto& [name, origin] : origins_) {
    digest.emplace_hint(digest.end(), name, origin.held);
  }
  return digest;
}

std::optional<OriginVersion> RecordStore::version(PeerName origin) const {
  const auto at = origins_.find(origin);
  return at == origins_.end() ? std::nullopt : std::optional(at->second.held);
}

std::uint64_t RecordStore::digest_hash() const {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const auto& [name, origin] : origins_) {
    hash = mix(hash, name.number());
    hash = mix(hash, origin.held.incarnation.value());
    hash = mix(hash, origin.held.sequence);
  }
  return hash;
}

std::optional<OriginDelta> RecordStore::delta_for(PeerName name,
                                                  std::optional<OriginVersion> held,
                                                  std::size_t bytes_max) const {
  const auto at = origins_.find(name);
  if (at == origins_.end() || at->second.buried || at->second.held.sequence == 0
      || (held && *held >= at->second.held)) {
    return std::nullopt;
  }
  const Origin& origin = at->second;
  OriginDelta part;
  part.origin = name;
  part.incarnation = origin.held.incarnation;
  part.after = held && held->incarnation == origin.held.incarnation ? held->sequence : 0;
  part.through = part.after;
  std::size_t bytes = 0;
  auto next = origin.by_sequence.upper_bound(part.after);
  for (; next != origin.by_sequence.end(); ++next) {
    const Entry& entry = origin.records.at(next->second);
    bytes += cost(next->second, entry.value);
    if (bytes > bytes_max && !part.records.empty()) {
      return part;
    }
    part.records.push_back({next->second, next->first, entry.value});
    part.through = next->first;
  }
  part.through = origin.held.sequence;
  part.floor = origin.floor;
  return part;
}

const Bytes* RecordStore::find(PeerName name, const RecordKey& key) const {
  const auto origin = origins_.find(name);
  if (origin == origins_.end()) {
    return nullptr;
  }
  const auto at = origin->second.records.find(key);
  return at == origin->second.records.end() || !at->second.value ? nullptr : &*at->second.value;
}

std::size_t RecordStore::record_count(PeerName name) const {
  const auto origin = origins_.find(name);
  if (origin == origins_.end()) {
    return 0;
  }
  return static_cast<std::size_t>(std::count_if(
      origin->second.records.begin(), origin->second.records.end(), [](const auto& record) {
        return record.second.value.has_value();
      }));
}

std::vector<RecordChanged> RecordStore::bury(PeerName name) {
  WEFT_ASSERT(name != options_.self);
  std::vector<RecordChanged> changes;
  const auto at = origins_.find(name);
  if (at == origins_.end() || at->second.buried) {
    return changes;
  }
  for (const auto& [key, entry] : at->second.records) {
    if (entry.value) {
      changes.push_back({name, key, std::nullopt});
    }
  }
  const OriginVersion held = at->second.held;
  at->second = Origin();
  at->second.held = held;
  at->second.buried = true;
  return changes;
}

void RecordStore::erase(PeerName name) {
  WEFT_ASSERT(name != options_.self);
  origins_.erase(name);
}

void RecordStore::check_invariants() const {
  WEFT_ASSERT(origins_.contains(options_.self));
  WEFT_ASSERT(origins_.size() <= options_.origins_max);
  for (const auto& [name, origin] : origins_) {
    std::size_t bytes = 0;
    std::size_t current = 0;
    for (const auto& [key, entry] : origin.records) {
      bytes += cost(key, entry.value);
      WEFT_ASSERT(entry.incarnation <= origin.held.incarnation);
      if (entry.incarnation == origin.held.incarnation) {
        WEFT_ASSERT(entry.sequence <= origin.held.sequence);
        WEFT_ASSERT(origin.by_sequence.at(entry.sequence) == key);
        ++current;
      }
    }
    WEFT_ASSERT(current == origin.by_sequence.size());
    WEFT_ASSERT(bytes == origin.bytes);
    WEFT_ASSERT(!origin.buried || origin.records.empty());
  }
}

}  // namespace weft::router
