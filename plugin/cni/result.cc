#include "plugin/cni/result.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "plugin/docker_json.h"

namespace weft::plugin::cni {

namespace json = boost::json;
using fields::wrong_type;

namespace {

// Configurations are typed; what runtimes add is a result and the valid attachments of one host.
constexpr std::size_t kTextMax = std::size_t{4} << 20U;
// prevResult and args nest some six levels.
constexpr std::size_t kDepthMax = 32;

json::array texts(const std::vector<std::string>& all) {
  return json::array(all.begin(), all.end());
}

json::object render_dns(const Dns& dns) {
  json::object object;
  if (!dns.nameservers.empty()) {
    object["nameservers"] = texts(dns.nameservers);
  }
  if (!dns.domain.empty()) {
    object["domain"] = dns.domain;
  }
  if (!dns.search.empty()) {
    object["search"] = texts(dns.search);
  }
  if (!dns.options.empty()) {
    object["options"] = texts(dns.options);
  }
  return object;
}

json::object render_route(const Route& route) {
  json::object object{{"dst", route.destination.to_string()}};
  if (route.gateway) {
    object["gw"] = route.gateway->to_string();
  }
  return object;
}

// Of 0.1.0 and 0.2.0: the first address of a family with the family's routes.
void render_family(const AddResult& result, bool is_v4, json::object& out) {
  const auto found =
      std::find_if(result.ips.begin(), result.ips.end(), [is_v4](const IpConfig& one) {
        return one.address.is_v4() == is_v4;
      });
  if (found == result.ips.end()) {
    return;
  }
  json::object ip{{"ip", found->address.to_string()}};
  if (found->gateway) {
    ip["gateway"] = found->gateway->to_string();
  }
  json::array routes;
  for (const Route& route : result.routes) {
    if (route.destination.is_v4() == is_v4) {
      routes.push_back(render_route(route));
    }
  }
  if (!routes.empty()) {
    ip["routes"] = std::move(routes);
  }
  out[is_v4 ? "ip4" : "ip6"] = std::move(ip);
}

json::object render_interface(const Interface& interface, Version version) {
  json::object object{{"name", interface.name}};
  if (interface.mac) {
    object["mac"] = interface.mac->to_string();
  }
  if (interface.mtu != 0 && version >= Version::V110) {
    object["mtu"] = interface.mtu;
  }
  if (!interface.sandbox.empty()) {
    object["sandbox"] = interface.sandbox;
  }
  return object;
}

json::object render_ip(const IpConfig& ip, Version version) {
  json::object object;
  if (version < Version::V100) {
    object["version"] = ip.address.is_v4() ? "4" : "6";
  }
  if (ip.interface) {
    object["interface"] = *ip.interface;
  }
  object["address"] = ip.address.to_string();
  if (ip.gateway) {
    object["gateway"] = ip.gateway->to_string();
  }
  return object;
}

// Each of a list's members as `parse` reads it; a list that is absent is empty.
template <class Value>
Result<std::vector<Value>> parse_list(const json::object& object,
                                      std::string_view name,
                                      Result<Value> (*parse)(const json::value& one)) {
  std::vector<Value> all;
  const json::array* const list = WEFT_TRY(fields::list(object, name));
  if (list == nullptr) {
    return all;
  }
  if (list->size() > kListMax) {
    return Error{Errc::Exhausted, fmt::format("{} {} (at most {})", list->size(), name, kListMax)};
  }
  all.reserve(list->size());
  for (const json::value& one : *list) {
    auto value = parse(one);
    if (!value.ok()) {
      return std::move(value).error().with_context(name);
    }
    all.push_back(std::move(value).value());
  }
  return all;
}

Result<const json::object*> object_in(const json::value& value) {
  if (!value.is_object()) {
    return wrong_type("a member", "an object");
  }
  return &value.as_object();
}

Result<std::string> parse_text(const json::value& value) {
  if (!value.is_string()) {
    return wrong_type("a member", "a string");
  }
  return std::string(std::string_view(value.as_string()));
}

Result<std::optional<Ip>> parse_ip(const json::object& object, std::string_view name) {
  const std::string text = WEFT_TRY(fields::text(object, name));
  if (text.empty()) {
    return std::optional<Ip>();
  }
  const Ip ip = WEFT_TRY(Ip::parse(text));
  return std::optional<Ip>(ip);
}

Result<Cidr> parse_cidr(const json::object& object, std::string_view name) {
  const std::string text = WEFT_TRY(fields::text(object, name));
  auto cidr = Cidr::parse(text);
  return cidr.ok() ? cidr : Result<Cidr>(std::move(cidr).error().with_context(name));
}

// Of 0.1.0 and 0.2.0.
Result<Ok> parse_family(const json::object& object, std::string_view name, AddResult& out) {
  const json::object* const family = WEFT_TRY(fields::child(object, name));
  if (family == nullptr) {
    return Ok{};
  }
  IpConfig ip;
  ip.address = WEFT_TRY(parse_cidr(*family, "ip"));
  ip.gateway = WEFT_TRY(parse_ip(*family, "gateway"));
  out.ips.push_back(ip);
  const std::vector<Route> routes = WEFT_TRY(parse_routes(*family));
  out.routes.insert(out.routes.end(), routes.begin(), routes.end());
  return Ok{};
}

Result<Interface> parse_interface(const json::value& value) {
  const json::object* const object = WEFT_TRY(object_in(value));
  Interface interface;
  interface.name = WEFT_TRY(fields::text(*object, "name"));
  interface.sandbox = WEFT_TRY(fields::text(*object, "sandbox"));
  const std::string mac = WEFT_TRY(fields::text(*object, "mac"));
  if (!mac.empty()) {
    interface.mac = WEFT_TRY(Mac::parse(mac));
  }
  return interface;
}

Result<IpConfig> parse_ip_config(const json::value& value) {
  const json::object* const object = WEFT_TRY(object_in(value));
  IpConfig ip;
  ip.address = WEFT_TRY(parse_cidr(*object, "address"));
  ip.gateway = WEFT_TRY(parse_ip(*object, "gateway"));
  if (const json::value* const index = fields::find(*object, "interface")) {
    if (!index->is_int64() || index->as_int64() < 0
        || index->as_int64() >= static_cast<std::int64_t>(kListMax)) {
      return wrong_type("interface", "an index");
    }
    ip.interface = static_cast<std::size_t>(index->as_int64());
  }
  return ip;
}

Result<Route> parse_route(const json::value& value) {
  const json::object* const object = WEFT_TRY(object_in(value));
  const Cidr destination = WEFT_TRY(parse_cidr(*object, "dst"));
  Route route{.destination = destination.network(), .gateway = {}};
  route.gateway = WEFT_TRY(parse_ip(*object, "gw"));
  return route;
}

}  // namespace

std::string render(const AddResult& result, Version version) {
  json::object object{{"cniVersion", name_of(version)}};
  if (version < Version::V030) {
    render_family(result, true, object);
    render_family(result, false, object);
  } else {
    json::array interfaces;
    for (const Interface& interface : result.interfaces) {
      interfaces.push_back(render_interface(interface, version));
    }
    json::array ips;
    for (const IpConfig& ip : result.ips) {
      ips.push_back(render_ip(ip, version));
    }
    json::array routes;
    for (const Route& route : result.routes) {
      routes.push_back(render_route(route));
    }
    if (!interfaces.empty()) {  // A plugin for addresses alone has none.
      object["interfaces"] = std::move(interfaces);
    }
    object["ips"] = std::move(ips);
    object["routes"] = std::move(routes);
  }
  object["dns"] = render_dns(result.dns);
  return json::serialize(object);
}

std::string render(const Failure& failure, Version version) {
  json::object object{{"cniVersion", name_of(version)},
                      {"code", static_cast<std::uint32_t>(failure.code)},
                      {"msg", failure.message}};
  if (!failure.details.empty()) {
    object["details"] = failure.details;
  }
  return json::serialize(object);
}

std::string render_versions(std::string_view asked) {
  return json::serialize(
      json::object{{"cniVersion", asked.empty() ? kVersionNames.back() : asked},
                   {"supportedVersions", json::array(kVersionNames.begin(), kVersionNames.end())}});
}

Result<AddResult> parse_result(const json::object& object) {
  AddResult result;
  WEFT_TRY(parse_family(object, "ip4", result));
  WEFT_TRY(parse_family(object, "ip6", result));
  result.interfaces = WEFT_TRY(parse_list(object, "interfaces", parse_interface));
  const std::vector<IpConfig> ips = WEFT_TRY(parse_list(object, "ips", parse_ip_config));
  result.ips.insert(result.ips.end(), ips.begin(), ips.end());
  const std::vector<Route> routes = WEFT_TRY(parse_routes(object));
  result.routes.insert(result.routes.end(), routes.begin(), routes.end());
  if (result.ips.size() > kListMax || result.routes.size() > kListMax) {
    return Error{Errc::Exhausted, fmt::format("more than {} addresses or routes", kListMax)};
  }
  for (const IpConfig& ip : result.ips) {
    if (ip.interface && *ip.interface >= result.interfaces.size()) {
      return Error{Errc::Invalid, fmt::format("no interface {} in the result", *ip.interface)};
    }
  }
  result.dns = WEFT_TRY(parse_dns(object));
  return result;
}

Result<std::vector<Route>> parse_routes(const json::object& object) {
  return parse_list(object, "routes", parse_route);
}

Result<Dns> parse_dns(const json::object& object) {
  const json::object* const child = WEFT_TRY(fields::child(object, "dns"));
  Dns dns;
  if (child == nullptr) {
    return dns;
  }
  dns.nameservers = WEFT_TRY(parse_list(*child, "nameservers", parse_text));
  dns.domain = WEFT_TRY(fields::text(*child, "domain"));
  dns.search = WEFT_TRY(parse_list(*child, "search", parse_text));
  dns.options = WEFT_TRY(parse_list(*child, "options", parse_text));
  return dns;
}

Result<json::object> parse_object(std::string_view text) {
  if (text.size() > kTextMax) {
    return Error{Errc::Exhausted, fmt::format("{} bytes (at most {})", text.size(), kTextMax)};
  }
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code malformed;
  const json::value value = json::parse(fields::view(text), malformed, {}, options);
  if (malformed) {
    return Error{Errc::Invalid, fmt::format("no JSON: {}", malformed.message())};
  }
  if (!value.is_object()) {
    return Error{Errc::Invalid, "no JSON object"};
  }
  return value.as_object();
}

}  // namespace weft::plugin::cni
