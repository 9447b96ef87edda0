#include "plugin/docker_networks.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "plugin/docker_addresses.h"
#include "plugin/docker_pool.h"

namespace weft::plugin {
namespace {

using State = EndpointRecord::State;

// Locally administered and unique because the address is: whoever gets the address after its
// container was restarted elsewhere has the same MAC, so no neighbour's ARP entry is ever wrong.
Mac mac_of(Ipv4 address) {
  const std::uint32_t number = address.number();
  const auto octet = [number](unsigned shift) {
    return static_cast<std::uint8_t>((number >> shift) & 0xffU);
  };
  constexpr std::uint8_t kLocallyAdministered = 0x02;
  constexpr std::uint8_t kWeft = 0x57;  // "W", apart from Docker's own 02:42.
  return Mac({kLocallyAdministered, kWeft, octet(24), octet(16), octet(8), octet(0)});
}

// That our IpamDriver answered for a gateway that is none.
std::optional<Cidr> usable_gateway(const std::optional<Cidr>& gateway) {
  return gateway && is_host_address(*gateway) ? gateway : std::nullopt;
}

Result<Cidr> parse_host_address(const std::string& text, bool is_v4) {
  const Cidr address = WEFT_TRY(Cidr::parse(text));
  if (address.is_v4() != is_v4 || !is_host_address(address)) {
    return Error{Errc::Invalid,
                 fmt::format("address {} (expected an {} host address and its mask)",
                             text,
                             is_v4 ? "IPv4" : "IPv6")};
  }
  return address;
}

std::string encode_created(const EndpointRecord& record) {
  return encode_created_endpoint(record.is_mac_ours ? record.mac.to_string() : std::string());
}

// No call is at work on it.
bool is_settled(const EndpointRecord& record) {
  return record.state == State::Created || record.state == State::Joined;
}

// A swarm gives addresses out without asking, so weft must not give out the same.
Result<Ok> check_apart(const std::vector<Cidr>& subnets, const Cidr& range) {
  for (const Cidr& subnet : subnets) {
    if (subnet.overlaps(range)) {
      return Error{
          Errc::Conflict,
          fmt::format("subnet {} overlaps {}, which weft gives addresses of: choose another "
                      "with --subnet",
                      subnet.to_string(),
                      range.to_string())};
    }
  }
  return Ok{};
}

}  // namespace

Reply DockerNetworks::create_network(const CreateNetworkCall& call,
                                     Scope scope,
                                     DockerAddresses& addresses,
                                     DockerActions& out) {
  WEFT_TRY(check_encryption(call.options));
  if (scope == Scope::Global) {
    for (const std::optional<Cidr>& range : {options_.range, options_.range_v6}) {
      if (range) {
        WEFT_TRY(check_apart(call.foreign_subnets, *range));
      }
    }
  }
  NetworkRecord record{.options = call.options,
                       .scope = scope,
                       .subnets = call.subnets,
                       .reserved = call.reserved,
                       .gateway = {}};
  if (!call.is_internal) {
    record.gateway = usable_gateway(call.gateway);
    record.gateway_v6 = usable_gateway(call.gateway_v6);
  }
  const auto known = networks_.find(call.network);
  if (known != networks_.end()) {
    if (known->second == record) {
      return reply_with(std::string(kEmptyReply));
    }
    return Error{Errc::Conflict, fmt::format("network {} exists with other options", call.network)};
  }
  if (networks_.size() >= options_.networks_max) {
    ++over_limit_;
    return Error{Errc::Exhausted,
                 fmt::format("there are {} networks already", options_.networks_max)};
  }
  networks_.emplace(call.network, record);
  for (const Cidr& reserved : record.reserved) {
    addresses.bind(reserved.address());
  }
  out.push_back(Persist{{write_network(call.network, record)}});
  if (!record.gateways().empty()) {
    out.push_back(SetGateways{gateways()});
  }
  return reply_with(std::string(kEmptyReply));
}

// Docker deletes no network in use: endpoints that are left are of the past (of a dockerd whose own
// store was lost, say). One that is being made now is left to the call that makes it.
Reply DockerNetworks::delete_network(const std::string& id, DockerActions& out) {
  std::vector<std::string> left;
  for (const auto& [endpoint, record] : endpoints_) {
    if (record.network == id && is_settled(record)) {
      left.push_back(endpoint);
    }
  }
  StoreBatch batch;
  const auto network = networks_.find(id);
  const bool had_gateway = network != networks_.end() && !network->second.gateways().empty();
  if (network != networks_.end()) {
    networks_.erase(network);
    batch.push_back(erase_network(id));
  }
  forget(left, std::move(batch), out);
  if (had_gateway) {
    out.push_back(SetGateways{gateways()});
  }
  return reply_with(std::string(kEmptyReply));
}

Reply DockerNetworks::create_endpoint(RequestId id,
                                      const CreateEndpointCall& call,
                                      const DockerAddresses& addresses,
                                      DockerActions& out) {
  EndpointRecord record = WEFT_TRY(make_record(call));
  if (endpoints_.contains(call.endpoint)) {
    return repeat_endpoint(id, call.endpoint, record, out);
  }
  if (endpoints_.size() >= options_.endpoints_max) {
    ++over_limit_;
    return Error{Errc::Exhausted,
                 fmt::format("there are {} endpoints already, as many as the bridge has ports for",
                             options_.endpoints_max)};
  }
  (void)WEFT_TRY(check_free(call.endpoint, record));
  if (const auto network = networks_.find(call.network); network != networks_.end()) {
    WEFT_TRY(check_encryption(network->second.options));
  }
  record.pool = addresses.pool_of(record.address.address());
  if (record.address_v6) {
    record.pool_v6 = addresses.pool_of(record.address_v6->address());
  }
  const Port port = record.port(call.endpoint);
  out.push_back(Persist{{write_endpoint(call.endpoint, record)}});
  out.push_back(PlugPort{id, port});
  waiting_.emplace(id, Waiting{Waiting::For::Plug, port, false});
  endpoints_.emplace(call.endpoint, std::move(record));
  return reply_later();
}

// Networks we do not know are welcome: the call has all that is needed, and a container's network
// should not fail because our store was lost.
Result<EndpointRecord> DockerNetworks::make_record(const CreateEndpointCall& call) const {
  if (call.address.empty()) {
    return Error{
        Errc::Invalid,
        "endpoint without an IPv4 address (expected a network with an IPAM driver, such as "
        "--ipam-driver weft, and without --ipv4=false)"};
  }
  EndpointRecord record;
  record.network = call.network;
  record.address = WEFT_TRY(parse_host_address(call.address, true));
  if (!call.address_v6.empty()) {
    record.address_v6 = WEFT_TRY(parse_host_address(call.address_v6, false));
  }
  if (const auto network = networks_.find(call.network); network != networks_.end()) {
    record.mtu_bytes = network->second.options.mtu_bytes;
  }
  record.is_mac_ours = call.mac.empty();
  if (record.is_mac_ours) {
    record.mac = mac_of(record.address.address().v4());
    return record;
  }
  record.mac = WEFT_TRY(Mac::parse(call.mac));
  if (record.mac.is_group() || record.mac == Mac()) {
    return Error{Errc::Invalid,
                 fmt::format("MAC {} (expected that of a single interface)", call.mac)};
  }
  return record;
}

Result<Ok> DockerNetworks::check_free(const std::string& id, const EndpointRecord& record) {
  for (const auto& [other_id, other] : endpoints_) {
    for (const Cidr& address : record.addresses()) {
      if (other.has(address.address())) {
        return Error{
            Errc::Conflict,
            fmt::format(
                "address {} is used by endpoint {}", address.address().to_string(), other_id)};
      }
    }
    if (other.mac == record.mac) {
      return Error{Errc::Conflict,
                   fmt::format("MAC {} is used by endpoint {}", record.mac.to_string(), other_id)};
    }
    if (EndpointRecord::host_name(other_id) == EndpointRecord::host_name(id)) {
      return Error{
          Errc::Conflict,
          fmt::format(
              "interface name {} is used by endpoint {}", EndpointRecord::host_name(id), other_id)};
    }
  }
  return Ok{};
}

Reply DockerNetworks::repeat_endpoint(RequestId id,
                                      const std::string& endpoint,
                                      const EndpointRecord& wanted,
                                      DockerActions& out) {
  const EndpointRecord& known = endpoints_.at(endpoint);
  if (!is_settled(known)) {
    return Error{Errc::Unavailable,
                 fmt::format("endpoint {} is being {}",
                             endpoint,
                             known.state == State::Creating ? "created" : "removed")};
  }
  if (known.network != wanted.network || known.addresses() != wanted.addresses()
      || known.mac != wanted.mac) {
    return Error{Errc::Conflict,
                 fmt::format("endpoint {} exists with address {} and MAC {}",
                             endpoint,
                             known.address.to_string(),
                             known.mac.to_string())};
  }
  const Port port = known.port(endpoint);
  waiting_.emplace(id, Waiting{Waiting::For::Plug, port, false});
  out.push_back(PlugPort{id, port});
  return reply_later();
}

Reply DockerNetworks::delete_endpoint(RequestId id, const EndpointCall& call, DockerActions& out) {
  const auto found = endpoints_.find(call.endpoint);
  if (found == endpoints_.end()) {
    return reply_with(std::string(kEmptyReply));
  }
  EndpointRecord& record = found->second;
  if (record.state == State::Creating) {
    return Error{Errc::Unavailable, fmt::format("endpoint {} is being created", call.endpoint)};
  }
  if (is_settled(record)) {
    record.state = State::Removing;
    out.push_back(Persist{{write_endpoint(call.endpoint, record)}});
  }
  const Port port = record.port(call.endpoint);
  waiting_.emplace(id, Waiting{Waiting::For::Unplug, port, false});
  out.push_back(UnplugPort{id, port});
  return reply_later();
}

Reply DockerNetworks::join(const JoinCall& call, DockerActions& out) {
  const auto found = endpoints_.find(call.endpoint);
  if (found == endpoints_.end() || !is_settled(found->second)) {
    return Error{Errc::NotFound,
                 fmt::format("unknown endpoint {} (restart the container to make a new one)",
                             call.endpoint)};
  }
  EndpointRecord& record = found->second;
  const auto network = networks_.find(record.network);
  const bool is_wanted = network == networks_.end() || network->second.options.multicast;
  // A namespace takes one route to 224.0.0.0/4 and fails the second: the first of a container's
  // networks gets it.
  const bool has_route = is_wanted && !is_multicast_taken(call.endpoint, call.sandbox);
  const std::string sandbox = has_route ? call.sandbox : std::string();
  if (record.state != State::Joined || record.multicast_sandbox != sandbox) {
    record.state = State::Joined;
    record.multicast_sandbox = sandbox;
    out.push_back(Persist{{write_endpoint(call.endpoint, record)}});
  }
  JoinReply reply{.interface = EndpointRecord::guest_name(call.endpoint),
                  .has_multicast_route = has_route,
                  .gateway = {},
                  .gateway_v6 = {}};
  // Docker publishes ports on its gateway bridge, which it adds where no network has a gateway.
  if (network != networks_.end() && gateways_work_ && !call.publishes_ports) {
    for (const Cidr& gateway : network->second.gateways()) {
      (gateway.is_v4() ? reply.gateway : reply.gateway_v6) = gateway.address();
    }
  }
  return reply_with(encode_join(reply));
}

std::vector<Cidr> DockerNetworks::gateways() const {
  std::vector<Cidr> gateways;
  for (const auto& [id, record] : networks_) {
    for (const Cidr& gateway : record.gateways()) {
      gateways.push_back(gateway);
    }
  }
  return gateways;
}

bool DockerNetworks::is_multicast_taken(const std::string& endpoint,
                                        const std::string& sandbox) const {
  for (const auto& [id, record] : endpoints_) {
    if (id != endpoint && !sandbox.empty() && record.multicast_sandbox == sandbox) {
      return true;
    }
  }
  return false;
}

// Not persisted: DeleteEndpoint follows, and a restart in between only costs the container's other
// networks the multicast route.
void DockerNetworks::leave(const EndpointCall& call) {
  const auto found = endpoints_.find(call.endpoint);
  if (found != endpoints_.end() && is_settled(found->second)) {
    found->second.state = State::Created;
    found->second.multicast_sandbox.clear();
  }
}

void DockerNetworks::on_plugged(RequestId id,
                                const Result<Ok>& result,
                                DockerAddresses& addresses,
                                DockerActions& out) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) {
    return;
  }
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  switch (waiting.what) {
    case Waiting::For::Plug:
      finish_plug(id, waiting, result, addresses, out);
      return;
    case Waiting::For::Unplug:
      // A failure is the plugger's to report. To Docker the endpoint is gone: it has no use for
      // one that cannot be removed, and what is left in the kernel is not in ports().
      finish_unplug(id, waiting, out);
      return;
  }
}

