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
#include "base/time.h"
#include "dns/name.h"
#include "plugin/proxy/place.h"
#include "router/io/esp/esp_wish.h"
#include "sys/posix/host_paths.h"
#include "sys/tls/tls_trust.h"

namespace weft::agent {

// Of one agent, by its --run-dir.
inline std::string control_socket_in(const std::string& run_dir) {
  return run_dir + "/weft.sock";
}
inline std::string keeper_file_in(const std::string& run_dir) {  // Of who starts it again.
  return run_dir + "/keeper";
}
inline std::string engine_socket_in(const std::string& run_dir) {  // With --docker-tcp.
  return run_dir + "/engine.sock";
}

struct DnsConfig {
  bool enabled = true;
  dns::Name domain;
  std::optional<Endpoint> listen;  // Nothing: at the bridge of Docker's.
  std::string docker_bridge;
  bool docker_bridge_chosen = false;  // Else it is what the engine says.
  std::uint32_t ttl_seconds = 1;
  bool local_first = false;
  std::string resolv_conf;
  Duration upstream_timeout{};
};

// Where an API listens: a TCP endpoint, the path of a Unix socket, or not at all.
struct ListenPlace {
  std::optional<Endpoint> tcp{};
  std::string path{};

  bool is_off() const { return !tcp && path.empty(); }
};

// Where the UI speaks TLS.
enum class UiTls : std::uint8_t {
  Auto,  // Beyond loopback.
  On,
  Off,  // A proxy before it has it.
};

// Who may change what the UI shows.
enum class Controls : std::uint8_t {
  Off,       // Nobody, and this host does nothing that other hosts ask for.
  Login,     // Who has logged in, by their role.
  Loopback,  // Also everybody on this host, where there is no login.
};

// PEM. Both empty: the agent makes its own.
struct CertificateFiles {
  std::string chain;
  std::string key;
};

// The Docker API proxy.
struct ProxyConfig {
  std::vector<plugin::proxy::Place> places;  // None: there is no proxy.
  CertificateFiles files;                    // Of its TLS.
  std::string client_authorities;            // Those that sign clients' certificates; else no TLS.
  bool default_allocation = true;
  bool dns = true;
  bool rewrite_hosts = true;
  bool multicast_route = true;
  std::string hostname_label;
  std::string hostname_match;
  std::string hostname_replacement;
};

struct Config {
  std::optional<PeerName> name;
  std::string nickname;
  Ip host;  // Unspecified: all.
  std::uint16_t port = 0;
  std::string password_file;  // Empty: none.
  std::size_t connections_max = 0;
  bool plaintext_data = false;
  std::vector<Cidr> trusted_subnets;            // Pairs with both ends inside go in clear.
  router::EspWish esp = router::EspWish::Auto;  // Kernels may encrypt instead of agents.
  Cidr range;
  Cidr default_subnet;
  std::optional<Cidr> range_v6;  // Nothing: no IPv6 addresses are handed out.
  Cidr default_subnet_v6;        // Inside range_v6, if there is one.
  IpamInit init;
  Duration forfeit_after{};  // Zero: never.
  bool discovery = true;
  bool bpf = true;
  bool expect_npc = false;  // A policy controller says who may talk.
  bool docker = true;
  bool range_may_overlap = false;
  bool udp_octets = false;     // While somebody watches.
  bool no_masq_local = false;  // Who comes in to a container of this host keeps its address.
  DnsConfig dns;
  std::uint32_t mtu = 0;
  sys::HostPaths host_paths;
  std::string bridge;
  std::string docker_plugin_socket;  // Empty: no plugin.
  std::string docker_swarm_socket;
  std::string docker_socket;
  std::optional<Endpoint> docker_tcp;       // Where the engine is, if not at a socket of its own.
  std::optional<sys::TlsTrust> docker_tls;  // There it speaks TLS.
  ProxyConfig proxy;
  std::optional<Endpoint> ui_listen;  // Nothing: no UI.
  std::string ui_token_file;          // Empty: no token.
  std::string ui_users_file;          // Empty: no accounts.
  UiTls ui_tls = UiTls::Auto;
  CertificateFiles ui_files;
  std::vector<Cidr> ui_proxies;  // Whose X-Forwarded-… headers count.
  Controls controls = Controls::Login;
  bool host_shell = false;
  std::string state_dir;
  std::string store_path;
  std::string run_dir;
  std::string log_level;
  std::string log_file;
  ListenPlace metrics_address;  // Beside the control socket.
  ListenPlace http_address;     // Weave's control API; beyond loopback with TLS and a token.
  std::string http_token_file;  // Empty: no token.
  CertificateFiles http_files;
  ListenPlace status_address;        // Its status alone.
  bool resume = false;               // The peers of the last run, whatever else.
  std::vector<std::string> targets;  // As written.

  std::string control_socket() const { return control_socket_in(run_dir); }
  std::string engine_socket() const { return engine_socket_in(run_dir); }  // With docker_tcp.
  bool has_range() const;  // False: addresses are those that people give.
};

// What outlives a restart: a folder, and the store in it.
struct StatePlace {
  std::string folder;
  std::string store;
};

// As --state-dir or --db-prefix says; Errc::Invalid if both do.
Result<StatePlace> place_state(const Settings& settings);

// Fails where values that are fine alone do not fit together, or a peer does not parse.
Result<Config> make_config(const Settings& settings, const std::string& host_name);

// Policies are asked at the bridge, which the fast path leaves out.
bool has_fast_path(const Config& config);

// Errc::Invalid if the options about encryption contradict each other.
Result<Ok> check_encryption(const Config& config);

// Errc::Conflict naming the first route that shares addresses with the range. Default routes and
// the route of our own bridge do not count.
Result<Ok> check_overlap(const Cidr& range,
                         const std::string& bridge,
                         const std::vector<RouteInfo>& routes);

struct Passwords {
  std::string current;
  std::optional<std::string> old;  // Accepted as well.

  friend bool operator==(const Passwords&, const Passwords&) = default;
};

// A password file: the password on its first line, and on the second, while it replaces another one
// on all hosts, the other one. Errc::Invalid if the first is empty or there is more.
Result<Passwords> parse_passwords(std::string_view content);

}  // namespace weft::agent
