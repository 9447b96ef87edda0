#include "dns/zone.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/assert.h"
#include "dns/message.h"

namespace weft::dns {

namespace {

constexpr std::size_t kV4Size = 4;
constexpr std::size_t kV6Size = 16;
constexpr unsigned kShardBits = 10;
static_assert(kShardCount == 1U << kShardBits);
// The counts in front of a node's data: four of addresses, the size of all services.
constexpr std::size_t kCountsSize = 4 * 2 + 4;

// Eight octets at a time through a multiplication; the seed keeps others from aiming at a slot.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  std::uint64_t hash = seed ^ (text.size() * kOdd);
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * kOdd;
    hash ^= hash >> 29U;
  };
  std::uint64_t word = 0;
  while (text.size() >= sizeof(word)) {
    std::memcpy(&word, text.data(), sizeof(word));
    mix(word);
    text.remove_prefix(sizeof(word));
  }
  word = 0;
  std::memcpy(&word, text.data(), text.size());
  mix(word);
  hash *= 0xbf58476d1ce4e5b9;
  return hash ^ (hash >> 32U);
}

std::uint32_t tag_of(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32U);
}

std::size_t slot_of(std::uint64_t hash, std::size_t slot_count) {
  return (hash >> kShardBits) & (slot_count - 1);
}

std::size_t word_at(ByteView octets, std::size_t at) {
  return (static_cast<std::size_t>(octets[at]) << 8U) | octets[at + 1];
}

std::string soa_data(const Zone::Settings& settings) {
  // The serial says nothing: there are no secondaries to tell that something changed. Negative
  // answers live as long as others.
  constexpr std::uint32_t kSerial = 1;
  constexpr std::uint32_t kHour = 3600;
  std::string data = Name::parse("ns").value().within(settings.domain).value_or(Name()).wire();
  data += Name::parse("hostmaster").value().within(settings.domain).value_or(Name()).wire();
  for (const std::uint32_t number : {kSerial, kHour, kHour, kHour, settings.ttl_seconds}) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      data += static_cast<char>(number >> shift);
    }
  }
  return data;
}

// Without what says that it is a service: _http._tcp.web.weft.local is one of web.weft.local.
Name host_of_service(Name name) {
  while (name.wire().size() > 1 && name.wire()[1] == '_') {
    name = name.parent();
  }
  return name;
}

// Each service's own target, so that port and address stay together: 10-32-0-5.web.weft.local.
std::optional<Name> target_of(const ZoneEntry& entry) {
  std::string label = entry.address.to_string();
  std::replace_if(
      label.begin(), label.end(), [](char c) { return c == '.' || c == ':'; }, '-');
  const auto target = Name::parse(label).value().within(host_of_service(entry.name));
  return target.ok() ? std::optional(target.value()) : std::nullopt;
}

void append_u16(std::size_t number, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(number >> 8U));
  out.push_back(static_cast<std::uint8_t>(number));
}

void append_name(const Name& name, Bytes& out) {
  const ByteView wire = as_bytes(name.wire());
  out.push_back(static_cast<std::uint8_t>(wire.size()));
  out.insert(out.end(), wire.begin(), wire.end());
}

}  // namespace

std::optional<Zone::Node> Zone::find(std::string_view folded) const {
  const std::uint64_t hash = hash_of(folded, seed_);
  const Shard* shard = shards_[hash & (kShardCount - 1)].get();
  if (shard == nullptr) {
    return std::nullopt;
  }
  for (std::size_t slot = slot_of(hash, shard->slots.size());;
       slot = (slot + 1) & (shard->slots.size() - 1)) {
    const auto [tag, at] = shard->slots[slot];
    if (at == 0) {
      return std::nullopt;
    }
    if (tag != tag_of(hash)) {
      continue;
    }
    ByteView rest = ByteView(shard->octets).subspan(at - 1);
    const std::size_t name_size = rest[0];
    if (as_text(rest.subspan(1, name_size)) != folded) {
      continue;
    }
    rest = rest.subspan(1 + name_size);
    const std::size_t v4_size = word_at(rest, 0) * kV4Size;
    const std::size_t v6_size = word_at(rest, 4) * kV6Size;
    const std::size_t services_size = (word_at(rest, 8) << 16U) | word_at(rest, 10);
    Node node{.v4 = {}, .v6 = {}, .services = {}, .pointer = {}};
    node.v4_local_count = word_at(rest, 2);
    node.v6_local_count = word_at(rest, 6);
    rest = rest.subspan(kCountsSize);
    node.v4 = rest.first(v4_size);
    node.v6 = rest.subspan(v4_size, v6_size);
    node.services = rest.subspan(v4_size + v6_size, services_size);
    rest = rest.subspan(v4_size + v6_size + services_size);
    node.pointer = as_text(rest.subspan(1, rest[0]));
    return node;
  }
}