void DockerNetworks::finish_plug(RequestId id,
                                 const Waiting& waiting,
                                 const Result<Ok>& result,
                                 DockerAddresses& addresses,
                                 DockerActions& out) {
  const std::string& endpoint = waiting.port.id;
  const auto found = endpoints_.find(endpoint);
  std::string failure = result.ok() ? std::string() : result.error().what;
  if (found == endpoints_.end() || found->second.state == State::Removing) {
    // A repeated CreateEndpoint, overtaken by a removal.
    out.push_back(UnplugPort{RequestId(0), waiting.port});
    failure = fmt::format("endpoint {} was removed meanwhile", endpoint);
  } else if (found->second.state == State::Creating) {
    EndpointRecord& record = found->second;
    if (failure.empty() && !waiting.hung_up) {
      record.state = State::Created;
      for (const Cidr& address : record.addresses()) {
        addresses.bind(address.address());
      }
      out.push_back(HttpReply{id, 200, encode_created(record)});
      return;
    }
    endpoints_.erase(found);
    out.push_back(UnplugPort{RequestId(0), waiting.port});
    out.push_back(Persist{{erase_endpoint(endpoint)}});
  } else if (failure.empty() && !waiting.hung_up) {
    out.push_back(HttpReply{id, 200, encode_created(found->second)});
    return;
  }
  if (!waiting.hung_up) {
    out.push_back(HttpReply{id, 500, encode_error(failure)});
  }
}

