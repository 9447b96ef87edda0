// What a CNI plugin says on its standard output: the result of ADD, in the form of every version of
// the specification (section 5), errors, and the versions there are. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/address.h"
#include "base/result.h"
#include "plugin/cni/version.h"

namespace weft::plugin::cni {

// Of each kind in one result: a container with more of them is a router.
inline constexpr std::size_t kListMax = 256;

struct Interface {
  std::string name;
  std::optional<Mac> mac;
  std::uint32_t mtu = 0;  // 0: not told.
  std::string sandbox;    // The path of the namespace it is in; empty: the host's.

  friend bool operator==(const Interface&, const Interface&) = default;
};

struct IpConfig {
  Cidr address;  // With the prefix of its subnet.
  std::optional<Ip> gateway;
  std::optional<std::size_t> interface;  // Index of one in the result.

  friend bool operator==(const IpConfig&, const IpConfig&) = default;
};

struct Route {
  Cidr destination;
  std::optional<Ip> gateway;

  friend bool operator==(const Route&, const Route&) = default;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;

  friend bool operator==(const Dns&, const Dns&) = default;
};

struct AddResult {
  std::vector<Interface> interfaces;
  std::vector<IpConfig> ips;
  std::vector<Route> routes;
  Dns dns;

  friend bool operator==(const AddResult&, const AddResult&) = default;
};

// Section 5, "Error"; from 100 on they are the plugin's own.
enum class Code : std::uint32_t {
  IncompatibleVersion = 1,
  UnsupportedField = 2,
  UnknownContainer = 3,
  InvalidEnvironment = 4,
  Io = 5,
  Undecodable = 6,
  InvalidConfig = 7,
  TryAgainLater = 11,
  Unavailable = 50,
  UnavailableAndLimited = 51,
  Failed = 100,
};

struct Failure {
  Code code = Code::Failed;
  std::string message;
  std::string details{};

  friend bool operator==(const Failure&, const Failure&) = default;
};

// Before 0.3.0 a result has one address of each family and no interfaces: the first ones are told.
std::string render(const AddResult& result, Version version);
std::string render(const Failure& failure, Version version);
// The answer to VERSION, in the version that was asked in.
std::string render_versions(std::string_view asked);

// A result of any version, told apart by its form.
Result<AddResult> parse_result(const boost::json::object& object);
Result<std::vector<Route>> parse_routes(const boost::json::object& object);
Result<Dns> parse_dns(const boost::json::object& object);
// The object in the text, within limits of size and depth.
Result<boost::json::object> parse_object(std::string_view text);

}  // namespace weft::plugin::cni
