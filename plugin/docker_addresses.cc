#include "plugin/docker_addresses.h"

#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "plugin/docker_networks.h"

namespace weft::plugin {
namespace {

// libnetwork asks for another default pool for as long as the one it gets overlaps a route of the
// host, with no end and nothing in between. Between two networks that people create there is always
// a CreateNetwork.
constexpr std::size_t kDefaultPoolsInARowMax = 8;

Result<Ip> parse_address(const DockerPool& pool, const std::string& text) {
  const Ip address = WEFT_TRY(Ip::parse(text));
  if (!pool.subnet.contains(address)) {
    return Error{Errc::Invalid,
                 fmt::format("address {} is not in subnet {}", text, pool.subnet.to_string())};
  }
  return address;
}

}  // namespace

std::optional<Cidr> DockerAddresses::range_of(const Cidr& block) const {
  return block.is_v4() ? options_.range : options_.range_v6;
}

bool DockerAddresses::is_served(const Cidr& block) const {
  const std::optional<Cidr> range = range_of(block);
  return range && range->overlaps(block);
}

Result<Cidr> DockerAddresses::default_subnet(const PoolCall& call) const {
  if (!call.v6 && !options_.range) {
    return Error{Errc::Invalid,
                 "this agent has no address range (--ipalloc-range): name the network's subnet "
                 "with --subnet and give each container its address with --ip"};
  }
  if (!call.v6) {
    return options_.default_subnet;
  }
  if (!options_.range_v6) {
    return Error{Errc::Invalid,
                 "this agent has no IPv6 range: name the network's IPv6 subnet with --subnet and "
                 "give each container its address with --ip6, or launch the agents with such as "
                 "--ipalloc-range 10.32.0.0/12,fd00:32::/48"};
  }
  return options_.default_subnet_v6;
}

Reply DockerAddresses::request_pool(const PoolCall& call) {
  if (!call.pool.empty()) {
    on_other_call();
    const DockerPool pool = WEFT_TRY(DockerPool::make(call.pool, call.sub_pool));
    if (pool.subnet.is_v4() == call.v6) {
      return Error{Errc::Invalid,
                   fmt::format("subnet {} is not of {}", call.pool, call.v6 ? "IPv6" : "IPv4")};
    }
    return reply_with(encode_pool(pool.id(), pool.subnet));
  }
  const Cidr subnet = WEFT_TRY(default_subnet(call));
  if (++default_pools_in_a_row_ > kDefaultPoolsInARowMax) {
    return Error{Errc::Conflict,
                 fmt::format("the default subnet {0} overlaps a route or name server of this "
                             "host: to use it all the same, name it with --subnet {0}",
                             subnet.to_string())};
  }
  const DockerPool pool = WEFT_TRY(DockerPool::make(subnet.to_string(), call.sub_pool));
  return reply_with(encode_pool(pool.id(), pool.subnet));
}

Reply DockerAddresses::request_address(RequestId id,
                                       const AddressCall& call,
                                       const DockerNetworks& networks,
                                       DockerActions& out) {
  const DockerPool pool = WEFT_TRY(DockerPool::from_id(call.pool_id));
  const Ip network = pool.subnet.first();
  // The gateway that is none: no container can have this address.
  const bool is_none = call.address == network.to_string()
                       || (call.address.empty() && !is_served(pool.chosen_from()));
  if (call.is_gateway && is_none) {
    return reply_with(encode_address(pool.with_mask(network)));
  }
  if (waiting_.size() + unbound_.size() >= options_.unbound_max) {
    ++over_limit_;
    return Error{Errc::Exhausted,
                 fmt::format("{} addresses were asked for and not used", options_.unbound_max)};
  }
  if (call.address.empty()) {
    return allocate(id, Waiting{pool, std::nullopt, call.is_gateway, false}, out);
  }
  const Ip address = WEFT_TRY(parse_address(pool, call.address));
  return claim(id, Waiting{pool, address, call.is_gateway, false}, networks, out);
}

Reply DockerAddresses::allocate(RequestId id, const Waiting& waiting, DockerActions& out) {
  const DockerPool& pool = waiting.pool;
  if (!is_served(pool.chosen_from())) {
    const std::optional<Cidr> range = range_of(pool.subnet);
    const bool is_v4 = pool.subnet.is_v4();
    const std::string known = range ? " " + range->to_string()
                                    : (is_v4 ? ", as this agent has none" : ", which has no IPv6");
    return Error{Errc::Exhausted,
                 fmt::format("{} lies outside the allocation range{}: give each container its "
                             "address with {}, or choose a subnet inside the range",
                             pool.chosen_from().to_string(),
                             known,
                             is_v4 ? "--ip" : "--ip6")};
  }
  waiting_.emplace(id, waiting);
  out.push_back(AllocateAddress{id, pool.owner(), pool.subnet, pool.within, waiting.is_gateway});
  return reply_later();
}

Reply DockerAddresses::claim(RequestId id,
                             const Waiting& waiting,
                             const DockerNetworks& networks,
                             DockerActions& out) {
  const Ip address = *waiting.claimed;
  const Cidr with_mask = waiting.pool.with_mask(address);
  if (!is_host_address(with_mask)) {
    return Error{
        Errc::Invalid,
        fmt::format("{} is the network or broadcast address of its subnet", with_mask.to_string())};
  }
  const std::string user = networks.user_of(address);
  if (!user.empty()) {
    return Error{Errc::Conflict,
                 fmt::format("address {} is used by {}", address.to_string(), user)};
  }
  if (is_spoken_for(address)) {
    return Error{Errc::Conflict,
                 fmt::format("address {} was given out just before", address.to_string())};
  }
  waiting_.emplace(id, waiting);
  out.push_back(ClaimAddress{id, waiting.pool.owner_of(address), with_mask});
  return reply_later();
}

bool DockerAddresses::is_spoken_for(const Ip& address) const {
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.claimed == address) {
      return true;
    }
  }
  return unbound_.contains(address);
}

