#include "plugin/docker_records.h"

#include <array>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace weft::plugin {
namespace {

namespace json = boost::json;

// Weave Net's names; nine of sixteen hexadecimal digits' worth is 36 bits, and a clash is refused.
constexpr std::string_view kGuestPrefix = "vethwg";
constexpr std::size_t kNameMax = 15;  // IFNAMSIZ − 1.
static_assert(kHostEndPrefix.size() == kGuestPrefix.size());
constexpr std::size_t kIdPart = kNameMax - kHostEndPrefix.size();

constexpr std::array<std::pair<EndpointRecord::State, std::string_view>, 4> kStates = {{
    {EndpointRecord::State::Creating, "creating"},
    {EndpointRecord::State::Created, "created"},
    {EndpointRecord::State::Joined, "joined"},
    {EndpointRecord::State::Removing, "removing"},
}};

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

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

Result<std::string> text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(view(name));
  if (value == nullptr || !value->is_string()) {
    return Error{Errc::Invalid, fmt::format("{} is not a string", name)};
  }
  return std::string(value->as_string().data(), value->as_string().size());
}

Result<bool> flag(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(view(name));
  if (value == nullptr || !value->is_bool()) {
    return Error{Errc::Invalid, fmt::format("{} is not a flag", name)};
  }
  return value->as_bool();
}

json::array to_list(const std::vector<Cidr>& blocks) {
  json::array list;
  for (const Cidr& block : blocks) {
    list.emplace_back(view(block.to_string()));
  }
  return list;
}

Result<std::vector<Cidr>> blocks(const json::object& object, std::string_view name) {
  const json::value* list = object.if_contains(view(name));
  if (list == nullptr || !list->is_array()) {
    return Error{Errc::Invalid, fmt::format("{} is not a list", name)};
  }
  std::vector<Cidr> blocks;
  for (const json::value& block : list->as_array()) {
    if (!block.is_string()) {
      return Error{Errc::Invalid, fmt::format("element of {} is not a string", name)};
    }
    blocks.push_back(WEFT_TRY(Cidr::parse({block.as_string().data(), block.as_string().size()})));
  }
  return blocks;
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
  return Port{
      .id = id, .host = host_name(id), .guest = guest_name(id), .mac = mac, .addresses = {address}};
}

StoreWrite write_network(const std::string& id, const NetworkRecord& record) {
  const std::string gateway = record.gateway ? record.gateway->to_string() : std::string();
  const json::object row{{"multicast", record.multicast},
                         {"subnets", to_list(record.subnets)},
                         {"reserved", to_list(record.reserved)},
                         {"gateway", view(gateway)}};
  return StoreWrite{std::string(kNetworksTable), to_bytes(std::string_view(id)), to_row(row)};
}

StoreWrite write_endpoint(const std::string& id, const EndpointRecord& record) {
  const json::object row{{"state", view(state_name(record.state))},
                         {"network", view(record.network)},
                         {"address", view(record.address.to_string())},
                         {"mac", view(record.mac.to_string())},
                         {"is_mac_ours", record.is_mac_ours},
                         {"pool", view(record.pool)},
                         {"multicast_sandbox", view(record.multicast_sandbox)}};
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
  NetworkRecord record;
  record.multicast = WEFT_TRY(flag(object, "multicast"));
  record.reserved = WEFT_TRY(blocks(object, "reserved"));
  // Rows of agents that had no gateways lack the rest.
  if (object.contains("subnets")) {
    record.subnets = WEFT_TRY(blocks(object, "subnets"));
  }
  std::string gateway;
  if (object.contains("gateway")) {
    gateway = WEFT_TRY(text(object, "gateway"));
  }
  if (!gateway.empty()) {
    record.gateway = WEFT_TRY(Cidr::parse(gateway));
    if (!record.gateway->is_v4()) {
      return Error{Errc::Invalid, fmt::format("gateway {} (expected IPv4)", gateway)};
    }
  }
  return record;
}

Result<EndpointRecord> decode_endpoint_record(ByteView row) {
  const json::object object = WEFT_TRY(parse_row(row));
  EndpointRecord record;
  const std::string state = WEFT_TRY(text(object, "state"));
  record.state = WEFT_TRY(state_of(state));
  record.network = WEFT_TRY(text(object, "network"));
  const std::string address = WEFT_TRY(text(object, "address"));
  record.address = WEFT_TRY(Cidr::parse(address));
  const std::string mac = WEFT_TRY(text(object, "mac"));
  record.mac = WEFT_TRY(Mac::parse(mac));
  record.is_mac_ours = WEFT_TRY(flag(object, "is_mac_ours"));
  record.pool = WEFT_TRY(text(object, "pool"));
  record.multicast_sandbox = WEFT_TRY(text(object, "multicast_sandbox"));
  return record;
}

}  // namespace weft::plugin
