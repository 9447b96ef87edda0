#include "router/overlay/records.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/rng.h"

namespace weft::router {
namespace {

// What a record costs on the wire beside its key and value: tags, lengths, sequence.
constexpr std::size_t kRecordOverhead = 24;

std::size_t cost(const RecordKey& key, const std::optional<Bytes>& value) {
  return key.key.size() + (value ? value->size() : 0) + kRecordOverhead;
}

// Of one origin at one version; not against an adversary, who could simply keep quiet.
std::uint64_t mix(PeerName name, OriginVersion version) {
  return Rng(name.number() ^ Rng(version.incarnation.value() ^ Rng(version.sequence).next()).next())
      .next();
}

}  // namespace

RecordStore::RecordStore(Options options) : options_(options) {
  WEFT_ASSERT(options_.origins_max > 0);
  Origin& own = origins_[options_.self];
  own.held = {options_.incarnation, 0};
  if (options_.incarnation.value() <= 1) {
    own.floor = 0;  // There are no earlier runs.
  }
  hash_ = mix(options_.self, own.held);
}

void RecordStore::advance(PeerName name, Origin& origin, OriginVersion to) {
  hash_ ^= mix(name, origin.held) ^ mix(name, to);
  origin.held = to;
}

RecordStore::Records::iterator RecordStore::lower_bound(Origin& origin, const RecordKey& key) {
  return std::lower_bound(
      origin.records.begin(), origin.records.end(), key, [](const auto& record, const auto& k) {
        return record->key < k;
      });
}

const HeldRecord* RecordStore::look_up(const Origin& origin, const RecordKey& key) {
  const auto at = std::lower_bound(
      origin.records.begin(), origin.records.end(), key, [](const auto& record, const auto& k) {
        return record->key < k;
      });
  return at == origin.records.end() || (*at)->key != key ? nullptr : at->get();
}

bool RecordStore::publish(const PublishRecord& record) {
  Origin& own = self();
  const HeldRecord* known = look_up(own, record.key);
  const bool alive = known != nullptr && known->value.has_value();
  if (!record.value && !alive) {
    return true;  // Withdrawing what nobody was told changes nothing.
  }
  if (alive && known->value == record.value) {
    return true;
  }
  if (!fits(own, record.key, record.value)) {
    ++refused_;
    return false;
  }
  const OriginVersion next{own.held.incarnation, own.held.sequence + 1};
  put(options_.self, own, {record.key, next.incarnation, next.sequence, record.value});
  advance(options_.self, own, next);
  if (!record.value) {
    compact_if_due();
  }
  return true;
}

void RecordStore::complete() {
  Origin& own = self();
  if (!own.floor) {
    own.floor = 0;
    advance(options_.self, own, {own.held.incarnation, own.held.sequence + 1});
  }
}

void RecordStore::restate() {
  Origin& own = self();
  own.floor = own.held.sequence;
  Records living;
  for (HeldRecordPtr& record : own.records) {
    if (record->value) {
      living.push_back(std::move(record));
    }
  }
  own.records.clear();
  own.bytes = 0;
  OriginVersion next = own.held;
  for (const HeldRecordPtr& record : living) {
    next.sequence += 1;
    put(options_.self, own, {record->key, next.incarnation, next.sequence, record->value});
  }
  // The floor itself is news, even of an origin with nothing to say.
  if (living.empty()) {
    next.sequence += 1;
  }
  advance(options_.self, own, next);
}

void RecordStore::compact_if_due() {
  const Origin& own = self();
  const std::size_t living = record_count(options_.self);
  const std::size_t dead = own.records.size() - living;
  // Until the first floor, silence about a record means "not stated yet": only the owner of the
  // store knows when that is over.
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
  const bool known = look_up(origin, key) != nullptr;
  if (!value) {
    // A full table can still be emptied; withdrawals of what we never heard of have their own end.
    return known || origin.records.size() < 2 * options_.records_max;
  }
  if ((key.kind == RecordKind::Peer || key.kind == RecordKind::Links) && key.key.empty()) {
    return true;  // Without them the peer would not be on the map at all.
  }
  return (known || origin.records.size() < options_.records_max)
         && origin.bytes + cost(key, value) <= options_.origin_bytes_max;
}

void RecordStore::put(PeerName name, Origin& origin, HeldRecord record) {
  auto at = lower_bound(origin, record.key);
  origin.bytes += static_cast<std::uint32_t>(cost(record.key, record.value));
  HeldRecordPtr held = options_.pool != nullptr
                           ? options_.pool->share(name, std::move(record))
                           : std::make_shared<const HeldRecord>(std::move(record));
  if (at != origin.records.end() && (*at)->key == held->key) {
    origin.bytes -= static_cast<std::uint32_t>(cost((*at)->key, (*at)->value));
    *at = std::move(held);
    return;
  }
  if (origin.records.empty()) {
    origin.records.reserve(2);  // Most origins state a Peer and a Links record and no more.
    at = origin.records.end();
  }
  origin.records.insert(at, std::move(held));
}

void RecordStore::drop(Origin& origin, Records::iterator at) {
  origin.bytes -= static_cast<std::uint32_t>(cost((*at)->key, (*at)->value));
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
    hash_ ^= mix(part.origin, at->second.held);
  }
  Origin& origin = at->second;
  if (OriginVersion{part.incarnation, part.through} <= origin.held) {
    return nullptr;
  }
  if (origin.buried) {
    // It lives after all; what was dropped has to come again.
    origin = Origin();
    origin.held = {part.incarnation, 0};
    hash_ ^= mix(part.origin, origin.held);
  }
  if (part.incarnation > origin.held.incarnation) {
    advance(part.origin, origin, {part.incarnation, 0});
    origin.floor.reset();
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
    const HeldRecord* known = look_up(origin, record.key);
    const bool alive = known != nullptr && known->value.has_value();
    const bool news = record.value ? !alive || known->value != record.value : alive;
    if (!fits(origin, record.key, record.value)) {
      ++refused_;
      if (known == nullptr) {
        continue;
      }
      // What we held is no longer true, and what is true we cannot hold.
      drop(origin, lower_bound(origin, record.key));
      if (alive) {
        out.changes.push_back({part.origin, record.key, std::nullopt});
      }
      continue;
    }
    put(part.origin, origin, {record.key, origin.held.incarnation, record.sequence, record.value});
    if (news) {
      out.changes.push_back({part.origin, record.key, record.value});
    }
  }
  advance(part.origin, origin, {origin.held.incarnation, part.through});
  if (part.floor && origin.floor != part.floor) {
    origin.floor = std::max(origin.floor.value_or(0), *part.floor);
    sweep(origin, part.origin, out);
  }
  out.advanced.push_back(part.origin);
}