void DockerNetworks::finish_unplug(RequestId id, const Waiting& waiting, DockerActions& out) {
  const auto found = endpoints_.find(waiting.port.id);
  if (found != endpoints_.end() && found->second.state == State::Removing) {
    endpoints_.erase(found);
    out.push_back(Persist{{erase_endpoint(waiting.port.id)}});
  }
  if (!waiting.hung_up) {
    out.push_back(HttpReply{id, 200, std::string(kEmptyReply)});
  }
}

void DockerNetworks::on_hangup(RequestId id) {
  const auto found = waiting_.find(id);
  if (found != waiting_.end()) {
    found->second.hung_up = true;
  }
}

void DockerNetworks::on_port_missing(const std::string& id, DockerActions& out) {
  const auto found = endpoints_.find(id);
  if (found != endpoints_.end() && is_settled(found->second)) {
    endpoints_.erase(found);
    out.push_back(Persist{{erase_endpoint(id)}});
  }
}

void DockerNetworks::on_port_gone(const std::string& id, DockerActions& out) {
  const auto found = endpoints_.find(id);
  if (found != endpoints_.end() && is_settled(found->second)) {
    forget({id}, {}, out);
  }
}

Result<Ok> DockerNetworks::give_up(const Ip& address, DockerActions& out) {
  close_gateway(address, out);
  const std::string id = endpoint_with(address);
  if (id.empty()) {
    return Ok{};
  }
  if (endpoints_.at(id).state != State::Created) {
    return Error{Errc::Conflict,
                 fmt::format("address {} is used by endpoint {}", address.to_string(), id)};
  }
  // Docker says the same of the endpoint's other address next. Were that released here already,
  // its word could come when somebody else has it.
  const Port port = endpoints_.at(id).port(id);
  endpoints_.erase(id);
  out.push_back(Persist{{erase_endpoint(id)}});
  out.push_back(UnplugPort{RequestId(0), port});
  return Ok{};
}

