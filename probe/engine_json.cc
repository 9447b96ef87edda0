#include "probe/engine_json.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "probe/mask.h"

namespace weft::probe {
namespace {

namespace json = boost::json;

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::uint16_t port_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_int64()) {
    return 0;
  }
  const std::int64_t number = value->as_int64();
  const bool fits = number > 0 && number <= std::numeric_limits<std::uint16_t>::max();
  return fits ? static_cast<std::uint16_t>(number) : std::uint16_t{0};
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

ContainerState parse_state(std::string_view text) {
  using enum ContainerState;
  static const std::map<std::string_view, ContainerState> kStates{{"created", Created},
                                                                  {"running", Running},
                                                                  {"paused", Paused},
                                                                  {"restarting", Restarting},
                                                                  {"removing", Dead},
                                                                  {"exited", Exited},
                                                                  {"dead", Dead}};
  const auto found = kStates.find(text);
  return found == kStates.end() ? Dead : found->second;
}

std::vector<PortMapping> parse_ports(const json::array& items) {
  std::set<PortMapping> ports;
  for (const json::value& item : items) {
    const json::object* object = item.if_object();
    if (object == nullptr) {
      continue;
    }
    const std::string type = text_at(*object, "Type");
    const auto address = Ip::parse(text_at(*object, "IP"));
    if (type != "tcp" && type != "udp") {
      continue;
    }
    PortMapping port;
    port.outside = {address.ok() ? address.value() : Ip(), port_at(*object, "PublicPort")};
    port.inside = port_at(*object, "PrivatePort");
    port.transport = type == "udp" ? Transport::Udp : Transport::Tcp;
    ports.insert(port);
  }
  return {ports.begin(), ports.end()};
}

void parse_networks(const json::object& networks, ContainerFacts& out) {
  std::set<Ip> addresses;
  for (const auto& [name, value] : networks) {
    out.networks.emplace_back(name);
    if (const json::object* network = value.if_object()) {
      for (const char* key : {"IPAddress", "GlobalIPv6Address"}) {
        if (const auto address = Ip::parse(text_at(*network, key)); address.ok()) {
          addresses.insert(address.value());
        }
      }
    }
  }
  std::sort(out.networks.begin(), out.networks.end());
  out.addresses = {addresses.begin(), addresses.end()};
}

std::string parse_name(const json::object& object) {
  const json::array* names = array_at(object, "Names");
  if (names == nullptr || names->empty() || !names->front().is_string()) {
    return "";
  }
  const std::string_view name = names->front().as_string();
  return std::string(name.starts_with('/') ? name.substr(1) : name);
}

std::optional<ContainerFacts> parse_container(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr || text_at(*object, "Id").empty()) {
    return std::nullopt;
  }
  ContainerFacts out;
  out.id = text_at(*object, "Id");
  out.name = parse_name(*object);
  out.image = text_at(*object, "Image");
  out.image_id = text_at(*object, "ImageID");
  out.command = mask_command(text_at(*object, "Command"));
  out.state = parse_state(text_at(*object, "State"));
  out.status = text_at(*object, "Status");
  if (const json::value* created = object->if_contains("Created");
      created != nullptr && created->is_int64()) {
    out.created_unix = created->as_int64();
  }
  if (const json::object* config = object_at(*object, "HostConfig")) {
    out.host_network = text_at(*config, "NetworkMode") == "host";
  }
  if (const json::array* ports = array_at(*object, "Ports")) {
    out.ports = parse_ports(*ports);
  }
  if (const json::object* settings = object_at(*object, "NetworkSettings")) {
    if (const json::object* networks = object_at(*settings, "Networks")) {
      parse_networks(*networks, out);
    }
  }
  if (const json::object* labels = object_at(*object, "Labels")) {
    for (const auto& [key, label] : *labels) {
      const std::string text = label.is_string() ? std::string(label.as_string()) : "";
      out.labels.emplace(key, is_secret_name(key) ? std::string(kMasked) : text);
    }
  }
  return out;
}

Result<json::value> parse(std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  if (error) {
    return Error{Errc::Invalid,
                 fmt::format("the engine's answer is not JSON: {}", error.message())};
  }
  return value;
}

}  // namespace

Result<std::vector<ContainerFacts>> parse_container_list(std::string_view body) {
  const json::value value = WEFT_TRY(parse(body));
  const json::array* items = value.if_array();
  if (items == nullptr) {
    return Error{Errc::Invalid, "the engine's list of containers is no array"};
  }
  std::map<std::string, ContainerFacts> found;
  for (const json::value& item : *items) {
    if (auto container = parse_container(item)) {
      const std::string id = container->id;
      found.emplace(id, *std::move(container));
    }
  }
  std::vector<ContainerFacts> containers;
  containers.reserve(found.size());
  for (auto& [id, container] : found) {
    containers.push_back(std::move(container));
  }
  return containers;
}

Result<std::string> parse_container_hostname(std::string_view body) {
  const json::value value = WEFT_TRY(parse(body));
  const json::object* object = value.if_object();
  const json::object* config = object == nullptr ? nullptr : object_at(*object, "Config");
  if (config == nullptr) {
    return Error{Errc::Invalid, "the engine's description of a container has no Config"};
  }
  return text_at(*config, "Hostname");
}

std::string_view container_of_cgroup(std::string_view path) {
  constexpr std::size_t kIdSize = 64;
  constexpr std::string_view kDigits = "0123456789abcdef";
  // From the end: the innermost container counts where one runs inside another.
  std::size_t digits = 0;
  for (std::size_t i = path.size(); i > 0; --i) {
    const bool is_digit = kDigits.find(path[i - 1]) != std::string_view::npos;
    digits = is_digit ? digits + 1 : 0;
    const bool is_whole = i == 1 || kDigits.find(path[i - 2]) == std::string_view::npos;
    if (digits == kIdSize && is_whole) {
      return path.substr(i - 1, kIdSize);
    }
  }
  return {};
}

}  // namespace weft::probe