// Drops what the floor says is gone: records of earlier incarnations and not above the floor.
void RecordStore::sweep(Origin& origin, PeerName name, Merged& out) {
  std::size_t kept = 0;
  for (HeldRecordPtr& record : origin.records) {
    if (record->incarnation == origin.held.incarnation && record->sequence > *origin.floor) {
      std::swap(origin.records[kept++], record);
      continue;
    }
    origin.bytes -= static_cast<std::uint32_t>(cost(record->key, record->value));
    if (record->value) {
      out.changes.push_back({name, record->key, std::nullopt});
    }
  }
  origin.records.resize(kept);
}

Digest RecordStore::digest() const {
  Digest digest;
  for (const auto& [name, origin] : origins_) {
    digest.emplace_hint(digest.end(), name, origin.held);
  }
  return digest;
}

Digest RecordStore::digest(PeerName first, PeerName last) const {
  Digest digest;
  for (auto at = origins_.lower_bound(first); at != origins_.end() && at->first <= last; ++at) {
    if (!at->second.buried) {
      digest.emplace_hint(digest.end(), at->first, at->second.held);
    }
  }
  return digest;
}

RecordStore::Range RecordStore::range(PeerName first, PeerName last) const {
  Range range;
  for (auto at = origins_.lower_bound(first); at != origins_.end() && at->first <= last; ++at) {
    if (!at->second.buried) {
      range.count += 1;
      range.fingerprint ^= mix(at->first, at->second.held);
    }
  }
  return range;
}