// ZoneBuilder ---------------------------------------------------------------------------------

ZoneBuilder::ZoneBuilder(Zone::Settings settings, std::uint64_t seed) {
  auto zone = std::make_shared<Zone>();
  zone->settings_ = std::move(settings);
  zone->seed_ = seed;
  zone->domain_folded_ = zone->settings_.domain.folded();
  zone->soa_ = soa_data(zone->settings_);
  horizon_ = zone->horizon_;
  last_ = std::move(zone);
  // The domain itself exists without anything below it.
  touch(std::string(last_->domain_folded())).children = 1;
}

std::size_t ZoneBuilder::shard_of(std::string_view folded) const {
  return hash_of(folded, last_->seed_) & (kShardCount - 1);
}

ZoneBuilder::Node& ZoneBuilder::touch(const std::string& folded) {
  const std::size_t index = shard_of(folded);
  stale_.insert(index);
  return shards_[index][folded];
}

void ZoneBuilder::drop_if_empty(const std::string& folded) {
  Shard& shard = shards_[shard_of(folded)];
  const auto at = shard.find(folded);
  if (at != shard.end() && at->second.is_empty()) {
    shard.erase(at);
  }
}

void ZoneBuilder::change(const ZoneEntry& entry, Change change) {
  if (!entry.name.is_within(last_->settings().domain)) {
    return;
  }
  const Member host{.address = entry.address,
                    .port = 0,
                    .target = {},
                    .origin = entry.origin,
                    .owner = entry.owner,
                    .local = entry.local};
  if (entry.port == 0) {
    change_member(entry.name, host, change);
    change_pointer(Name::reverse_of(entry.address),
                   {.name = entry.name, .origin = entry.origin, .owner = entry.owner},
                   change);
    return;
  }
  const auto target = target_of(entry);
  if (!target) {
    return;
  }
  Member service = host;
  service.port = entry.port;
  service.target = *target;
  change_member(entry.name, service, change);
  change_member(*target, host, change);
}

void ZoneBuilder::change_member(const Name& name, const Member& member, Change change) {
  const std::string folded = name.folded();
  Node& node = touch(folded);
  const bool was_empty = node.is_empty();
  if (change == Change::Add) {
    node.members.insert(member);
  } else {
    const auto at = node.members.find(member);
    WEFT_ASSERT(at != node.members.end());
    node.members.erase(at);
  }
  stats_.names += change == Change::Add && node.members.size() == 1 ? 1U : 0U;
  stats_.names -= change == Change::Remove && node.members.empty() ? 1U : 0U;
  const bool is_empty = node.is_empty();
  if (is_empty) {
    drop_if_empty(folded);
  }
  // What is above it exists as long as it does.
  Name above = name;
  for (bool differs = was_empty != is_empty; differs;) {
    above = above.parent();
    const std::string key = above.folded();
    if (key == last_->domain_folded() || above.is_root()) {
      return;
    }
    Node& parent = touch(key);
    const bool parent_was_empty = parent.is_empty();
    parent.children = change == Change::Add ? parent.children + 1 : parent.children - 1;
    differs = parent_was_empty != parent.is_empty();
    drop_if_empty(key);
  }
}

void ZoneBuilder::change_pointer(const Name& name, const Pointer& pointer, Change change) {
  const std::string folded = name.folded();
  Node& node = touch(folded);
  if (change == Change::Add) {
    node.pointers.insert(pointer);
    return;
  }
  const auto at = node.pointers.find(pointer);
  WEFT_ASSERT(at != node.pointers.end());
  node.pointers.erase(at);
  drop_if_empty(folded);
}

