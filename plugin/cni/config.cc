#include "plugin/cni/config.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "plugin/docker_json.h"

namespace weft::plugin::cni {

namespace json = boost::json;
using fields::wrong_type;

namespace {

constexpr std::string_view kValid = "cni.dev/valid-attachments";

// As for weft's Docker networks: IPv4 hosts take 576 octets (RFC 791), veth no more than 65,535.
constexpr std::int64_t kMtuMin = 576;
constexpr std::int64_t kMtuMax = 65535;

Error denied(std::string_view what) {
  return Error{Errc::Denied, std::string(what)};
}

Result<bool> flag_or(const json::object& object, std::string_view name, bool fallback) {
  const bool value = WEFT_TRY(fields::flag(object, name));
  return fields::find(object, name) != nullptr ? value : fallback;
}

Result<std::uint32_t> parse_mtu(const json::object& object) {
  const json::value* const value = fields::find(object, "mtu");
  if (value == nullptr) {
    return 0U;
  }
  if (!value->is_int64()) {
    return wrong_type("mtu", "a number");
  }
  const std::int64_t mtu = value->as_int64();
  if (mtu != 0 && (mtu < kMtuMin || mtu > kMtuMax)) {
    return Error{Errc::Invalid, fmt::format("mtu {} (expected {} to {})", mtu, kMtuMin, kMtuMax)};
  }
  return static_cast<std::uint32_t>(mtu);
}

Result<Ok> add_subnet(const std::string& text, std::vector<Cidr>& subnets) {
  auto subnet = Cidr::parse(text);
  if (!subnet.ok()) {
    return std::move(subnet).error().with_context("ipam.subnet");
  }
  if (subnets.size() == kSubnetsMax) {
    return Error{Errc::Invalid, fmt::format("more than {} subnets", kSubnetsMax)};
  }
  subnets.push_back(subnet.value().network());
  return Ok{};
}

Result<std::vector<Cidr>> parse_subnets(const json::object& ipam) {
  std::vector<Cidr> subnets;
  const std::string one = WEFT_TRY(fields::text(ipam, "subnet"));
  if (!one.empty()) {
    WEFT_TRY(add_subnet(one, subnets));
  }
  const json::array* const more = WEFT_TRY(fields::list(ipam, "subnets"));
  for (const json::value& text : more != nullptr ? *more : json::array()) {
    if (!text.is_string()) {
      return wrong_type("ipam.subnets", "a list of strings");
    }
    WEFT_TRY(add_subnet(std::string(std::string_view(text.as_string())), subnets));
  }
  return subnets;
}

Result<IpamConfig> parse_ipam(const json::object& object) {
  IpamConfig config;
  const json::object* const ipam = WEFT_TRY(fields::child(object, "ipam"));
  if (ipam == nullptr) {
    return config;
  }
  config.type = WEFT_TRY(fields::text(*ipam, "type"));
  if (config.type.find('/') != std::string::npos || config.type.starts_with('.')) {
    return Error{Errc::Invalid,
                 fmt::format("ipam.type {} (expected a plugin's name)", config.type)};
  }
  if (config.is_foreign()) {
    return config;  // The rest is that plugin's.
  }
  config.subnets = WEFT_TRY(parse_subnets(*ipam));
  const std::string gateway = WEFT_TRY(fields::text(*ipam, "gateway"));
  if (!gateway.empty()) {
    config.gateway = WEFT_TRY(Ip::parse(gateway));
  }
  if (fields::find(*ipam, "routes") != nullptr) {
    config.routes = WEFT_TRY(parse_routes(*ipam));
  }
  return config;
}

Result<RequestedIp> parse_requested(std::string_view text) {
  if (text.find('/') == std::string_view::npos) {
    const Ip address = WEFT_TRY(Ip::parse(text));
    return RequestedIp{.address = address};
  }
  const Cidr cidr = WEFT_TRY(Cidr::parse(text));
  return RequestedIp{.address = cidr.address(), .prefix = cidr.prefix()};
}

Result<std::vector<RequestedIp>> parse_ips(const json::object& object) {
  std::vector<RequestedIp> ips;
  const json::array* const list = WEFT_TRY(fields::list(object, "ips"));
  for (const json::value& one : list != nullptr ? *list : json::array()) {
    if (!one.is_string() || ips.size() == kSubnetsMax) {
      return wrong_type("ips", fmt::format("a list of {} addresses at most", kSubnetsMax));
    }
    const RequestedIp ip = WEFT_TRY(parse_requested(std::string_view(one.as_string())));
    ips.push_back(ip);
  }
  return ips;
}

Result<std::optional<Mac>> parse_mac(std::string_view text) {
  if (text.empty()) {
    return std::optional<Mac>();
  }
  const Mac mac = WEFT_TRY(Mac::parse(text));
  if (mac.is_group() || mac == Mac()) {
    return Error{Errc::Invalid, fmt::format("mac {} (expected one of a single station)", text)};
  }
  return std::optional<Mac>(mac);
}

// Where a runtime says what one attachment is to have: the capabilities "ips" and "mac", the
// conventions args.cni.ips and args.cni.mac, and CNI_ARGS; the first that says anything counts.
Result<Ok> parse_wishes(const json::object& object, const Call& call, NetworkConfig& config) {
  std::vector<const json::object*> places;
  places.push_back(WEFT_TRY(fields::child(object, "runtimeConfig")));
  const json::object* const arguments = WEFT_TRY(fields::child(object, "args"));
  if (arguments != nullptr) {
    places.push_back(WEFT_TRY(fields::child(*arguments, "cni")));
  }
  for (const json::object* place : places) {
    if (place == nullptr) {
      continue;
    }
    const std::vector<RequestedIp> ips = WEFT_TRY(parse_ips(*place));
    config.ips = config.ips.empty() ? ips : config.ips;
    const std::string text = WEFT_TRY(fields::text(*place, "mac"));
    const std::optional<Mac> mac = WEFT_TRY(parse_mac(text));
    config.mac = config.mac ? config.mac : mac;
  }
  if (const auto ip = call.arguments.find("IP"); ip != call.arguments.end() && config.ips.empty()) {
    const RequestedIp requested = WEFT_TRY(parse_requested(ip->second));
    config.ips.push_back(requested);
  }
  if (const auto mac = call.arguments.find("MAC"); mac != call.arguments.end() && !config.mac) {
    config.mac = WEFT_TRY(parse_mac(mac->second));
  }
  return Ok{};
}

Result<std::vector<AttachmentId>> parse_valid(const json::array& list) {
  std::vector<AttachmentId> valid;
  if (list.size() > kValidMax) {
    return Error{Errc::Invalid, fmt::format("{} of more than {} attachments", kValid, kValidMax)};
  }
  valid.reserve(list.size());
  for (const json::value& one : list) {
    if (!one.is_object()) {
      return wrong_type(kValid, "a list of objects");
    }
    AttachmentId id;
    id.container = WEFT_TRY(fields::text(one.as_object(), "containerID"));
    id.interface = WEFT_TRY(fields::text(one.as_object(), "ifname"));
    valid.push_back(std::move(id));
  }
  return valid;
}

// What others' plugins do when told to, and weft does in another way or not at all.
Result<Ok> refuse_unsupported(const json::object& object) {
  const bool is_gateway = WEFT_TRY(fields::flag(object, "isGateway"));
  const bool masquerades = WEFT_TRY(fields::flag(object, "ipMasq"));
  if (is_gateway) {
    return denied(
        "isGateway is not there: without a gateway and routes the host is one (weft expose)");
  }
  if (masquerades) {
    return denied("ipMasq is not there: what leaves through the host is masqueraded (weft expose)");
  }
  return Ok{};
}

Result<std::string> parse_name(const json::object& object) {
  std::string name = WEFT_TRY(fields::text(object, "name"));
  if (!is_identifier(name) || name.size() > kNetworkNameMax) {
    return Error{
        Errc::Invalid,
        fmt::format("name \"{}\" (expected a letter or digit, then such, _, . and -; {} at "
                    "most)",
                    name.substr(0, kNetworkNameMax),
                    kNetworkNameMax)};
  }
  return name;
}

}  // namespace

bool IpamConfig::is_foreign() const {
  return !type.empty() && type != "weft-ipam" && type != "weave-ipam";
}

Result<NetworkConfig> parse_config(const json::object& object, const Call& call) {
  NetworkConfig config;
  const std::string version = WEFT_TRY(fields::text(object, "cniVersion"));
  config.version = WEFT_TRY(parse_version(version));
  config.name = WEFT_TRY(parse_name(object));
  config.run_dir = WEFT_TRY(fields::text(object, "runDir"));
  config.ipam = WEFT_TRY(parse_ipam(object));
  config.dns = WEFT_TRY(parse_dns(object));
  if (call.verb == Verb::Add || call.verb == Verb::Check) {
    WEFT_TRY(parse_wishes(object, call, config));
  }
  if (const json::object* const previous = WEFT_TRY(fields::child(object, "prevResult"))) {
    config.previous = WEFT_TRY(parse_result(*previous));
  }
  if (object.contains(fields::view(kValid))) {
    const json::array* const valid = WEFT_TRY(fields::list(object, kValid));
    // A runtime in Go says null for none.
    config.valid = WEFT_TRY(parse_valid(valid != nullptr ? *valid : json::array()));
  }
  return config;
}

Result<Ok> parse_interface_config(const json::object& object, NetworkConfig& config) {
  WEFT_TRY(refuse_unsupported(object));
  config.mtu = WEFT_TRY(parse_mtu(object));
  config.hairpin = WEFT_TRY(flag_or(object, "hairpinMode", true));
  return Ok{};
}

}  // namespace weft::plugin::cni
