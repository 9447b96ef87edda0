#include "agent/cli/weave/words.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "agent/cli/exit_code.h"
#include "base/address.h"
#include "sys/posix/host_paths.h"

namespace weft::agent {
namespace {

enum class Fate : std::uint8_t {
  Value,    // The same flag, with a value.
  Switch,   // The same flag, without one.
  Renamed,  // Another flag, with a value.
  RenamedSwitch,
  Ignored,        // Takes a value.
  IgnoredSwitch,  // Takes none.
  Special,        // translate() knows.
};

struct Flag {
  std::string_view name;
  Fate fate;
  std::string_view to = {};
};

constexpr std::array kFlags{
    Flag{"host", Fate::Value},
    Flag{"port", Fate::Value},
    Flag{"nickname", Fate::Value},
    Flag{"trusted-subnets", Fate::Value},
    Flag{"conn-limit", Fate::Value},
    Flag{"ipalloc-default-subnet", Fate::Value},
    Flag{"dns-domain", Fate::Value},
    Flag{"dns-listen-address", Fate::Value},
    Flag{"docker-bridge", Fate::Value},
    Flag{"dns-ttl", Fate::Value},
    Flag{"dns-fallback-timeout", Fate::Value},
    Flag{"resolv-conf", Fate::Value},
    Flag{"http-addr", Fate::Value},
    Flag{"status-addr", Fate::Value},
    Flag{"metrics-addr", Fate::Value},
    Flag{"mtu", Fate::Value},
    Flag{"log-level", Fate::Value},
    Flag{"no-discovery", Fate::Switch},
    Flag{"no-dns", Fate::Switch},
    Flag{"resume", Fate::Switch},
    Flag{"print-peer-name", Fate::Switch},
    Flag{"no-masq-local", Fate::Switch},
    Flag{"weave-bridge", Fate::Renamed, "bridge"},
    Flag{"plugin-mesh-socket", Fate::Renamed, "docker-plugin-socket"},
    Flag{"plugin-socket", Fate::Renamed, "docker-swarm-socket"},
    Flag{"iprange", Fate::Special},
    Flag{"ipalloc-range", Fate::Special},
    Flag{"ipalloc-init", Fate::Special},
    Flag{"name", Fate::Special},
    Flag{"password", Fate::Special},
    Flag{"plugin", Fate::Special},
    Flag{"docker-api", Fate::Special},
    Flag{"awsvpc", Fate::Special},
    Flag{"no-fastdp", Fate::RenamedSwitch, "no-bpf"},
    Flag{"datapath", Fate::Ignored},
    Flag{"bufsz", Fate::Ignored},
    Flag{"min-protocol-version", Fate::Ignored},
    Flag{"db-prefix", Fate::Value},
    Flag{"proc-path", Fate::Value},
    Flag{"host-root", Fate::Value},
    Flag{"hostname-from-label", Fate::Renamed, "proxy-hostname-from-label"},
    Flag{"hostname-match", Fate::Renamed, "proxy-hostname-match"},
    Flag{"hostname-replacement", Fate::Renamed, "proxy-hostname-replacement"},
    Flag{"tlscacert", Fate::Special},
    Flag{"tlscert", Fate::Special},
    Flag{"tlskey", Fate::Special},
    Flag{"token", Fate::Ignored},
    Flag{"peer-discovery-url", Fate::Ignored},
    Flag{"advertise-address", Fate::Ignored},
    Flag{"profile", Fate::Ignored},
    Flag{"H", Fate::Special},
    Flag{"proxy", Fate::Special},
    Flag{"no-restart", Fate::Special},
    Flag{"no-detect-tls", Fate::IgnoredSwitch},
    Flag{"no-bridged-fastdp", Fate::IgnoredSwitch},
    Flag{"no-multicast-route", Fate::RenamedSwitch, "proxy-no-multicast-route"},
    Flag{"no-default-ipalloc", Fate::RenamedSwitch, "proxy-no-default-ipalloc"},
    Flag{"no-rewrite-hosts", Fate::RenamedSwitch, "proxy-no-rewrite-hosts"},
    Flag{"rewrite-inspect", Fate::IgnoredSwitch},
    Flag{"without-dns", Fate::RenamedSwitch, "proxy-without-dns"},
    Flag{"tls", Fate::Special},
    Flag{"tlsverify", Fate::Special},
    Flag{"expect-npc", Fate::Switch},
    Flag{"pkt-debug", Fate::IgnoredSwitch},
    Flag{"plugin-v2", Fate::IgnoredSwitch},
    Flag{"plugin-v2-multicast", Fate::IgnoredSwitch},
};

// WEAVE_* variables that the script read, and the flags they stand for.
struct Variable {
  std::string_view name;
  std::string_view flag;
};
constexpr std::array kVariables{
    Variable{"WEAVE_PORT", "port"},
    Variable{"WEAVE_MTU", "mtu"},
    Variable{"WEAVE_HTTP_ADDR", "http-addr"},
    Variable{"WEAVE_STATUS_ADDR", "status-addr"},
    Variable{"WEAVE_METRICS_ADDR", "metrics-addr"},
    Variable{"DOCKER_BRIDGE", "docker-bridge"},
    Variable{"HOST_ROOT", "host-root"},
};

// Where Weave's differ from weft's.
constexpr std::array<std::string_view, 4> kDefaults{
    "--dns-domain=weave.local.",
    "--bridge=weave",
    "--status-addr=127.0.0.1:6782",
    // All of it is the default subnet, of which weft leaves half to networks with one of their own.
    "--ipalloc-range=10.32.0.0/12"};

bool is_switch(const Flag& flag) {
  return flag.fate == Fate::Switch || flag.fate == Fate::RenamedSwitch
         || flag.fate == Fate::IgnoredSwitch || flag.name == "plugin" || flag.name == "awsvpc"
         || flag.name == "proxy" || flag.name == "tls" || flag.name == "tlsverify"
         || flag.name == "no-restart";
}

bool is_on(const std::string& value) {
  return value != "false" && value != "0" && value != "f" && value != "F" && value != "FALSE";
}

// "seed=::1,::2" with names in full; the other kinds have none.
std::string expand_init(const std::string& text) {
  constexpr std::string_view kSeed = "seed=";
  if (!text.starts_with(kSeed)) {
    return text;
  }
  std::string expanded(kSeed);
  std::string_view names = std::string_view(text).substr(kSeed.size());
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    expanded += expand_peer_name(std::string(name)) + (names.empty() ? "" : ",");
  }
  return expanded;
}

// As docker's command line, and Weave's, are told of TLS.
enum class TlsUse : std::uint8_t { None, Verify };

// An engine at an address. Which has to be one of this host, the agent finds out itself.
Result<Endpoint> parse_engine(const std::string& text, TlsUse tls) {
  const bool has_tls = tls == TlsUse::Verify;
  constexpr std::string_view kTcp = "tcp://";
  constexpr std::string_view kLocal = "localhost";
  const char* const port_of_docker = has_tls ? ":2376" : ":2375";
  std::string place = text.starts_with(kTcp) ? text.substr(kTcp.size()) : "";
  if (place.starts_with(kLocal)) {
    place.replace(0, kLocal.size(), "127.0.0.1");
  }
  for (const std::string& whole : {place, place + port_of_docker}) {
    if (auto engine = Endpoint::parse(whole); engine.ok()) {
      return engine;
    }
  }
  return Error{Errc::Invalid,
               fmt::format("--docker-api {} (expected unix://PATH, or tcp://ADDRESS:PORT of this "
                           "host)",
                           text)};
}

class Translation {
 public:
  explicit Translation(const Environment& environment) : environment_(environment) {
    launch_.words.assign(kDefaults.begin(), kDefaults.end());
  }

