#include "plugin/docker_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "plugin/docker_json.h"

namespace weft::plugin {
namespace {

namespace json = boost::json;
using fields::wrong_type;

constexpr std::string_view kOwnOptions = "weft.";
constexpr std::string_view kIsolated = "weft.isolated";

// Every IPv4 host takes datagrams of 576 octets (RFC 791); TUN and veth take no MTU beyond 65,535.
constexpr std::uint32_t kMtuMin = 576;
constexpr std::uint32_t kMtuMax = 65535;

// What Go's strconv.ParseBool takes, since the value comes from `--opt KEY=VALUE`; a bare
// `--opt KEY` means yes.
Result<bool> yes_or_no(std::string_view name, const json::value& value) {
  constexpr std::array<std::string_view, 7> kYes = {"", "1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array<std::string_view, 6> kNo = {"0", "f", "F", "false", "FALSE", "False"};
  if (value.is_bool()) {
    return value.as_bool();
  }
  if (!value.is_string()) {
    return wrong_type(fmt::format("option {}", name), "true or false");
  }
  const std::string_view word(value.as_string().data(), value.as_string().size());
  if (std::find(kYes.begin(), kYes.end(), word) != kYes.end()) {
    return true;
  }
  if (std::find(kNo.begin(), kNo.end(), word) != kNo.end()) {
    return false;
  }
  return Error{Errc::Invalid, fmt::format("option {}={} (expected true or false)", name, word)};
}

Result<std::uint32_t> mtu(std::string_view name, const json::value& value) {
  if (!value.is_string()) {
    return wrong_type(fmt::format("option {}", name), "a string");
  }
  const std::string_view word(value.as_string().data(), value.as_string().size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const bool is_number = error == std::errc() && end == word.data() + word.size();
  if (!is_number || number < kMtuMin || number > kMtuMax) {
    return Error{Errc::Invalid,
                 fmt::format("option {}={} (expected {} to {})", name, word, kMtuMin, kMtuMax)};
  }
  return number;
}

// One option under either of its names; our own comes first.
template <class Value>
struct Choice {
  std::string_view own_name;
  std::string_view other_name;
  Result<Value> (*read)(std::string_view name, const json::value& value);
  Value chosen{};
  std::string_view chosen_as{};  // Empty: it was not given.

  // True if the option is this one.
  Result<bool> take(std::string_view name, const json::value& value) {
    if (name != own_name && name != other_name) {
      return false;
    }
    const Value given = WEFT_TRY(read(name, value));
    if (name == own_name || chosen_as.empty()) {
      chosen = given;
      chosen_as = name;
    }
    return true;
  }
  Value value_or(Value fallback) const { return chosen_as.empty() ? fallback : chosen; }
};

Error unknown(std::string_view name) {
  if (name == kIsolated) {
    return Error{Errc::Invalid,
                 fmt::format("option {} is not there: networks are kept apart by their subnets "
                             "(--internal keeps one from everything else)",
                             name)};
  }
  return Error{
      Errc::Invalid,
      fmt::format("unknown option {} (expected weft.multicast, weft.mtu or weft.encrypted)", name)};
}

}  // namespace

Result<NetworkOptions> decode_network_options(const json::object& options) {
  Choice<bool> multicast{"weft.multicast", "works.weave.multicast", yes_or_no};
  Choice<std::uint32_t> mtu_bytes{"weft.mtu", "com.docker.network.driver.mtu", mtu};
  Choice<bool> encrypted{"weft.encrypted", "encrypted", yes_or_no};
  for (const auto& option : options) {
    const std::string_view name(option.key().data(), option.key().size());
    const bool is_multicast = WEFT_TRY(multicast.take(name, option.value()));
    const bool is_mtu = WEFT_TRY(mtu_bytes.take(name, option.value()));
    const bool is_encrypted = WEFT_TRY(encrypted.take(name, option.value()));
    if (!is_multicast && !is_mtu && !is_encrypted && name.starts_with(kOwnOptions)) {
      return unknown(name);
    }
  }
  return NetworkOptions{.multicast = multicast.value_or(true),
                        .mtu_bytes = mtu_bytes.value_or(0),
                        .encrypted = encrypted.value_or(false)};
}

}  // namespace weft::plugin
