#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "agent/npc/npc.h"
#include "router/io/device_names.h"

namespace weft::agent {
namespace {

constexpr std::string_view kMetricsAddress = "0.0.0.0:6781";
// Where Kubernetes puts what a pod needs to speak to its API.
constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";

Result<policy::ApiServer> server_of(const Settings& settings, const Environment& environment) {
  const std::string& given = settings.text("api-server");
  policy::ApiServer server;
  if (!given.empty()) {
    server = WEFT_TRY(policy::parse_api_server(given));
  } else {
    const auto host = environment("KUBERNETES_SERVICE_HOST");
    if (!host) {
      return Error{Errc::Invalid,
                   "not in a pod (no KUBERNETES_SERVICE_HOST): name the API server with "
                   "--api-server"};
    }
    server.host = *host;
    server.port = environment("KUBERNETES_SERVICE_PORT").value_or("443");
  }
  const auto file = [&](std::string_view option, std::string_view name) {
    const std::string& path = settings.text(option);
    return path.empty() && given.empty() ? fmt::format("{}{}", kAccount, name) : path;
  };
  server.token_file = file("token-file", "token");
  server.authorities = file("ca-file", "ca.crt");
  return server;
}

// The agent's ports of the bridge that lead to other hosts.
constexpr std::array<std::string_view, 3> kOverlaySuffixes{
    router::kVxlanSuffix, router::kSealPortSuffix, router::kTapSuffix};

// These, and what is named besides.
std::vector<std::string> ports_of(const std::string& bridge, std::string_view named) {
  std::vector<std::string> ports;
  for (const std::string_view suffix : kOverlaySuffixes) {
    ports.push_back(fmt::format("{}{}", bridge, suffix));
  }
  while (!named.empty()) {
    const std::string port(named.substr(0, named.find(',')));
    if (!port.empty() && std::find(ports.begin(), ports.end(), port) == ports.end()) {
      ports.push_back(port);
    }
    named.remove_prefix(std::min(named.size(), port.size() + 1));
  }
  return ports;
}

}  // namespace

std::vector<std::string> npc_words(std::span<const std::string> words) {
  constexpr std::string_view kAddress = "--metrics-addr";
  constexpr std::string_view kMulticast = "--allow-mcast";
  std::vector<std::string> ours;
  for (const std::string& word : words) {
    const bool is_address = !ours.empty() && ours.back() == kAddress;
    if (word == kMulticast) {
      ours.push_back(word + "=true");  // A switch in Go: its value never is a word of its own.
    } else if (word.starts_with(fmt::format("{}=:", kAddress))) {
      ours.push_back(fmt::format("{}=0.0.0.0{}", kAddress, word.substr(kAddress.size() + 1)));
    } else if (is_address && word.starts_with(':')) {
      ours.push_back("0.0.0.0" + word);
    } else {
      ours.push_back(word);
    }
  }
  return ours;
}

Result<NpcConfig> make_npc_config(const Settings& settings, const Environment& environment) {
  NpcConfig config;
  config.server = WEFT_TRY(server_of(settings, environment));
  const std::string& address = settings.text("metrics-addr");
  config.metrics = WEFT_TRY(Endpoint::parse(address.empty() ? kMetricsAddress : address));
  config.bridge = settings.text("bridge");
  config.overlay_ports = ports_of(config.bridge, settings.text("bridge-port-name"));
  const std::string& multicast = settings.text("allow-mcast");
  constexpr std::array<std::string_view, 3> kYes{"true", "1", "t"};
  constexpr std::array<std::string_view, 3> kNo{"false", "0", "f"};
  config.allow_multicast = std::find(kYes.begin(), kYes.end(), multicast) != kYes.end();
  if (!config.allow_multicast && std::find(kNo.begin(), kNo.end(), multicast) == kNo.end()) {
    return Error{Errc::Invalid,
                 fmt::format("--allow-mcast={} (expected true or false)", multicast)};
  }
  config.node = settings.text("node-name");
  if (config.node.empty()) {
    config.node = environment("HOSTNAME").value_or("");
  }
  config.log_level = settings.text("log-level");
  return config;
}

}  // namespace weft::agent
