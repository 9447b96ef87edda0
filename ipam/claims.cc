#include "ipam/claims.h"

#include "base/assert.h"

namespace weft::ipam {

void Claims::add(const std::string& owner, const Cidr& address) {
  const Holding holding{.owner = owner, .prefix = address.prefix()};
  const bool is_new = by_address_.emplace(address.address(), holding).second;
  WEFT_ASSERT(is_new);
  by_owner_[owner].insert(address.address());
}

void Claims::remove(const Ip& address) {
  const auto it = by_address_.find(address);
  WEFT_ASSERT(it != by_address_.end());
  const auto owner = by_owner_.find(it->second.owner);
  WEFT_ASSERT(owner != by_owner_.end());
  owner->second.erase(address);
  if (owner->second.empty()) {
    by_owner_.erase(owner);
  }
  by_address_.erase(it);
}

const Claims::Holding* Claims::find(const Ip& address) const {
  const auto it = by_address_.find(address);
  return it == by_address_.end() ? nullptr : &it->second;
}

std::vector<Ip> Claims::addresses_of(const std::string& owner) const {
  const auto it = by_owner_.find(owner);
  if (it == by_owner_.end()) {
    return {};
  }
  return {it->second.begin(), it->second.end()};
}

std::optional<Cidr> Claims::held_in(const std::string& owner, const Cidr& subnet) const {
  const auto held = by_owner_.find(owner);
  if (held == by_owner_.end()) {
    return std::nullopt;
  }
  const auto first = held->second.lower_bound(subnet.first());
  for (auto it = first; it != held->second.end() && *it <= subnet.last(); ++it) {
    if (by_address_.at(*it).prefix == subnet.prefix()) {
      return Cidr(*it, subnet.prefix());
    }
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, Cidr>> Claims::all() const {
  std::vector<std::pair<std::string, Cidr>> list;
  list.reserve(by_address_.size());
  for (const auto& [owner, addresses] : by_owner_) {
    for (const Ip& address : addresses) {
      list.emplace_back(owner, Cidr(address, by_address_.at(address).prefix));
    }
  }
  return list;
}

}  // namespace weft::ipam
