// The NetworkDriver half of the plugin: networks and endpoints, kept in the store.
//
// An endpoint is Creating until its port is plugged, Created until Docker puts it into a container,
// then Joined, and Removing until its port is unplugged. It is durable before its port exists and
// until its port is gone, so a restart finds every port. Whether Docker ever heard of an endpoint
// that never joined, Docker shows by itself: it releases the address of one it does not know.
// Invariants: endpoints differ in address, MAC and interface names; after start(), each that is
// Creating or Removing has a call that waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"
#include "plugin/docker.h"
#include "plugin/docker_messages.h"
#include "plugin/docker_records.h"
#include "plugin/docker_reply.h"

namespace weft::plugin {

class DockerAddresses;

class DockerNetworks {
 public:
  explicit DockerNetworks(const DockerDriver::Options& options) : options_(options) {}
  Result<Ok> load(const DockerDriver::Stored& stored);
  void start(DockerActions& out);

  Reply create_network(const CreateNetworkCall& call,
                       Scope scope,
                       DockerAddresses& addresses,
                       DockerActions& out);
  Reply delete_network(const std::string& id, DockerActions& out);
  Reply create_endpoint(RequestId id,
                        const CreateEndpointCall& call,
                        const DockerAddresses& addresses,
                        DockerActions& out);
  Reply delete_endpoint(RequestId id, const EndpointCall& call, DockerActions& out);
  Reply join(const JoinCall& call, DockerActions& out);
  void leave(const EndpointCall& call);
  // Docker takes an address back. Of endpoints it knows it does not: one that never joined is
  // forgotten, one in a container keeps its address. A gateway ends with its network.
  Result<Ok> give_up(const Ip& address, DockerActions& out);
  // A new dockerd: it never heard of endpoints that did not join, or is about to remove them. Of
  // the networks of this scope, that is; those we do not know count as local.
  void on_engine_started(Scope scope, DockerActions& out);

  void on_plugged(RequestId id,
                  const Result<Ok>& result,
                  DockerAddresses& addresses,
                  DockerActions& out);
  void on_hangup(RequestId id);
  void on_gateways(const Result<Ok>& result) { gateways_work_ = result.ok(); }
  void on_port_missing(const std::string& id, DockerActions& out);
  void on_port_gone(const std::string& id, DockerActions& out);

  // Who has an address: "endpoint 8d1ff…" or "network fee4d…"; empty if nobody of ours.
  std::string user_of(const Ip& address) const;
  std::string endpoint_with(const Ip& address) const;  // Its id.
  // True if a network of ours has this subnet from our IpamDriver.
  bool has_subnet(const Cidr& subnet) const;

  std::vector<Port> ports() const;
  bool has_endpoint(const std::string& id) const { return endpoints_.contains(id); }
  std::size_t network_count() const { return networks_.size(); }
  bool is_waiting(RequestId id) const { return waiting_.contains(id); }
  std::size_t waiting_count() const { return waiting_.size(); }
  std::uint64_t over_limit() const { return over_limit_; }
  void check_invariants() const;

 private:
  struct Waiting {
    enum class For : std::uint8_t { Plug, Unplug };
    For what = For::Plug;
    Port port;
    bool hung_up = false;
  };

  Result<EndpointRecord> make_record(const CreateEndpointCall& call) const;
  Result<Ok> check_encryption(const NetworkOptions& wanted) const;
  Scope scope_of(const std::string& network) const;
  Result<Ok> check_free(const std::string& id, const EndpointRecord& record);
  Reply repeat_endpoint(RequestId id,
                        const std::string& endpoint,
                        const EndpointRecord& wanted,
                        DockerActions& out);
  void finish_plug(RequestId id,
                   const Waiting& waiting,
                   const Result<Ok>& result,
                   DockerAddresses& addresses,
                   DockerActions& out);
  void finish_unplug(RequestId id, const Waiting& waiting, DockerActions& out);
  void forget(const std::vector<std::string>& ids, StoreBatch batch, DockerActions& out);
  // Of all networks, in the order of their ids.
  std::vector<Cidr> gateways() const;
  void close_gateway(const Ip& address, DockerActions& out);
  bool is_multicast_taken(const std::string& endpoint, const std::string& sandbox) const;

  DockerDriver::Options options_;
  std::map<std::string, NetworkRecord> networks_;
  std::map<std::string, EndpointRecord> endpoints_;
  std::map<RequestId, Waiting> waiting_;
  bool started_ = false;
  bool gateways_work_ = false;  // The kernel has them.
  std::uint64_t over_limit_ = 0;
};

}  // namespace weft::plugin
