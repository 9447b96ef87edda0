#include "router/datapath/endpoint_table.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::router {
namespace {

// Erases `value` from the set under `key`, and the set when it is empty.
template <class Key, class Value>
void unlink(std::map<Key, std::set<Value>>& index, const Key& key, const Value& value) {
  const auto it = index.find(key);
  WEFT_ASSERT(it != index.end());
  it->second.erase(value);
  if (it->second.empty()) {
    index.erase(it);
  }
}

}  // namespace

bool EndpointTable::set_local(Mac mac, Local local) {
  // An address named twice counts once.
  std::sort(local.addresses.begin(), local.addresses.end());
  local.addresses.erase(std::unique(local.addresses.begin(), local.addresses.end()),
                        local.addresses.end());
  const auto it = locals_.find(mac);
  if (it != locals_.end() && it->second == local) {
    return false;
  }
  remove_local(mac);
  for (const Ip& address : local.addresses) {
    local_addresses_[address].insert(mac);
  }
  locals_.insert_or_assign(mac, std::move(local));
  return true;
}

bool EndpointTable::remove_local(Mac mac) {
  const auto it = locals_.find(mac);
  if (it == locals_.end()) {
    return false;
  }
  for (const Ip& address : it->second.addresses) {
    unlink(local_addresses_, address, mac);
  }
  locals_.erase(it);
  return true;
}

void EndpointTable::set_claim(PeerName origin, Mac mac, std::vector<Ip> addresses) {
  remove_claim(origin, mac);
  for (const Ip& address : addresses) {
    claimed_addresses_[address].emplace(origin, mac);
  }
  claims_[mac].insert_or_assign(origin, std::move(addresses));
  claimed_by_[origin].insert(mac);
  ++claim_count_;
}

bool EndpointTable::remove_claim(PeerName origin, Mac mac) {
  if (!has_claim(origin, mac)) {
    return false;
  }
  const auto claims = claims_.find(mac);
  const auto claim = claims->second.find(origin);
  const std::set<Ip> addresses(claim->second.begin(), claim->second.end());
  for (const Ip& address : addresses) {
    unlink(claimed_addresses_, address, std::pair(origin, mac));
  }
  claims->second.erase(claim);
  if (claims->second.empty()) {
    claims_.erase(claims);
  }
  unlink(claimed_by_, origin, mac);
  --claim_count_;
  return true;
}

bool EndpointTable::has_claim(PeerName origin, Mac mac) const {
  const auto it = claims_.find(mac);
  return it != claims_.end() && it->second.contains(origin);
}

std::set<Mac> EndpointTable::claimed_by(PeerName origin) const {
  const auto it = claimed_by_.find(origin);
  return it != claimed_by_.end() ? it->second : std::set<Mac>{};
}

std::vector<Ip> EndpointTable::claimed_addresses(PeerName origin, Mac mac) const {
  return has_claim(origin, mac) ? claims_.at(mac).at(origin) : std::vector<Ip>{};
}

std::vector<Ip> EndpointTable::local_addresses(Mac mac) const {
  const auto it = locals_.find(mac);
  return it != locals_.end() ? it->second.addresses : std::vector<Ip>{};
}

void EndpointTable::set_underlay(PeerName peer, std::optional<Ip> underlay) {
  if (underlay) {
    underlays_.insert_or_assign(peer, *underlay);
  } else {
    underlays_.erase(peer);
  }
}

std::optional<Ip> EndpointTable::underlay(PeerName peer) const {
  const auto it = underlays_.find(peer);
  return it != underlays_.end() ? std::optional(it->second) : std::nullopt;
}

bool EndpointTable::is_underlay_used(const Ip& underlay) const {
  return std::any_of(underlays_.begin(), underlays_.end(), [&underlay](const auto& entry) {
    return entry.second == underlay;
  });
}

std::optional<Placement> EndpointTable::placement(Mac mac) const {
  if (const auto local = locals_.find(mac); local != locals_.end()) {
    return local->second.ifindex ? std::optional(Placement(*local->second.ifindex)) : std::nullopt;
  }
  const auto claims = claims_.find(mac);
  if (claims == claims_.end()) {
    return std::nullopt;
  }
  for (const auto& [origin, addresses] : claims->second) {
    if (const auto at = underlays_.find(origin); at != underlays_.end()) {
      return Placement(at->second);
    }
  }
  return std::nullopt;
}

std::optional<Mac> EndpointTable::remote_owner(const Ip& address) const {
  const auto it = claimed_addresses_.find(address);
  if (it == claimed_addresses_.end()) {
    return std::nullopt;
  }
  for (const auto& [origin, mac] : it->second) {
    if (underlays_.contains(origin)) {
      return mac;
    }
  }
  return std::nullopt;
}

std::size_t EndpointTable::local_count() const {
  const auto count = std::count_if(locals_.begin(), locals_.end(), [](const auto& entry) {
    return entry.second.ifindex.has_value();
  });
  return static_cast<std::size_t>(count);
}

void EndpointTable::check_invariants() const {
  std::size_t count = 0;
  for (const auto& [mac, claims] : claims_) {
    WEFT_ASSERT(!claims.empty());
    count += claims.size();
    for (const auto& [origin, addresses] : claims) {
      WEFT_ASSERT(claimed_by_.at(origin).contains(mac));
      for (const Ip& address : addresses) {
        WEFT_ASSERT(claimed_addresses_.at(address).contains(std::pair(origin, mac)));
      }
    }
  }
  WEFT_ASSERT(count == claim_count_);
  for (const auto& [address, owners] : claimed_addresses_) {
    WEFT_ASSERT(!owners.empty());
    for (const auto& [origin, mac] : owners) {
      WEFT_ASSERT(has_claim(origin, mac));
    }
  }
  for (const auto& [address, macs] : local_addresses_) {
    WEFT_ASSERT(!macs.empty());
    for (const Mac mac : macs) {
      WEFT_ASSERT(locals_.contains(mac));
    }
  }
}

}  // namespace weft::router
