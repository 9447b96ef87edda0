#include "plugin/docker_records.h"

#include <array>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "plugin/docker_json.h"

namespace weft::plugin {
namespace {

namespace json = boost::json;
using fields::flag;
using fields::text;
using fields::view;

// Weave Net's names; nine of sixteen hexadecimal digits' worth is 36 bits, and a clash is refused.
constexpr std::string_view kGuestPrefix = "vethwg";
constexpr std::size_t kNameMax = 15;  // IFNAMSIZ − 1.
static_assert(kHostEndPrefix.size() == kGuestPrefix.size());
constexpr std::int64_t kMtuMax = 65535;  // Of a veth.
constexpr std::size_t kIdPart = kNameMax - kHostEndPrefix.size();

constexpr std::array<std::pair<EndpointRecord::State, std::string_view>, 4> kStates = {{
    {EndpointRecord::State::Creating, "creating"},
    {EndpointRecord::State::Created, "created"},
    {EndpointRecord::State::Joined, "joined"},
    {EndpointRecord::State::Removing, "removing"},
}};

Bytes to_row(const json::object& object) {
  return to_bytes(std::string_view(json::serialize(object)));
}

Result<json::object> parse_row(ByteView row) {
  json::error_code failure;
  const std::string_view body = as_text(row);
  json::value value = json::parse(view(body), failure);
  if (failure || !value.is_object()) {
    return Error{Errc::Invalid, "row is not a JSON object"};
  }
  return std::move(value.as_object());
}

json::array to_list(const std::vector<Cidr>& blocks) {
  json::array list;
  for (const Cidr& block : blocks) {
    list.emplace_back(view(block.to_string()));
  }
  return list;
}

Result<std::vector<Cidr>> blocks(const json::object& object, std::string_view name) {
  std::vector<Cidr> blocks;
  const json::array* list = WEFT_TRY(fields::list(object, name));
  if (list == nullptr) {
    return blocks;
  }
  for (const json::value& block : *list) {
    if (!block.is_string()) {
      return fields::wrong_type(fmt::format("element of {}", name), "a string");
    }
    blocks.push_back(WEFT_TRY(Cidr::parse({block.as_string().data(), block.as_string().size()})));
  }
  return blocks;
}

// Rows of agents that had no such option lack it.
Result<std::uint32_t> mtu(const json::object& object) {
  const json::value* value = fields::find(object, "mtu");
  if (value == nullptr) {
    return 0U;
  }
  if (!value->is_int64() || value->as_int64() < 0 || value->as_int64() > kMtuMax) {
    return fields::wrong_type("mtu", "an MTU");
  }
  return static_cast<std::uint32_t>(value->as_int64());
}

// A row is written whole: what lacks one of these is none of ours.
template <std::size_t kCount>
Result<Ok> require(const json::object& object, const std::array<std::string_view, kCount>& names) {
  for (const std::string_view name : names) {
    WEFT_TRY(fields::require(object, name));
  }
  return Ok{};
}

std::string text_of(const std::optional<Cidr>& address) {
  return address ? address->to_string() : std::string();
}

// Rows of agents that knew IPv4 alone lack those of IPv6.
Result<std::optional<Cidr>> optional_address(const json::object& object,
                                             std::string_view name,
                                             bool is_v4) {
  const std::string address = WEFT_TRY(text(object, name));
  if (address.empty()) {
    return std::optional<Cidr>();
  }
  const Cidr parsed = WEFT_TRY(Cidr::parse(address));
  if (parsed.is_v4() != is_v4) {
    return Error{Errc::Invalid,
                 fmt::format("{} {} (expected {})", name, address, is_v4 ? "IPv4" : "IPv6")};
  }
  return std::optional(parsed);
}

std::string_view state_name(EndpointRecord::State wanted) {
  for (const auto& [state, name] : kStates) {
    if (state == wanted) {
      return name;
    }
  }
  WEFT_ASSERT(false);
  return {};
}

Result<EndpointRecord::State> state_of(std::string_view wanted) {
  for (const auto& [state, name] : kStates) {
    if (name == wanted) {
      return state;
    }
  }
  return Error{Errc::Invalid, fmt::format("unknown state {}", wanted)};
}

}  // namespace

std::string EndpointRecord::host_name(std::string_view id) {
  return std::string(kHostEndPrefix) + std::string(id.substr(0, kIdPart));
}

std::string EndpointRecord::guest_name(std::string_view id) {
  return std::string(kGuestPrefix) + std::string(id.substr(0, kIdPart));
}

Port EndpointRecord::port(const std::string& id) const {
  return Port{.id = id,
              .host = host_name(id),
              .guest = guest_name(id),
              .mac = mac,
              .addresses = addresses(),
              .mtu_bytes = mtu_bytes};
}

std::vector<Cidr> EndpointRecord::addresses() const {
  return address_v6 ? std::vector<Cidr>{address, *address_v6} : std::vector<Cidr>{address};
}

bool EndpointRecord::has(const Ip& wanted) const {
  return address.address() == wanted || (address_v6 && address_v6->address() == wanted);
}

std::vector<Cidr> NetworkRecord::gateways() const {
  std::vector<Cidr> all;
  for (const std::optional<Cidr>& one : {gateway, gateway_v6}) {
    if (one) {
      all.push_back(*one);
    }
  }
  return all;
}

StoreWrite write_network(const std::string& id, const NetworkRecord& record) {
  const std::string gateway = text_of(record.gateway);
  const std::string gateway_v6 = text_of(record.gateway_v6);
  const json::object row{{"multicast", record.options.multicast},
                         {"mtu", record.options.mtu_bytes},
                         {"encrypted", record.options.encrypted},
                         {"is_global", record.scope == Scope::Global},
                         {"subnets", to_list(record.subnets)},
                         {"reserved", to_list(record.reserved)},
                         {"gateway", view(gateway)},
                         {"gateway_v6", view(gateway_v6)}};
  return StoreWrite{std::string(kNetworksTable), to_bytes(std::string_view(id)), to_row(row)};
}

StoreWrite write_endpoint(const std::string& id, const EndpointRecord& record) {
  const std::string address_v6 = text_of(record.address_v6);
  const json::object row{{"state", view(state_name(record.state))},
                         {"network", view(record.network)},
                         {"address", view(record.address.to_string())},
                         {"address_v6", view(address_v6)},
                         {"mac", view(record.mac.to_string())},
                         {"is_mac_ours", record.is_mac_ours},
                         {"pool", view(record.pool)},
                         {"pool_v6", view(record.pool_v6)},
                         {"multicast_sandbox", view(record.multicast_sandbox)},
                         {"mtu", record.mtu_bytes}};
  return StoreWrite{std::string(kEndpointsTable), to_bytes(std::string_view(id)), to_row(row)};
}

StoreWrite erase_network(const std::string& id) {
  return StoreWrite{std::string(kNetworksTable), to_bytes(std::string_view(id)), std::nullopt};
}

StoreWrite erase_endpoint(const std::string& id) {
  return StoreWrite{std::string(kEndpointsTable), to_bytes(std::string_view(id)), std::nullopt};
}

Result<NetworkRecord> decode_network_record(ByteView row) {
  const json::object object = WEFT_TRY(parse_row(row));
  // Rows of agents that had no gateways lack the rest.
  constexpr std::array<std::string_view, 2> kRequired = {"multicast", "reserved"};
  WEFT_TRY(require(object, kRequired));
  NetworkRecord record;
  record.options.multicast = WEFT_TRY(flag(object, "multicast"));
  record.options.mtu_bytes = WEFT_TRY(mtu(object));
  record.options.encrypted = WEFT_TRY(flag(object, "encrypted"));
  const bool is_global = WEFT_TRY(flag(object, "is_global"));
  record.scope = is_global ? Scope::Global : Scope::Local;
  record.reserved = WEFT_TRY(blocks(object, "reserved"));
  record.subnets = WEFT_TRY(blocks(object, "subnets"));
  record.gateway = WEFT_TRY(optional_address(object, "gateway", true));
  record.gateway_v6 = WEFT_TRY(optional_address(object, "gateway_v6", false));
  return record;
}

Result<EndpointRecord> decode_endpoint_record(ByteView row) {
  const json::object object = WEFT_TRY(parse_row(row));
  constexpr std::array<std::string_view, 7> kRequired = {
      "state", "network", "address", "mac", "is_mac_ours", "pool", "multicast_sandbox"};
  WEFT_TRY(require(object, kRequired));
  EndpointRecord record;
  const std::string state = WEFT_TRY(text(object, "state"));
  record.state = WEFT_TRY(state_of(state));
  record.network = WEFT_TRY(text(object, "network"));
  const std::string address = WEFT_TRY(text(object, "address"));
  record.address = WEFT_TRY(Cidr::parse(address));
  record.address_v6 = WEFT_TRY(optional_address(object, "address_v6", false));
  const std::string mac = WEFT_TRY(text(object, "mac"));
  record.mac = WEFT_TRY(Mac::parse(mac));
  record.is_mac_ours = WEFT_TRY(flag(object, "is_mac_ours"));
  record.pool = WEFT_TRY(text(object, "pool"));
  record.pool_v6 = WEFT_TRY(text(object, "pool_v6"));
  record.multicast_sandbox = WEFT_TRY(text(object, "multicast_sandbox"));
  record.mtu_bytes = WEFT_TRY(mtu(object));
  return record;
}

}  // namespace weft::plugin