void ZoneBuilder::set_horizon(Horizon horizon) {
  if (horizon != *horizon_) {
    horizon_ = std::make_shared<const Horizon>(std::move(horizon));
  }
}

std::shared_ptr<const Zone> ZoneBuilder::build() {
  if (!is_stale()) {
    return last_;
  }
  auto zone = std::make_shared<Zone>(*last_);
  zone->horizon_ = horizon_;
  for (const std::size_t index : std::exchange(stale_, {})) {
    zone->shards_[index] = build_shard(shards_[index]);
  }
  zone->name_count_ = stats_.names;
  last_ = zone;
  return zone;
}

std::shared_ptr<const Zone::Shard> ZoneBuilder::build_shard(const Shard& from) {
  if (from.empty()) {
    return nullptr;
  }
  auto shard = std::make_shared<Zone::Shard>();
  std::size_t slot_count = 2;
  while (slot_count < 2 * from.size()) {
    slot_count *= 2;
  }
  shard->slots.resize(slot_count);
  for (const auto& [folded, node] : from) {
    const std::uint64_t hash = hash_of(folded, last_->seed_);
    std::size_t slot = slot_of(hash, slot_count);
    while (shard->slots[slot].at != 0) {
      slot = (slot + 1) & (slot_count - 1);
    }
    WEFT_ASSERT(shard->octets.size() < std::numeric_limits<std::uint32_t>::max());
    shard->slots[slot] = {.tag = tag_of(hash),
                          .at = static_cast<std::uint32_t>(shard->octets.size() + 1)};
    write_node(folded, node, shard->octets);
  }
  shard->octets.shrink_to_fit();
  return shard;
}

namespace {

// Addresses of one family, each once, local ones first.
struct Addresses {
  std::vector<Ip> local;
  std::vector<Ip> remote;

  std::size_t size() const { return local.size() + remote.size(); }
};

void append_addresses(const Addresses& addresses, Bytes& out) {
  for (const auto* group : {&addresses.local, &addresses.remote}) {
    for (const Ip& address : *group) {
      const Bytes octets = address.bytes();
      out.insert(out.end(), octets.begin(), octets.end());
    }
  }
}

}  // namespace

void ZoneBuilder::write_node(const std::string& folded, const Node& node, Bytes& out) {
  Addresses v4;
  Addresses v6;
  Bytes services;
  std::size_t service_count = 0;
  std::map<Ip, bool> is_local;
  const Member* last_service = nullptr;
  for (const Member& member : node.members) {
    if (member.port == 0) {
      is_local[member.address] |= member.local;
      continue;
    }
    const bool is_same = last_service != nullptr && last_service->port == member.port
                         && last_service->target == member.target;
    last_service = &member;
    if (is_same || service_count == kAddressesMax) {
      stats_.addresses_refused += is_same ? 0U : 1U;
      continue;
    }
    ++service_count;
    append_u16(member.port, services);
    append_name(member.target, services);
  }
  for (const auto& [address, local] : is_local) {
    Addresses& family = address.is_v4() ? v4 : v6;
    if (family.size() == kAddressesMax) {
      ++stats_.addresses_refused;
      continue;
    }
    (local ? family.local : family.remote).push_back(address);
  }
  out.push_back(static_cast<std::uint8_t>(folded.size()));
  const ByteView name = as_bytes(folded);
  out.insert(out.end(), name.begin(), name.end());
  append_u16(v4.size(), out);
  append_u16(v4.local.size(), out);
  append_u16(v6.size(), out);
  append_u16(v6.local.size(), out);
  append_u16(services.size() >> 16U, out);
  append_u16(services.size(), out);
  append_addresses(v4, out);
  append_addresses(v6, out);
  out.insert(out.end(), services.begin(), services.end());
  if (node.pointers.empty()) {
    out.push_back(0);
  } else {
    append_name(node.pointers.begin()->name, out);
  }
}

}  // namespace weft::dns