  Result<WeaveLaunch> run(std::span<const std::string> words) {
    read_environment();
    for (std::size_t at = 0; at < words.size(); ++at) {
      std::string word = words[at];
      if (!word.starts_with('-') || word == "-") {
        launch_.words.push_back(std::move(word));  // A peer.
        continue;
      }
      word.erase(0, word.starts_with("--") ? 2 : 1);
      const std::size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const auto* const flag = std::find_if(
          kFlags.begin(), kFlags.end(), [&name](const Flag& one) { return one.name == name; });
      if (flag == kFlags.end()) {
        return Error{Errc::Invalid, fmt::format("flag provided but not defined: --{}", name)};
      }
      std::string value = "true";
      if (equals != std::string::npos) {
        value = word.substr(equals + 1);
      } else if (!is_switch(*flag)) {
        if (++at == words.size()) {
          return Error{Errc::Invalid, fmt::format("flag needs an argument: --{}", name)};
        }
        value = words[at];
      }
      WEFT_TRY(take(*flag, value));
    }
    WEFT_TRY(place_proxy());
    place_sockets();
    if (is_kept_) {
      launch_.words.emplace_back("--keep-running");
    }
    return std::move(launch_);
  }

 private:
  // In front, so that words that name them count.
  void place_sockets() {
    const WeaveSockets sockets = weave_sockets(host_root_);
    launch_.words.insert(launch_.words.begin(),
                         {fmt::format("--docker-plugin-socket={}", sockets.plugin),
                          fmt::format("--docker-swarm-socket={}", sockets.swarm)});
  }