// Docker gives the address back just before it deletes the network, or when it could not make it.
// In the latter case nobody will speak of the network again.
void DockerNetworks::close_gateway(const Ip& address, DockerActions& out) {
  for (auto network = networks_.begin(); network != networks_.end(); ++network) {
    const auto& [id, record] = *network;
    const std::vector<Cidr> all = record.gateways();
    if (std::any_of(all.begin(), all.end(), [&address](const Cidr& gateway) {
          return gateway.address() == address;
        })) {
      out.push_back(Persist{{erase_network(id)}});
      networks_.erase(network);
      out.push_back(SetGateways{gateways()});
      return;
    }
  }
}

// A network may have been made while the agent had a password, which it has not any more.
Result<Ok> DockerNetworks::check_encryption(const NetworkOptions& wanted) const {
  if (wanted.encrypted && !options_.encrypts) {
    return Error{Errc::Conflict,
                 "option encrypted: containers' traffic would leave this host in clear (give the "
                 "agent a --password-file, and no --trusted-subnets)"};
  }
  return Ok{};
}

Scope DockerNetworks::scope_of(const std::string& network) const {
  const auto found = networks_.find(network);
  return found != networks_.end() ? found->second.scope : Scope::Local;
}

// Adds the rows of `ids` to `batch`. An address is released only after its endpoint is durably
// forgotten: a restart in between leaks one address, where the other order would give it to two
// containers.
void DockerNetworks::forget(const std::vector<std::string>& ids,
                            StoreBatch batch,
                            DockerActions& out) {
  DockerActions after;
  for (const std::string& id : ids) {
    const auto found = endpoints_.find(id);
    WEFT_ASSERT(found != endpoints_.end());
    const EndpointRecord& record = found->second;
    after.push_back(UnplugPort{RequestId(0), record.port(id)});
    for (const Cidr& address : record.addresses()) {
      const auto pool = DockerPool::from_id(address.is_v4() ? record.pool : record.pool_v6);
      if (pool.ok()) {
        DockerAddresses::release(pool.value(), address.address(), after);
      }
    }
    endpoints_.erase(found);
    batch.push_back(erase_endpoint(id));
  }
  if (!batch.empty()) {
    out.push_back(Persist{std::move(batch)});
  }
  out.insert(out.end(), after.begin(), after.end());
}

