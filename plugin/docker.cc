#include "plugin/docker.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "plugin/docker_addresses.h"
#include "plugin/docker_messages.h"
#include "plugin/docker_networks.h"
#include "plugin/docker_reply.h"

namespace weft::plugin {

HttpReply finish(RequestId call, Reply reply) {
  if (reply.ok()) {
    WEFT_ASSERT(reply.value().has_value());
    return HttpReply{call, 200, *std::move(reply).value()};
  }
  const unsigned status = reply.error().code == Errc::Invalid ? 400 : 500;
  return HttpReply{call, status, encode_error(reply.error().what)};
}

class DockerDriver::Impl {
 public:
  explicit Impl(const Options& options)
      : options_(options),
        addresses_(options),
        networks_(options) {}

  void on_call(RequestId call,
               Scope scope,
               std::string_view path,
               std::string_view body,
               DockerActions& out);
  void on_hangup(RequestId call, DockerActions& out);
  Stats stats() const;

  DockerAddresses& addresses() { return addresses_; }
  DockerNetworks& networks() { return networks_; }
  const DockerAddresses& addresses() const { return addresses_; }
  const DockerNetworks& networks() const { return networks_; }
  // Counts the failures among the answers from `begin` on.
  void count_failures(const DockerActions& out, std::size_t begin);

 private:
  struct Call {
    RequestId id;
    Scope scope;
    std::string_view body;
    DockerActions& out;
  };
  using Handler = Reply (Impl::*)(const Call& call);
  struct Route {
    std::string_view path;
    Handler handler;
  };
  static const std::array<Route, 22> kRoutes;

  Reply activate(const Call& call);
  Reply network_capabilities(const Call& call);
  Reply check_gateway(const Call& call);
  Reply ipam_capabilities(const Call& call);
  Reply address_spaces(const Call& call);
  Reply request_pool(const Call& call);
  Reply release_pool(const Call& call);
  Reply request_address(const Call& call);
  Reply release_address(const Call& call);
  Reply create_network(const Call& call);
  Reply delete_network(const Call& call);
  Reply allocate_network(const Call& call);
  Reply create_endpoint(const Call& call);
  Reply delete_endpoint(const Call& call);
  Reply endpoint_info(const Call& call);
  Reply join(const Call& call);
  Reply leave(const Call& call);
  Reply acknowledge(const Call& call);
  Reply run(const Route& route, const Call& call);