  // As Weave's script launched it, unless words say otherwise.
  Result<Ok> place_proxy() {
    if (!is_proxied_ || !has_docker_) {
      return Ok{};
    }
    if (asks_for_certificates_) {
      if (tls_files_["tlscacert"].empty() || tls_files_["tlscert"].empty()) {
        return Error{Errc::Invalid, "--tlsverify goes with --tlscacert, --tlscert and --tlskey"};
      }
      add("proxy-client-ca", tls_files_["tlscacert"]);
      add("proxy-cert", tls_files_["tlscert"]);
      add("proxy-key", tls_files_["tlskey"]);
    } else if (has_tls_) {
      return Error{Errc::Invalid,
                   "--tls: TLS alone keeps nobody from commanding the Docker engine (expected "
                   "--tlsverify, or --proxy=false)"};
    }
    if (proxy_places_.empty()) {
      proxy_places_ = weave_sockets(host_root_).proxy;
    }
    add("docker-proxy", proxy_places_);
    return Ok{};
  }

  // Files are where docker's command line looks for them.
  Result<Ok> take_engine(const std::string& place) {
    const bool has_tls = !environment_("DOCKER_TLS_VERIFY").value_or("").empty();
    add("docker-tcp",
        WEFT_TRY(parse_engine(place, has_tls ? TlsUse::Verify : TlsUse::None)).to_string());
    if (!has_tls) {
      return Ok{};
    }
    std::string folder = environment_("DOCKER_CERT_PATH").value_or("");
    if (folder.empty()) {
      folder = environment_("HOME").value_or("/root") + "/.docker";
    }
    add("docker-tls-ca", folder + "/ca.pem");
    add("docker-tls-cert", folder + "/cert.pem");
    add("docker-tls-key", folder + "/key.pem");
    if (place.starts_with("tcp://localhost")) {
      add("docker-tls-name", "localhost");
    }
    return Ok{};
  }

  void read_environment() {
    for (const Variable& variable : kVariables) {
      if (const auto value = environment_(std::string(variable.name)); value && !value->empty()) {
        add(variable.flag, *value);
      }
    }
    if (const auto off = environment_("WEAVE_NO_FASTDP"); off && !off->empty()) {
      add("no-bpf", "true");
    }
    if (const auto password = environment_("WEAVE_PASSWORD"); password && !password->empty()) {
      launch_.password = *password;
    }
  }

  void add(std::string_view flag, std::string_view value) {
    if (flag == "host-root") {
      host_root_ = value;
    }
    // A place that Weave was told with an empty value was not served; Go takes one without an
    // address, too.
    const bool is_place = flag == "http-addr" || flag == "status-addr" || flag == "metrics-addr";
    const std::string_view address = is_place && value.starts_with(':') ? "0.0.0.0" : "";
    launch_.words.push_back(
        fmt::format("--{}={}{}", flag, address, is_place && value.empty() ? "off" : value));
  }

  Result<Ok> take(const Flag& flag, const std::string& value) {
    switch (flag.fate) {
      case Fate::Value:
      case Fate::Switch:
        add(flag.name, value);
        return Ok{};
      case Fate::Renamed:
      case Fate::RenamedSwitch:
        add(flag.to, value);
        return Ok{};
      case Fate::Ignored:
      case Fate::IgnoredSwitch:
        return Ok{};
      case Fate::Special:
        return take_special(flag.name, value);
    }
    return Ok{};
  }