std::string DockerNetworks::user_of(const Ip& address) const {
  const std::string endpoint = endpoint_with(address);
  if (!endpoint.empty()) {
    return "endpoint " + endpoint;
  }
  for (const auto& [id, record] : networks_) {
    for (const Cidr& reserved : record.reserved) {
      if (reserved.address() == address) {
        return "network " + id;
      }
    }
  }
  return {};
}

std::string DockerNetworks::endpoint_with(const Ip& address) const {
  for (const auto& [id, record] : endpoints_) {
    if (record.has(address)) {
      return id;
    }
  }
  return {};
}

bool DockerNetworks::has_subnet(const Cidr& subnet) const {
  return std::any_of(networks_.begin(), networks_.end(), [&subnet](const auto& network) {
    const std::vector<Cidr>& subnets = network.second.subnets;
    return std::find(subnets.begin(), subnets.end(), subnet) != subnets.end();
  });
}

std::vector<Port> DockerNetworks::ports() const {
  std::vector<Port> ports;
  ports.reserve(endpoints_.size());
  for (const auto& [id, record] : endpoints_) {
    if (record.state != State::Removing) {
      ports.push_back(record.port(id));
    }
  }
  return ports;
}

void DockerNetworks::check_invariants() const {
  std::set<Ip> addresses;
  std::set<Mac> macs;
  std::set<std::string> names;
  for (const auto& [id, record] : endpoints_) {
    for (const Cidr& address : record.addresses()) {
      WEFT_ASSERT(addresses.insert(address.address()).second);
    }
    WEFT_ASSERT(macs.insert(record.mac).second);
    WEFT_ASSERT(names.insert(EndpointRecord::host_name(id)).second);
    if (!started_ || is_settled(record)) {
      continue;
    }
    std::size_t waiting_count = 0;
    const auto wanted = record.state == State::Creating ? Waiting::For::Plug : Waiting::For::Unplug;
    for (const auto& [call, waiting] : waiting_) {
      waiting_count += waiting.port.id == id && waiting.what == wanted ? 1U : 0U;
    }
    WEFT_ASSERT(waiting_count > 0);
  }
}

}  // namespace weft::plugin