std::optional<OriginVersion> RecordStore::version(PeerName origin) const {
  const auto at = origins_.find(origin);
  return at == origins_.end() ? std::nullopt : std::optional(at->second.held);
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
  std::vector<const HeldRecord*> lacking;
  for (const HeldRecordPtr& record : origin.records) {
    if (record->incarnation == part.incarnation && record->sequence > part.after) {
      lacking.push_back(record.get());
    }
  }
  std::sort(lacking.begin(), lacking.end(), [](const HeldRecord* a, const HeldRecord* b) {
    return a->sequence < b->sequence;
  });
  part.records.reserve(lacking.size());
  std::size_t bytes = 0;
  for (const HeldRecord* record : lacking) {
    bytes += cost(record->key, record->value);
    if (bytes > bytes_max && !part.records.empty()) {
      return part;
    }
    part.records.push_back({record->key, record->sequence, record->value});
    part.through = record->sequence;
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
  const HeldRecord* record = look_up(origin->second, key);
  return record == nullptr || !record->value ? nullptr : &*record->value;
}

std::size_t RecordStore::record_count(PeerName name) const {
  const auto origin = origins_.find(name);
  if (origin == origins_.end()) {
    return 0;
  }
  const Records& records = origin->second.records;
  return static_cast<std::size_t>(
      std::count_if(records.begin(), records.end(), [](const auto& record) {
        return record->value.has_value();
      }));
}

std::vector<RecordChanged> RecordStore::bury(PeerName name) {
  WEFT_ASSERT(name != options_.self);
  std::vector<RecordChanged> changes;
  const auto at = origins_.find(name);
  if (at == origins_.end() || at->second.buried) {
    return changes;
  }
  for (const HeldRecordPtr& record : at->second.records) {
    if (record->value) {
      changes.push_back({name, record->key, std::nullopt});
    }
  }
  const OriginVersion held = at->second.held;
  hash_ ^= mix(name, held);
  at->second = Origin();
  at->second.held = held;
  at->second.buried = true;
  return changes;
}

void RecordStore::erase(PeerName name) {
  WEFT_ASSERT(name != options_.self);
  if (const auto at = origins_.find(name); at != origins_.end()) {
    hash_ ^= at->second.buried ? 0 : mix(name, at->second.held);
    origins_.erase(at);
  }
}

void RecordStore::check_invariants() const {
  WEFT_ASSERT(origins_.contains(options_.self));
  WEFT_ASSERT(origins_.size() <= options_.origins_max);
  std::uint64_t hash = 0;
  for (const auto& [name, origin] : origins_) {
    hash ^= origin.buried ? 0 : mix(name, origin.held);
    std::size_t bytes = 0;
    const RecordKey* last = nullptr;
    for (const HeldRecordPtr& record : origin.records) {
      bytes += cost(record->key, record->value);
      WEFT_ASSERT(last == nullptr || *last < record->key);
      last = &record->key;
      WEFT_ASSERT(record->incarnation <= origin.held.incarnation);
      WEFT_ASSERT(record->incarnation < origin.held.incarnation
                  || record->sequence <= origin.held.sequence);
    }
    WEFT_ASSERT(bytes == origin.bytes);
    WEFT_ASSERT(!origin.buried || origin.records.empty());
  }
  WEFT_ASSERT(hash == hash_);
}

}  // namespace weft::router