void DockerAddresses::on_address(RequestId id,
                                 const Result<Cidr>& address,
                                 const DockerNetworks& networks,
                                 DockerActions& out) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) {
    return;
  }
  const Waiting waiting = found->second;
  if (!address.ok()) {
    waiting_.erase(found);
    if (waiting.is_gateway && !waiting.claimed && !waiting.hung_up) {
      // A network that is full, or whose peers cannot be asked, is a network all the same.
      const Cidr none = waiting.pool.with_mask(waiting.pool.subnet.first());
      out.push_back(HttpReply{id, 200, encode_address(none)});
    } else if (!waiting.hung_up) {
      Error error = address.error();
      if (waiting.is_gateway) {
        error.what += " (leave out --gateway: each host has an address of its own there)";
      }
      // 500 whatever the reason: the call itself was well formed.
      out.push_back(HttpReply{id, 500, encode_error(error.what)});
    }
    return;
  }
  const Ip given = address.value().address();
  if (waiting.hung_up) {
    waiting_.erase(found);
    release(waiting.pool, given, out);
    return;
  }
  if (!waiting.claimed && !networks.user_of(given).empty()) {
    // Somebody else's IPAM driver gave this one to an endpoint of ours. It stays taken.
    out.push_back(AllocateAddress{
        id, waiting.pool.owner(), waiting.pool.subnet, waiting.pool.within, waiting.is_gateway});
    return;
  }
  waiting_.erase(found);
  unbound_.insert_or_assign(given, waiting.pool.id());
  out.push_back(HttpReply{id, 200, encode_address(waiting.pool.with_mask(given))});
}

bool DockerAddresses::on_hangup(RequestId id, DockerActions& out) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) {
    return false;
  }
  found->second.hung_up = true;
  out.push_back(CancelAddress{id});
  return true;
}

// Only in subnets of networks of ours: where another network driver uses our IpamDriver, the agent
// has nobody who accounts for the addresses once it was restarted.
void DockerAddresses::on_held(const std::vector<std::pair<std::string, Cidr>>& held,
                              const DockerNetworks& networks,
                              DockerActions& out) {
  std::set<std::pair<std::string, Ip>> suspects;
  for (const auto& [owner, address] : held) {
    const Ip& ip = address.address();
    if (!DockerPool::is_owner(owner) || !networks.has_subnet(address.network())
        || !networks.user_of(ip).empty() || is_spoken_for(ip)) {
      continue;
    }
    if (suspects_.contains({owner, ip})) {
      out.push_back(ReleaseAddress{owner, ip});
    } else {
      suspects.emplace(owner, ip);
    }
  }
  suspects_ = std::move(suspects);
}

Reply DockerAddresses::release_address(const AddressCall& call,
                                       DockerNetworks& networks,
                                       DockerActions& out) {
  const DockerPool pool = WEFT_TRY(DockerPool::from_id(call.pool_id));
  const Ip address = WEFT_TRY(parse_address(pool, call.address));
  if (address == pool.subnet.first()) {
    return reply_with(std::string(kEmptyReply));  // The gateway that is none.
  }
  // Docker deletes the endpoint first. A release that comes late, for an endpoint of the past, must
  // not take the address away from the container that has it now.
  (void)WEFT_TRY(networks.give_up(address, out));
  unbound_.erase(address);
  release(pool, address, out);
  return reply_with(std::string(kEmptyReply));
}

void DockerAddresses::release(const DockerPool& pool, const Ip& address, DockerActions& out) {
  out.push_back(ReleaseAddress{pool.owner(), address});
  out.push_back(ReleaseAddress{pool.owner_of(address), address});
}

std::string DockerAddresses::pool_of(const Ip& address) const {
  const auto found = unbound_.find(address);
  return found != unbound_.end() ? found->second : std::string();
}

void DockerAddresses::check_invariants() const {
  WEFT_ASSERT(waiting_.size() + unbound_.size() <= options_.unbound_max);
  for (const auto& [id, waiting] : waiting_) {
    if (!waiting.claimed) {
      continue;
    }
    WEFT_ASSERT(waiting.pool.subnet.contains(*waiting.claimed));
    for (const auto& [other_id, other] : waiting_) {
      WEFT_ASSERT(other_id == id || other.claimed != waiting.claimed);
    }
  }
}

}  // namespace weft::plugin
