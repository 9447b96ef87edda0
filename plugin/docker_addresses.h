// The IpamDriver half of the plugin: pools, and the addresses Docker was given.
//
// Pools are spelled in their ids (plugin/docker_pool.h) and the addresses themselves are kept by
// ipam, so all that lives here is what is in flight: calls waiting for ipam, and addresses that
// were given out but that no endpoint or network has turned up for yet.
// Invariants: no address is waited for twice; waiting and unbound addresses are at most
// unbound_max.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "plugin/docker.h"
#include "plugin/docker_messages.h"
#include "plugin/docker_pool.h"
#include "plugin/docker_reply.h"

namespace weft::plugin {

class DockerNetworks;

class DockerAddresses {
 public:
  explicit DockerAddresses(const DockerDriver::Options& options) : options_(options) {}

  // A new dockerd: what the one before asked for and did not use, nobody will speak of again.
  void on_engine_started() { unbound_.clear(); }
  // Any call but RequestPool: dockerd is not looping in it.
  void on_other_call() { default_pools_in_a_row_ = 0; }

  Reply request_pool(const PoolCall& call);
  Reply request_address(RequestId id,
                        const AddressCall& call,
                        const DockerNetworks& networks,
                        DockerActions& out);
  Reply release_address(const AddressCall& call, DockerNetworks& networks, DockerActions& out);

  void on_address(RequestId id,
                  const Result<Cidr>& address,
                  const DockerNetworks& networks,
                  DockerActions& out);
  // True if the caller waited here. What it asked for is given back if it comes all the same.
  bool on_hangup(RequestId id, DockerActions& out);
  void on_held(const std::vector<std::pair<std::string, Cidr>>& held,
               const DockerNetworks& networks,
               DockerActions& out);

  // The id of the pool an address was given out from, if that is known.
  std::string pool_of(const Ip& address) const;
  // An endpoint or a network has it now.
  void bind(const Ip& address) { unbound_.erase(address); }
  static void release(const DockerPool& pool, const Ip& address, DockerActions& out);

  bool is_waiting(RequestId id) const { return waiting_.contains(id); }
  std::size_t waiting_count() const { return waiting_.size(); }
  std::uint64_t over_limit() const { return over_limit_; }
  void check_invariants() const;

 private:
  struct Waiting {
    DockerPool pool;
    std::optional<Ip> claimed;
    bool is_gateway = false;
    bool hung_up = false;
  };

  Result<Cidr> default_subnet(const PoolCall& call) const;
  // Whether addresses of this block are ours to choose; the range they would come from.
  std::optional<Cidr> range_of(const Cidr& block) const;
  bool is_served(const Cidr& block) const;
  Reply allocate(RequestId id, const Waiting& waiting, DockerActions& out);
  Reply claim(RequestId id,
              const Waiting& waiting,
              const DockerNetworks& networks,
              DockerActions& out);
  bool is_spoken_for(const Ip& address) const;

  DockerDriver::Options options_;
  std::map<RequestId, Waiting> waiting_;
  std::map<Ip, std::string> unbound_;  // Address to pool id.
  // Owners and addresses that nobody accounted for when ipam's were last looked through.
  std::set<std::pair<std::string, Ip>> suspects_;
  std::size_t default_pools_in_a_row_ = 0;
  std::uint64_t over_limit_ = 0;
};

}  // namespace weft::plugin