  Result<Ok> take_special(std::string_view name, const std::string& value) {
    if (name == "password") {
      launch_.password = value;
    } else if (name == "name") {
      add("name", expand_peer_name(value));
    } else if (name == "ipalloc-init") {
      add("ipalloc-init", expand_init(value));
    } else if (name == "plugin") {
      add("no-docker-plugin", is_on(value) ? "false" : "true");
    } else if (name == "docker-api" && value.empty()) {
      has_docker_ = false;
      add("no-docker", "true");
    } else if (name == "H") {
      proxy_places_ += (proxy_places_.empty() ? "" : ",") + value;
    } else if (name == "proxy") {
      is_proxied_ = is_on(value);
    } else if (name == "no-restart") {
      is_kept_ = !is_on(value);
    } else if (name == "tls") {
      has_tls_ = is_on(value);
    } else if (name == "tlsverify") {
      asks_for_certificates_ = is_on(value);
    } else if (name.starts_with("tls")) {
      tls_files_[std::string(name)] = value;
    } else if (name == "docker-api") {
      constexpr std::string_view kUnix = "unix://";
      if (value.starts_with(kUnix)) {
        add("docker-socket", value.substr(kUnix.size()));
      } else {
        WEFT_TRY(take_engine(value));
      }
    } else if (name == "awsvpc") {
      if (is_on(value)) {
        return Error{Errc::Invalid, "--awsvpc is not there: weft has its own overlay only"};
      }
    } else if (value.empty()) {  // A range.
      add("ipalloc-range", "off");
    } else {
      add("ipalloc-range", value);
      add("range-may-overlap", "true");  // Weave let who chose one have it.
    }
    return Ok{};
  }

  const Environment& environment_;
  std::string host_root_;
  std::string proxy_places_;  // As -H said.
  bool is_proxied_ = true;
  bool is_kept_ = true;  // As Docker's `--restart always`.
  bool has_tls_ = false;
  bool asks_for_certificates_ = false;
  std::map<std::string, std::string> tls_files_;  // Of the proxy, by their flags.
  bool has_docker_ = true;
  WeaveLaunch launch_;
};

}  // namespace

WeaveSockets weave_sockets(const std::string& host_root) {
  const sys::HostPaths host{.root = host_root};
  return {.plugin = host.here("/run/docker/plugins/weavemesh.sock"),
          .swarm = host.here("/run/docker/plugins/weave.sock"),
          .proxy = host.here("/var/run/weave/weave.sock")};
}

Result<WeaveLaunch> translate_launch(std::span<const std::string> words,
                                     const Environment& environment) {
  return Translation(environment).run(words);
}

std::string expand_peer_name(const std::string& text) {
  constexpr std::size_t kGroups = 6;
  if (!text.starts_with("::")) {
    return text;
  }
  std::vector<std::string> groups;
  std::string_view rest = std::string_view(text).substr(2);
  while (!rest.empty()) {
    const std::string_view group = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(group.size() + 1, rest.size()));
    groups.push_back(fmt::format("{:0>2}", group));
  }
  std::string name;
  for (std::size_t at = groups.size(); at < kGroups; ++at) {
    name += "00:";
  }
  for (const std::string& group : groups) {
    name += group + ":";
  }
  name.pop_back();
  return name;
}

std::string reachable_address(const std::string& place,
                              const std::string& proxy_host,
                              const std::string& docker_host) {
  constexpr std::string_view kTcp = "tcp://";
  const auto at =
      Endpoint::parse(place.starts_with(kTcp) ? std::string_view(place).substr(kTcp.size()) : "");
  if (!at.ok() || !at.value().address.is_unspecified()) {
    return place;
  }
  std::string reached = proxy_host;
  if (reached.empty() && docker_host.starts_with(kTcp)) {
    reached = docker_host.substr(kTcp.size());
    reached = reached.substr(0, reached.rfind(':'));
  }
  return fmt::format("{}{}:{}", kTcp, reached.empty() ? "127.0.0.1" : reached, at.value().port);
}

int weave_exit_code(int code) {
  const auto weft = static_cast<ExitCode>(code);
  return weft == ExitCode::Ok || weft == ExitCode::AlreadyRunning ? code : 1;
}

}  // namespace weft::agent