  Options options_;
  DockerAddresses addresses_;
  DockerNetworks networks_;
  Stats stats_;
};

const std::array<DockerDriver::Impl::Route, 22> DockerDriver::Impl::kRoutes = {{
    {"/Plugin.Activate", &Impl::activate},
    {"/NetworkDriver.GetCapabilities", &Impl::network_capabilities},
    {"/NetworkDriver.GwAllocCheck", &Impl::check_gateway},
    {"/NetworkDriver.AllocateNetwork", &Impl::allocate_network},
    {"/NetworkDriver.FreeNetwork", &Impl::acknowledge},
    {"/NetworkDriver.CreateNetwork", &Impl::create_network},
    {"/NetworkDriver.DeleteNetwork", &Impl::delete_network},
    {"/NetworkDriver.CreateEndpoint", &Impl::create_endpoint},
    {"/NetworkDriver.DeleteEndpoint", &Impl::delete_endpoint},
    {"/NetworkDriver.EndpointOperInfo", &Impl::endpoint_info},
    {"/NetworkDriver.Join", &Impl::join},
    {"/NetworkDriver.Leave", &Impl::leave},
    // Nodes of a swarm: our mesh finds its own peers.
    {"/NetworkDriver.DiscoverNew", &Impl::acknowledge},
    {"/NetworkDriver.DiscoverDelete", &Impl::acknowledge},
    // Ports are published through docker_gwbridge, which Docker adds by itself where Join names no
    // gateway.
    {"/NetworkDriver.ProgramExternalConnectivity", &Impl::acknowledge},
    {"/NetworkDriver.RevokeExternalConnectivity", &Impl::acknowledge},
    {"/IpamDriver.GetCapabilities", &Impl::ipam_capabilities},
    {"/IpamDriver.GetDefaultAddressSpaces", &Impl::address_spaces},
    {"/IpamDriver.RequestPool", &Impl::request_pool},
    {"/IpamDriver.ReleasePool", &Impl::release_pool},
    {"/IpamDriver.RequestAddress", &Impl::request_address},
    {"/IpamDriver.ReleaseAddress", &Impl::release_address},
}};

void DockerDriver::Impl::on_call(
    RequestId call, Scope scope, std::string_view path, std::string_view body, DockerActions& out) {
  WEFT_ASSERT(!addresses_.is_waiting(call));
  WEFT_ASSERT(!networks_.is_waiting(call));
  ++stats_.calls;
  const auto route = std::find_if(
      kRoutes.begin(), kRoutes.end(), [path](const Route& known) { return known.path == path; });
  if (route == kRoutes.end()) {
    ++stats_.malformed;
    out.push_back(HttpReply{call, 404, encode_error("unknown call")});
    return;
  }
  const std::size_t begin = out.size();
  Reply reply = run(*route, Call{call, scope, body, out});
  if (!reply.ok() || reply.value().has_value()) {
    out.push_back(finish(call, std::move(reply)));
    count_failures(out, begin);
  }
}

Reply DockerDriver::Impl::run(const Route& route, const Call& call) {
  // What gives back must never wait behind what asks.
  const bool asks =
      route.handler == &Impl::request_address || route.handler == &Impl::create_endpoint;
  if (asks && addresses_.waiting_count() + networks_.waiting_count() >= options_.calls_max) {
    ++stats_.over_limit;
    return Error{Errc::Unavailable,
                 fmt::format("{} calls are waiting already", options_.calls_max)};
  }
  if (route.handler != &Impl::request_pool) {
    addresses_.on_other_call();
  }
  return (this->*route.handler)(call);
}

void DockerDriver::Impl::count_failures(const DockerActions& out, std::size_t begin) {
  for (std::size_t i = begin; i < out.size(); ++i) {
    const auto* reply = std::get_if<HttpReply>(&out[i]);
    if (reply != nullptr && reply->status >= 400) {
      ++(reply->status < 500 ? stats_.malformed : stats_.failed);
    }
  }
}

// What was started goes on unless it can be cancelled, and is undone when its answer comes.
void DockerDriver::Impl::on_hangup(RequestId call, DockerActions& out) {
  ++stats_.hung_up;
  if (!addresses_.on_hangup(call, out)) {
    networks_.on_hangup(call);
  }
}

DockerDriver::Stats DockerDriver::Impl::stats() const {
  Stats stats = stats_;
  stats.over_limit += addresses_.over_limit() + networks_.over_limit();
  return stats;
}

Reply DockerDriver::Impl::activate(const Call& call) {
  (void)WEFT_TRY(decode_any(call.body));
  // Each driver is activated at its first use.
  if (call.scope == Scope::Local) {
    addresses_.on_engine_started();
  }
  networks_.on_engine_started(call.scope, call.out);
  return reply_with(encode_activate(call.scope));
}

Reply DockerDriver::Impl::network_capabilities(const Call& call) {
  (void)WEFT_TRY(decode_any(call.body));
  return reply_with(encode_network_capabilities(call.scope));
}

// Asked by Docker 28 and later. Earlier ones reserve a gateway's address for internal networks,
// too.
Reply DockerDriver::Impl::check_gateway(const Call& call) {
  const bool is_internal = WEFT_TRY(decode_gateway_check(call.body));
  return reply_with(encode_gateway_check(is_internal));
}

Reply DockerDriver::Impl::ipam_capabilities(const Call& call) {
  (void)WEFT_TRY(decode_any(call.body));
  return reply_with(encode_ipam_capabilities());
}

Reply DockerDriver::Impl::address_spaces(const Call& call) {
  (void)WEFT_TRY(decode_any(call.body));
  return reply_with(encode_address_spaces());
}

Reply DockerDriver::Impl::request_pool(const Call& call) {
  const PoolCall request = WEFT_TRY(decode_pool(call.body));
  if (call.scope == Scope::Global) {
    return Error{Errc::Conflict,
                 "a swarm chooses the addresses of its networks itself (leave out --ipam-driver)"};
  }
  return addresses_.request_pool(request);
}

// Nothing to give back: a pool is its id.
Reply DockerDriver::Impl::release_pool(const Call& call) {
  const AddressCall request = WEFT_TRY(decode_address(call.body));
  (void)WEFT_TRY(DockerPool::from_id(request.pool_id));
  return reply_with(std::string(kEmptyReply));
}

Reply DockerDriver::Impl::request_address(const Call& call) {
  const AddressCall request = WEFT_TRY(decode_address(call.body));
  return addresses_.request_address(call.id, request, networks_, call.out);
}

Reply DockerDriver::Impl::release_address(const Call& call) {
  const AddressCall request = WEFT_TRY(decode_address(call.body));
  return addresses_.release_address(request, networks_, call.out);
}

Reply DockerDriver::Impl::create_network(const Call& call) {
  const CreateNetworkCall request = WEFT_TRY(decode_create_network(call.body));
  return networks_.create_network(request, call.scope, addresses_, call.out);
}

Reply DockerDriver::Impl::delete_network(const Call& call) {
  const std::string network = WEFT_TRY(decode_network(call.body));
  return networks_.delete_network(network, call.out);
}

Reply DockerDriver::Impl::allocate_network(const Call& call) {
  std::string reply = WEFT_TRY(decode_allocate_network(call.body));
  return reply_with(std::move(reply));
}

Reply DockerDriver::Impl::create_endpoint(const Call& call) {
  const CreateEndpointCall request = WEFT_TRY(decode_create_endpoint(call.body));
  return networks_.create_endpoint(call.id, request, addresses_, call.out);
}

Reply DockerDriver::Impl::delete_endpoint(const Call& call) {
  const EndpointCall request = WEFT_TRY(decode_endpoint(call.body));
  return networks_.delete_endpoint(call.id, request, call.out);
}

Reply DockerDriver::Impl::endpoint_info(const Call& call) {
  (void)WEFT_TRY(decode_endpoint(call.body));
  return reply_with(encode_endpoint_info());
}

Reply DockerDriver::Impl::join(const Call& call) {
  const JoinCall request = WEFT_TRY(decode_join(call.body));
  return networks_.join(request, call.out);
}

Reply DockerDriver::Impl::leave(const Call& call) {
  const EndpointCall request = WEFT_TRY(decode_endpoint(call.body));
  networks_.leave(request);
  return reply_with(std::string(kEmptyReply));
}

Reply DockerDriver::Impl::acknowledge(const Call& call) {
  (void)WEFT_TRY(decode_any(call.body));
  return reply_with(std::string(kEmptyReply));
}

Result<std::unique_ptr<DockerDriver>> DockerDriver::create(Options options, const Stored& stored) {
  auto impl = std::make_unique<Impl>(options);
  (void)WEFT_TRY(impl->networks().load(stored));
  return std::unique_ptr<DockerDriver>(new DockerDriver(std::move(impl)));
}

DockerDriver::DockerDriver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DockerDriver::~DockerDriver() = default;

void DockerDriver::start(DockerActions& out) {
  impl_->networks().start(out);
}

void DockerDriver::on_call(
    RequestId call, Scope scope, std::string_view path, std::string_view body, DockerActions& out) {
  impl_->on_call(call, scope, path, body, out);
}

void DockerDriver::on_hangup(RequestId call, DockerActions& out) {
  impl_->on_hangup(call, out);
}

void DockerDriver::on_address(RequestId call, const Result<Cidr>& address, DockerActions& out) {
  const std::size_t begin = out.size();
  impl_->addresses().on_address(call, address, impl_->networks(), out);
  impl_->count_failures(out, begin);
}

void DockerDriver::on_plugged(RequestId call, const Result<Ok>& result, DockerActions& out) {
  const std::size_t begin = out.size();
  impl_->networks().on_plugged(call, result, impl_->addresses(), out);
  impl_->count_failures(out, begin);
}

void DockerDriver::on_gateways(const Result<Ok>& result) {
  impl_->networks().on_gateways(result);
}

void DockerDriver::on_port_missing(const std::string& id, DockerActions& out) {
  impl_->networks().on_port_missing(id, out);
}

void DockerDriver::on_held(const std::vector<std::pair<std::string, Cidr>>& held,
                           DockerActions& out) {
  impl_->addresses().on_held(held, impl_->networks(), out);
}

void DockerDriver::on_port_gone(const std::string& id, DockerActions& out) {
  impl_->networks().on_port_gone(id, out);
}

bool DockerDriver::has_port(const std::string& id) const {
  return impl_->networks().has_endpoint(id);
}

std::vector<Port> DockerDriver::ports() const {
  return impl_->networks().ports();
}

std::size_t DockerDriver::network_count() const {
  return impl_->networks().network_count();
}

DockerDriver::Stats DockerDriver::stats() const {
  return impl_->stats();
}

void DockerDriver::check_invariants() const {
  impl_->addresses().check_invariants();
  impl_->networks().check_invariants();
}

}  // namespace weft::plugin
