#include "agent/cli/weave/weave.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "agent/cli/process.h"
#include "agent/cli/weave/attach_bridge.h"
#include "agent/cli/weave/keeper.h"
#include "agent/cli/weave/words.h"
#include "agent/cni/setup.h"
#include "agent/config.h"
#include "agent/http/form.h"
#include "agent/version.h"
#include "sys/http_server.h"
#include "sys/netdev.h"
#include "sys/posix/host_paths.h"

namespace weft::agent {
namespace {

namespace fs = std::filesystem;

using Words = std::span<const std::string>;

constexpr int kUsage = 1;
constexpr int kDisabled = 4;  // What Weave returned for a service that was switched off.

constexpr std::string_view kUnix = "unix://";

constexpr const char* kPasswordFile = "/run/weft/weave-password";

// Docker answers from memory, but for a network's addresses, which may have to be waited for.
constexpr int kDockerTimeoutSeconds = 15;

struct Verb {
  std::string_view name;
  std::string_view arguments;
};

// Those of Weave's usage text that are weft's commands as well.
constexpr std::array kPassed{
    Verb{"prime", ""},
    Verb{"attach",
         "[<addr> ...] [--without-dns] [--rewrite-hosts] [--add-host <host>:<ip> ...] "
         "[--no-multicast-route] <container>"},
    Verb{"detach", "[<addr> ...] <container>"},
    Verb{"expose", "[<addr> ...] [-h <fqdn>] [--without-masquerade]"},
    Verb{"hide", "[<addr> ...]"},
    Verb{"dns-add", "[<ip> ...] <container> [-h <fqdn>] | <ip> ... -h <fqdn>"},
    Verb{"dns-remove", "[<ip> ...] <container> [-h <fqdn>] | <ip> ... -h <fqdn>"},
    Verb{"dns-lookup", "<unqualified_name>"},
    Verb{"report", "[-f <format>]"},
    Verb{"ps", "[<container> ...]"},
    Verb{"rmpeer", "<peer_id> ..."},
};
constexpr std::array kOwn{
    Verb{"setup", ""},
    Verb{"setup-cni", ""},
    Verb{"launch", "[<flags>] [<peer> ...]"},
    Verb{"env", "[--restore]"},
    Verb{"config", ""},
    Verb{"dns-args", ""},
    Verb{"connect", "[--replace] [<peer> ...]"},
    Verb{"forget", "<peer> ..."},
    Verb{"status", "[targets | connections | peers | dns | ipam]"},
    Verb{"stop", ""},
    Verb{"reset", "[--force] [--db-prefix <prefix>]"},
    Verb{"version", ""},
};

// Those that it did not tell of.
constexpr std::array kHidden{
    Verb{"attach-bridge", "[<bridge>]"},
    Verb{"bridge-type", ""},
    Verb{"docker-bridge-ip", ""},
};

// Gone since Weave 2.0.
constexpr std::array<std::string_view, 9> kRemoved{"run",
                                                   "start",
                                                   "restart",
                                                   "launch-router",
                                                   "launch-plugin",
                                                   "launch-proxy",
                                                   "stop-router",
                                                   "stop-plugin",
                                                   "stop-proxy"};

template <class Verbs>
const Verb* find(const Verbs& verbs, std::string_view name) {
  const auto found = std::find_if(
      verbs.begin(), verbs.end(), [name](const Verb& verb) { return verb.name == name; });
  return found == verbs.end() ? nullptr : &*found;
}

void print_usage(std::FILE* to) {
  fmt::print(to, "Usage:\n\n");
  for (const Verb& verb : kOwn) {
    fmt::print(to, "weave {:<12} {}\n", verb.name, verb.arguments);
  }
  for (const Verb& verb : kPassed) {
    fmt::print(to, "weave {:<12} {}\n", verb.name, verb.arguments);
  }
  fmt::print(to,
             "\nwhere <peer>     is <ip_address_or_fqdn>[:<port>]\n"
             "      <addr>     is [ip:]<cidr>, net:<cidr> or net:default\n"
             "      <peer_id>  is <nickname> or <weave internal peer ID>\n");
}

int run(std::vector<std::string> words) {
  return weave_exit_code(static_cast<int>(run_cli(words)));
}

int refuse_usage(std::string_view verb) {
  const Verb* const told = find(kOwn, verb);
  fmt::print(stderr, "Usage: weave {} {}\n", verb, (told ? *told : *find(kHidden, verb)).arguments);
  return kUsage;
}

// Where the host's root is, for a script that runs in a container.
std::string host_root() {
  return environment("HOST_ROOT").value_or("");
}

// For what is weft's own command.
void pass_places_on() {
  if (!host_root().empty()) {
    ::setenv("WEFT_HOST_ROOT", host_root().c_str(), 0);
  }
  const std::string engine = environment("DOCKER_HOST").value_or("");
  const bool is_proxy = engine == fmt::format("{}{}", kUnix, weave_sockets(host_root()).proxy);
  if (engine.starts_with(kUnix) && !is_proxy) {
    ::setenv("WEFT_DOCKER_SOCKET", engine.substr(kUnix.size()).c_str(), 0);
  }
}

// The settings of a command that only asks the agent.
Settings control_settings() {
  return parse_settings(Command::Status, {}, environment).value();
}

// Under Weave's names, as its script had it.
CniSetup cni_setup_wanted() {
  CniSetup setup;
  setup.name = "weave";
  setup.root = host_root();
  setup.plugin_dir = environment("WEAVE_CNI_PLUGIN_DIR").value_or(setup.plugin_dir);
  setup.hairpin = environment("HAIRPIN_MODE").value_or("true") != "false";
  return setup;
}

// Stops nobody from anything else.
int report_setup_cni(const CniSetup& setup) {
  const auto done = setup_cni(setup);
  if (!done.ok()) {
    fmt::print(stderr, "{}\n", done.error().what);
    return 1;
  }
  return 0;
}

// Where there is a folder for plugins, there is a runtime to use them.
void setup_cni_if_wanted() {
  std::error_code ignored;
  const CniSetup setup = cni_setup_wanted();
  if (::geteuid() == 0 && fs::is_directory(setup.root + setup.plugin_dir, ignored)) {
    (void)report_setup_cni(setup);
  }
}

int version(bool is_local) {
  if (!is_local) {
    fmt::print("weave script {}\n", kVersion);
  }
  fmt::print("weave {}\n", kVersion);
  return 0;
}

// --- launch --------------------------------------------------------------------------------------

Result<Ok> write_password(const std::string& password) {
  std::error_code error;
  fs::create_directories(fs::path(kPasswordFile).parent_path(), error);
  const int file = ::open(kPasswordFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::string line = password + "\n";
  const bool is_written =
      file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (file >= 0) {
    ::close(file);
  }
  return is_written ? Result<Ok>(Ok{})
                    : Error{Errc::Os, fmt::format("cannot write {}", kPasswordFile)};
}

std::string docker_socket() {
  std::error_code ignored;
  std::string relayed = control_settings().text("run-dir") + "/engine.sock";
  if (fs::exists(relayed, ignored)) {
    return relayed;
  }
  const std::string host = environment("DOCKER_HOST").value_or("");
  return host.starts_with(kUnix) ? host.substr(kUnix.size())
                                 : sys::HostPaths{.root = host_root()}.here("/run/docker.sock");
}

// Weave made a network of its name, for `docker run --net weave`. Without Docker there is none.
void make_docker_network() {
  (void)sys::http_call(docker_socket(),
                       "POST",
                       "/networks/create",
                       R"({"Name":"weave","CheckDuplicate":true,"Driver":"weavemesh",)"
                       R"("IPAM":{"Driver":"weavemesh"}})",
                       kDockerTimeoutSeconds);
}

void remove_docker_network() {
  const auto removed =
      sys::http_call(docker_socket(), "DELETE", "/networks/weave", "", kDockerTimeoutSeconds);
  constexpr unsigned kForbidden = 403;
  if (removed.ok() && removed.value().status == kForbidden) {
    fmt::print(stderr, "WARNING: there are containers on the Docker network \"weave\"\n");
  }
}

int launch(Words words) {
  if (std::find(words.begin(), words.end(), "--version") != words.end()) {
    return version(true);
  }
  auto translated = translate_launch(words, environment);
  if (!translated.ok()) {
    fmt::print(stderr, "{}\n", translated.error().what);
    return kUsage;
  }
  const auto& more = translated.value().words;
  const auto says = [&more](std::string_view word) {
    return std::find(more.begin(), more.end(), word) != more.end();
  };
  const bool is_start = !says("--print-peer-name=true");
  const auto range = std::find_if(more.rbegin(), more.rend(), [](const std::string& word) {
    return word.starts_with("--ipalloc-range=");
  });
  std::vector<std::string> all{"launch", "--quiet"};
  if (is_start && translated.value().password) {
    if (const auto written = write_password(*translated.value().password); !written.ok()) {
      fmt::print(stderr, "{}\n", written.error().what);
      return 1;
    }
    all.push_back(fmt::format("--password-file={}", kPasswordFile));
  }
  if (is_start) {
    setup_cni_if_wanted();
  }
  all.insert(all.end(), more.begin(), more.end());
  const int code = run(std::move(all));
  const bool has_range = range == more.rend() || *range != "--ipalloc-range=off";
  if (code == 0 && is_start && has_range && !says("--no-docker=true")
      && !says("--no-docker-plugin=true")) {
    make_docker_network();
  }
  return code;
}

// --- the others ----------------------------------------------------------------------------------

int status(Words words) {
  std::string path = "/weave/status";
  for (const std::string& word : words) {
    path += "/" + word;
  }
  constexpr int kTimeoutSeconds = 5;
  const auto answer = ask_agent(control_settings(), "GET", path, kTimeoutSeconds);
  if (!answer.ok() && answer.error().code == Errc::NotFound) {
    fmt::print(stderr, "Invalid 'weave status' sub-command: {}\n", fmt::join(words, " "));
    return refuse_usage("status");
  }
  if (!answer.ok()) {
    return weave_exit_code(static_cast<int>(report(answer.error())));
  }
  const char* const blank = words.empty() ? "\n" : "";
  fmt::print("{}{}{}", blank, answer.value(), blank);
  return 0;
}

// Where the proxy of Docker's API is first; nothing if there is none. One that is at all addresses
// of the host is at that by which the client reached Docker.
std::optional<std::string> proxy_address() {
  constexpr int kTimeoutSeconds = 3;
  const auto lines = ask_agent(control_settings(), "GET", "/weave/proxyaddrs", kTimeoutSeconds);
  return lines.ok()
             ? std::optional(reachable_address(lines.value().substr(0, lines.value().find('\n')),
                                               environment("PROXY_HOST").value_or(""),
                                               environment("DOCKER_HOST").value_or("")))
             : std::nullopt;
}

// Peers that are none are named, and the others taken all the same.
int change_targets(const std::string& verb, Words words) {
  constexpr int kTimeoutSeconds = 5;
  const bool replaces = verb == "connect" && !words.empty() && words.front() == "--replace";
  if (words.empty()) {
    return refuse_usage(verb);
  }
  std::string path = fmt::format("/weave/{}?{}", verb, replaces ? "replace=true" : "");
  for (const std::string& peer : words.subspan(replaces ? 1 : 0)) {
    path += "&peer=" + encode_percent(peer);
  }
  const auto done = ask_agent(control_settings(), "POST", path, kTimeoutSeconds);
  return done.ok() ? 0 : weave_exit_code(static_cast<int>(report(done.error())));
}

// Whether it is, and not whether we may ask it.
bool is_agent_missing() {
  const auto agent = running_agent(control_socket_in(control_settings().text("run-dir")));
  return !agent.ok() && agent.error().code == Errc::Unavailable;
}

int stop(Words words) {
  if (!words.empty()) {
    return refuse_usage("stop");
  }
  const auto host = environment("DOCKER_HOST");
  if (host && !host->empty() && host == proxy_address()) {
    fmt::print(stderr,
               "WARNING: DOCKER_HOST is the weave proxy, which stops now; "
               "eval $(weave env --restore) first\n");
  }
  end_keeper(control_socket_in(control_settings().text("run-dir")));
  remove_docker_network();
  if (is_agent_missing()) {
    fmt::print(stderr, "Weave is not running (ignore on Kubernetes).\n");
    return 0;
  }
  return run({"stop"});
}

// What is there of a run that has ended: only a run can leave the cluster.
bool has_state(const std::vector<std::string>& words) {
  const auto settings = parse_settings(Command::Reset, words, environment);
  const auto place =
      settings.ok() ? place_state(settings.value()) : Result<StatePlace>(settings.error());
  std::error_code ignored;
  return place.ok() && fs::exists(place.value().store, ignored);
}

int reset(Words words) {
  std::vector<std::string> state;
  bool is_forced = false;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const bool has_value = words[at] == "--db-prefix" && at + 1 < words.size();
    if (has_value || words[at].starts_with("--db-prefix=")) {
      state.push_back(has_value ? "--db-prefix=" + words[++at] : words[at]);
    } else if (words[at] == "--force") {
      is_forced = true;
    } else {
      return refuse_usage("reset");
    }
  }
  if (!is_forced && is_agent_missing() && has_state(state)) {
    fmt::print(stderr,
               "ERROR: weave is not running; unable to remove from cluster.\n"
               "Re-launch weave before reset or use --force to override.\n");
    return 1;
  }
  remove_docker_network();
  std::error_code error;
  fs::remove(kPasswordFile, error);
  const WeaveSockets sockets = weave_sockets(host_root());
  std::vector<std::string> all{"reset",
                               "--bridge=weave",
                               fmt::format("--docker-plugin-socket={}", sockets.plugin),
                               fmt::format("--docker-swarm-socket={}", sockets.swarm)};
  all.insert(all.end(), state.begin(), state.end());
  return run(std::move(all));
}

// For the shell to evaluate.
int env(Words words) {
  if (words.empty()) {
    const auto address = proxy_address();
    const std::string present = environment("DOCKER_HOST").value_or("");
    if (!address) {
      fmt::print(stderr, "The weave proxy is not running.\n");
    } else if (*address == present) {
      fmt::print("export DOCKER_HOST={}\n", *address);
    } else {
      fmt::print("export DOCKER_HOST={} ORIG_DOCKER_HOST={}\n", *address, present);
    }
    return 0;
  }
  const auto original = environment("ORIG_DOCKER_HOST");
  if (words.front() != "--restore" || !original) {
    fmt::print(stderr, "Nothing to restore. Is the environment set up by weave env?\n");
    return 1;
  }
  fmt::print("DOCKER_HOST={}\n", *original);
  return 0;
}

// For docker's command line.
int config() {
  const auto address = proxy_address();
  if (!address) {
    return 1;
  }
  fmt::print("-H={}\n", *address);
  return 0;
}

std::string docker_bridge() {
  return environment("DOCKER_BRIDGE").value_or("docker0");
}

int docker_bridge_address() {
  const auto netdev = sys::open_netdev();
  const std::string bridge = docker_bridge();
  const auto addresses =
      netdev.ok() ? netdev.value()->addresses(bridge) : Result<std::vector<Cidr>>(netdev.error());
  if (!addresses.ok() || addresses.value().empty()) {
    fmt::print(stderr, "{} has no address\n", bridge);
    return 1;
  }
  fmt::print("{}\n", addresses.value().front().address().to_string());
  return 0;
}

// A field of the agent's report.
Result<std::string> reported(const std::string& path) {
  constexpr int kTimeoutSeconds = 5;
  return ask_agent(control_settings(),
                   "GET",
                   "/weave/report?format=" + encode_percent("{{" + path + "}}"),
                   kTimeoutSeconds);
}

// Its name; nothing if it is not there.
std::optional<std::string> weave_bridge() {
  std::string name = reported(".Weft.datapath.bridge").value_or("weave");
  const auto netdev = sys::open_netdev();
  const auto link = netdev.ok() ? netdev.value()->find_link(name)
                                : Result<std::optional<LinkInfo>>(netdev.error());
  return link.ok() && link.value() ? std::optional(std::move(name)) : std::nullopt;
}

// As Weave told from the devices that it found, whether a router runs or not.
int bridge_type() {
  if (!weave_bridge()) {
    return 1;
  }
  const bool is_plain = reported(".Weft.datapath.mode").value_or("bpf") == "bridge";
  fmt::print("{}\n", is_plain ? "bridge" : "bridged_fastdp");
  return 0;
}

int join_bridge(Words words) {
  if (words.size() > 1) {
    return refuse_usage("attach-bridge");
  }
  const auto bridge = weave_bridge();
  if (!bridge) {
    fmt::print(stderr, "Weave bridge not found. Please run 'weave launch' and try again\n");
    return 1;
  }
  const auto done = attach_bridge(*bridge, words.empty() ? docker_bridge() : words.front());
  if (!done.ok()) {
    fmt::print(stderr, "{}\n", done.error().what);
  }
  return done.ok() ? 0 : 1;
}

bool is_missing(const char* path) {
  constexpr int kTimeoutSeconds = 5;
  const auto answer = ask_agent(control_settings(), "GET", path, kTimeoutSeconds);
  return !answer.ok() && answer.error().code == Errc::NotFound;
}

std::optional<int> run_own(const std::string& verb, Words rest, bool is_local) {
  if (verb == "setup" || verb == "setup-cni") {  // There are no images to pull.
    return report_setup_cni(cni_setup_wanted());
  }
  if (verb == "launch") {
    return launch(rest);
  }
  if (verb == "env") {
    return env(rest);
  }
  if (verb == "config") {
    return config();
  }
  if (verb == "dns-args") {
    return run({"dns-args", "--dns-domain=weave.local."});
  }
  if (verb == "status") {
    return status(rest);
  }
  if (verb == "connect" || verb == "forget") {
    return change_targets(verb, rest);
  }
  if (verb == "stop") {
    return stop(rest);
  }
  if (verb == "reset") {
    return reset(rest);
  }
  if (verb == "version") {
    return rest.empty() ? version(is_local) : refuse_usage(verb);
  }
  if (verb == "docker-bridge-ip") {
    return docker_bridge_address();
  }
  if (verb == "bridge-type") {
    return bridge_type();
  }
  if (verb == "attach-bridge") {
    return join_bridge(rest);
  }
  return std::nullopt;
}

}  // namespace

int run_weave(std::span<const std::string> words) {
  pass_places_on();
  const bool is_local = !words.empty() && words.front() == "--local";
  words = words.subspan(is_local ? 1 : 0);
  if (words.empty() || words.front() == "help" || words.front() == "--help") {
    print_usage(stderr);
    return words.empty() ? kUsage : 0;
  }
  const std::string& verb = words.front();
  const Words rest = words.subspan(1);
  const Verb* const passed = find(kPassed, verb);
  const Verb* const told = find(kOwn, verb);
  const Verb* const own = told != nullptr ? told : find(kHidden, verb);
  const bool wants_help = std::find(rest.begin(), rest.end(), "--help") != rest.end();
  if (wants_help && (passed != nullptr || own != nullptr)) {
    fmt::print("Usage: weave {} {}\n", verb, (passed != nullptr ? passed : own)->arguments);
    return 0;
  }
  if (std::find(kRemoved.begin(), kRemoved.end(), verb) != kRemoved.end()) {
    fmt::print(
        stderr, "The 'weave {}' command has been removed as of Weave Net version 2.0\n", verb);
    return 1;
  }
  if (const auto code = run_own(verb, rest, is_local)) {
    return *code;
  }
  if (passed == nullptr) {
    fmt::print(stderr, "Unknown weave command '{}'\n", verb);
    print_usage(stderr);
    return kUsage;
  }
  const bool is_dns = verb == "dns-add" || verb == "dns-remove" || verb == "dns-lookup";
  const bool is_disabled =
      (is_dns && is_missing("/domain")) || (verb == "prime" && is_missing("/ipinfo/defaultsubnet"));
  const int code =
      is_disabled ? kDisabled : run(std::vector<std::string>(words.begin(), words.end()));
  // Of containers that there are not Weave listed nothing, and succeeded.
  return verb == "ps" && code != 0 && !is_agent_missing() ? 0 : code;
}

}  // namespace weft::agent
