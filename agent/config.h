// How an agent is to run: Settings (agent/options.h) as types, checked against each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/options.h"
#include "agent/ipam/init.h"
#include "base/address.h"
#include "base/netdev.h"
#include "base/peer_name.h"
#include "base/result.h"

namespace weft::agent {

struct Config {
  std::optional<PeerName> name;
  std::string nickname;
  Ip host;  // Unspecified: all.
  std::uint16_t port = 0;
  std::string password_file;  // Empty: none.
  bool plaintext_data = false;
  Cidr range;
  Cidr default_subnet;
  IpamInit init;
  bool discovery = true;
  bool bpf = true;
  bool docker = true;
  std::uint32_t mtu = 0;
  std::string bridge;
  std::string docker_plugin_socket;
  std::string state_dir;
  std::string run_dir;
  std::string log_level;
  std::string log_file;
  std::vector<std::string> targets;

  std::string control_socket() const { return run_dir + "/weft.sock"; }
  std::string store_path() const { return state_dir + "/weft.db"; }
};

// Fails where values that are fine alone do not fit together, or a peer does not parse.
Result<Config> make_config(const Settings& settings, const std::string& host_name);

// Errc::Denied if containers' traffic would travel in clear although a password was set.
Result<Ok> check_encryption(const Config& config);

// Errc::Conflict naming the first route that shares addresses with the range. Default routes and
// the route of our own bridge do not count.
Result<Ok> check_overlap(const Cidr& range,
                         const std::string& bridge,
                         const std::vector<RouteInfo>& routes);

// The first line of a password file, without its line end. Errc::Invalid if that is empty.
Result<std::string> parse_password(std::string_view content);

}  // namespace weft::agent
