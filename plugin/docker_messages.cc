#include "plugin/docker_messages.h"

#include <algorithm>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "plugin/docker_json.h"

namespace weft::plugin {
namespace {

namespace json = boost::json;
using fields::child;
using fields::find;
using fields::flag;
using fields::list;
using fields::text;
using fields::view;
using fields::wrong_type;

// Keys of libnetwork (package netlabel and ipamapi).
constexpr std::string_view kGenericOptions = "com.docker.network.generic";
constexpr std::string_view kGatewayLabel = "com.docker.network.gateway";
constexpr std::string_view kInternalLabel = "com.docker.network.internal";
constexpr std::string_view kPortMapLabel = "com.docker.network.portmap";
// Of our IpamDriver, which alone gives each host a gateway's address of its own.
constexpr std::string_view kLocalSpace = "weftlocal";
constexpr std::string_view kGlobalSpace = "weftglobal";
constexpr std::string_view kAddressType = "RequestAddressType";

Result<json::object> parse_object(std::string_view body) {
  if (body.size() > kBodyMax) {
    return Error{Errc::Invalid, fmt::format("body of {} bytes exceeds {}", body.size(), kBodyMax)};
  }
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code failure;
  json::value value =
      json::parse(json::string_view(body.data(), body.size()), failure, {}, options);
  if (failure) {
    return Error{Errc::Invalid, fmt::format("body is not JSON: {}", failure.message())};
  }
  if (!value.is_object()) {
    return Error{Errc::Invalid, "body is not a JSON object"};
  }
  return std::move(value.as_object());
}

// Ids become keys of the store and parts of interface names.
Result<std::string> id(const json::object& object, std::string_view name) {
  std::string value = WEFT_TRY(text(object, name));
  const bool is_clean = std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  if (value.empty() || value.size() > kIdMax || !is_clean) {
    return Error{
        Errc::Invalid,
        fmt::format("{} is not an id (expected 1 to {} letters and digits)", name, kIdMax)};
  }
  return value;
}

Result<Ok> append_address(const json::value& value, std::vector<Cidr>& out) {
  if (!value.is_string()) {
    return wrong_type("address", "a string");
  }
  if (value.as_string().empty()) {
    return Ok{};
  }
  if (out.size() == kReservedMax) {
    return Error{Errc::Invalid,
                 fmt::format("more than {} gateways and auxiliary addresses", kReservedMax)};
  }
  out.push_back(WEFT_TRY(Cidr::parse({value.as_string().data(), value.as_string().size()})));
  return Ok{};
}

// One element of IPv4Data or IPv6Data: {"AddressSpace", "Pool", "Gateway", "AuxAddresses": {NAME:
// ADDRESS}}.
Result<Ok> take_pool_data(std::string_view family,
                          const json::value& value,
                          CreateNetworkCall& out) {
  if (!value.is_object()) {
    return wrong_type(fmt::format("element of {}", family), "an object");
  }
  const json::object& data = value.as_object();
  const json::value* gateway = find(data, "Gateway");
  const std::size_t before = out.reserved.size();
  if (gateway != nullptr) {
    (void)WEFT_TRY(append_address(*gateway, out.reserved));
  }
  const std::string space = WEFT_TRY(text(data, "AddressSpace"));
  const bool is_ours = space == kLocalSpace || space == kGlobalSpace;
  const std::string pool = WEFT_TRY(text(data, "Pool"));
  if (is_ours) {
    out.subnets.push_back(WEFT_TRY(Cidr::parse(pool)));
  } else if (!pool.empty()) {
    out.foreign_subnets.push_back(WEFT_TRY(Cidr::parse(pool)));
  }
  if (out.reserved.size() > before && is_ours) {
    const Cidr& given = out.reserved.back();
    std::optional<Cidr>& wanted = given.is_v4() ? out.gateway : out.gateway_v6;
    wanted = wanted.value_or(given);
  }
  const json::object* others = WEFT_TRY(child(data, "AuxAddresses"));
  if (others != nullptr) {
    for (const auto& other : *others) {
      (void)WEFT_TRY(append_address(other.value(), out.reserved));
    }
  }
  return Ok{};
}

std::string to_text(const json::value& value) {
  return json::serialize(value);
}

bool is_text(const json::value* value, std::string_view expected) {
  return value != nullptr && value->is_string() && value->as_string() == view(expected);
}

}  // namespace

Result<PoolCall> decode_pool(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  PoolCall call;
  call.pool = WEFT_TRY(text(object, "Pool"));
  call.sub_pool = WEFT_TRY(text(object, "SubPool"));
  call.v6 = WEFT_TRY(flag(object, "V6"));
  return call;
}

Result<AddressCall> decode_address(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  AddressCall call;
  call.pool_id = WEFT_TRY(text(object, "PoolID"));
  call.address = WEFT_TRY(text(object, "Address"));
  const json::object* options = WEFT_TRY(child(object, "Options"));
  if (options != nullptr) {
    call.is_gateway = is_text(find(*options, kAddressType), kGatewayLabel);
  }
  return call;
}

Result<CreateNetworkCall> decode_create_network(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  CreateNetworkCall call;
  call.network = WEFT_TRY(id(object, "NetworkID"));
  const json::object* options = WEFT_TRY(child(object, "Options"));
  if (options != nullptr) {
    const json::object* generic = WEFT_TRY(child(*options, kGenericOptions));
    if (generic != nullptr) {
      call.options = WEFT_TRY(decode_network_options(*generic));
    }
    call.is_internal = WEFT_TRY(flag(*options, kInternalLabel));
  }
  for (const std::string_view family : {"IPv4Data", "IPv6Data"}) {
    const json::array* pools = WEFT_TRY(list(object, family));
    if (pools == nullptr) {
      continue;
    }
    for (const json::value& data : *pools) {
      (void)WEFT_TRY(take_pool_data(family, data, call));
    }
  }
  return call;
}

Result<std::string> decode_network(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  return id(object, "NetworkID");
}

Result<bool> decode_gateway_check(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  const json::object* options = WEFT_TRY(child(object, "Options"));
  return options != nullptr ? flag(*options, kInternalLabel) : Result<bool>(false);
}

Result<EndpointCall> decode_endpoint(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  EndpointCall call;
  call.network = WEFT_TRY(id(object, "NetworkID"));
  call.endpoint = WEFT_TRY(id(object, "EndpointID"));
  return call;
}

Result<CreateEndpointCall> decode_create_endpoint(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  CreateEndpointCall call;
  call.network = WEFT_TRY(id(object, "NetworkID"));
  call.endpoint = WEFT_TRY(id(object, "EndpointID"));
  const json::object* interface = WEFT_TRY(child(object, "Interface"));
  if (interface != nullptr) {
    call.address = WEFT_TRY(text(*interface, "Address"));
    call.address_v6 = WEFT_TRY(text(*interface, "AddressIPv6"));
    call.mac = WEFT_TRY(text(*interface, "MacAddress"));
  }
  return call;
}

Result<JoinCall> decode_join(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  JoinCall call;
  call.network = WEFT_TRY(id(object, "NetworkID"));
  call.endpoint = WEFT_TRY(id(object, "EndpointID"));
  call.sandbox = WEFT_TRY(text(object, "SandboxKey"));
  if (call.sandbox.size() > kSandboxMax) {
    return Error{
        Errc::Invalid,
        fmt::format("SandboxKey of {} bytes exceeds {}", call.sandbox.size(), kSandboxMax)};
  }
  const json::object* options = WEFT_TRY(child(object, "Options"));
  if (options != nullptr) {
    const json::array* ports = WEFT_TRY(list(*options, kPortMapLabel));
    call.publishes_ports = ports != nullptr && !ports->empty();
  }
  return call;
}

Result<std::string> decode_allocate_network(std::string_view body) {
  const json::object object = WEFT_TRY(parse_object(body));
  (void)WEFT_TRY(id(object, "NetworkID"));
  const json::object* options = WEFT_TRY(child(object, "Options"));
  if (options != nullptr) {
    const json::object* generic = WEFT_TRY(child(*options, kGenericOptions));
    (void)WEFT_TRY(decode_network_options(generic != nullptr ? *generic : *options));
  }
  json::object reply;
  reply["Options"] = options != nullptr ? *options : json::object();
  return to_text(reply);
}

Result<Ok> decode_any(std::string_view body) {
  if (!body.empty()) {
    (void)WEFT_TRY(parse_object(body));
  }
  return Ok{};
}

std::string encode_error(std::string_view what) {
  return to_text(json::object{{"Err", view(what)}});
}

std::string encode_activate(Scope scope) {
  json::array implements{"NetworkDriver"};
  if (scope == Scope::Local) {
    implements.emplace_back("IpamDriver");
  }
  return to_text(json::object{{"Implements", std::move(implements)}});
}

std::string encode_network_capabilities(Scope scope) {
  return to_text(json::object{{"Scope", scope == Scope::Local ? "local" : "global"},
                              {"ConnectivityScope", "global"},
                              {"GwAllocChecker", true}});
}

std::string encode_ipam_capabilities() {
  return to_text(json::object{{"RequiresMACAddress", false}, {"RequiresRequestReplay", false}});
}

std::string encode_address_spaces() {
  return to_text(json::object{{"LocalDefaultAddressSpace", view(kLocalSpace)},
                              {"GlobalDefaultAddressSpace", view(kGlobalSpace)}});
}

std::string encode_pool(std::string_view pool_id, const Cidr& subnet) {
  return to_text(json::object{
      {"PoolID", view(pool_id)}, {"Pool", view(subnet.to_string())}, {"Data", json::object()}});
}

std::string encode_address(const Cidr& address) {
  return to_text(json::object{{"Address", view(address.to_string())}, {"Data", json::object()}});
}

std::string encode_created_endpoint(const std::string& mac) {
  json::object interface;
  if (!mac.empty()) {
    interface["MacAddress"] = view(mac);
  }
  return to_text(json::object{{"Interface", std::move(interface)}});
}

std::string encode_endpoint_info() {
  return to_text(json::object{{"Value", json::object()}});
}

std::string encode_gateway_check(bool skip) {
  return to_text(json::object{{"SkipIPv4", skip}, {"SkipIPv6", skip}});
}

std::string encode_join(const JoinReply& reply) {
  json::object object;
  // "ethwe" as with Weave Net: images and scripts wait for that name.
  object["InterfaceName"] =
      json::object{{"SrcName", view(reply.interface)}, {"DstPrefix", "ethwe"}};
  json::array routes;
  if (reply.has_multicast_route) {
    // Type 1 is a connected route: by the interface itself, no next hop.
    routes.push_back(json::object{{"Destination", "224.0.0.0/4"}, {"RouteType", 1}});
  }
  object["StaticRoutes"] = std::move(routes);
  if (reply.gateway) {
    object["Gateway"] = view(reply.gateway->to_string());
  }
  if (reply.gateway_v6) {
    object["GatewayIPv6"] = view(reply.gateway_v6->to_string());
  }
  return to_text(object);
}

}  // namespace weft::plugin
