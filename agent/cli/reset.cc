#include "agent/cli/reset.h"

#include <cstdio>
#include <filesystem>
#include <set>
#include <string>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "agent/cli/client.h"
#include "agent/cli/weave/keeper.h"
#include "agent/config.h"
#include "agent/docker/plugin_sockets.h"
#include "agent/identity.h"
#include "agent/proxy/docker_proxy.h"
#include "base/result.h"
#include "plugin/proxy/io/wait_program.h"
#include "router/io/datapath_service.h"
#include "sys/firewall.h"
#include "sys/http_server.h"
#include "sys/netdev.h"
#include "sys/store.h"

namespace weft::agent {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// What earlier runs have left, by whatever names they were told.
struct Leavings {
  std::set<std::string> bridges;
  std::set<std::string> plugin_sockets;
};

// Of the last run, unless the user names a bridge; and those that earlier runs called otherwise. A
// store that cannot be read must not keep anyone from resetting; one that is in use belongs to an
// agent that has not ended.
Result<Leavings> find_leavings(const Settings& settings, const std::string& store_path) {
  Leavings found;
  const std::string& named = settings.text("bridge");
  found.bridges.insert(named);
  found.plugin_sockets = {settings.text("docker-plugin-socket"),
                          settings.text("docker-swarm-socket")};
  if (!fs::exists(store_path)) {
    return found;
  }
  const auto store = sys::open_store(store_path);
  if (!store.ok()) {
    return store.error().code == Errc::Unavailable ? Result<Leavings>(store.error()) : found;
  }
  if (!settings.is_given("bridge")) {
    found.bridges = {remembered_bridge(*store.value()).value_or(std::nullopt).value_or(named)};
  }
  for (const auto& [path, scope] : store.value()->load(kPluginSocketsTable).value_or({})) {
    found.plugin_sockets.emplace(as_text(path));
  }
  const auto self = stored_name(*store.value()).value_or(std::nullopt);
  const auto netdev = WEFT_TRY(sys::open_netdev());
  const std::vector<LinkInfo> links = WEFT_TRY(netdev->links());
  for (const LinkInfo& link : links) {
    if (self && name_of_bridge(link) == self) {
      found.bridges.insert(link.name);
    }
  }
  return found;
}

Result<Ok> remove_file(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);  // False without an error if it was not there.
  if (error) {
    return Error{Errc::Os, fmt::format("remove {}: {}", path, error.message()), error.value()};
  }
  return Ok{};
}

Result<Ok> remove_socket(const std::string& path) {
  std::error_code error;
  return fs::is_socket(path, error) ? remove_file(path) : Result<Ok>(Ok{});
}

// Only if nothing else is in it.
void remove_directory(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
}

// The other peers answer in milliseconds if they answer at all.
constexpr int kLeaveTimeoutSeconds = 10;

// Gives this host's addresses to the others while they can still ask it. Otherwise they keep them
// for it, and where there were only two, the host comes back as a stranger that gets none.
void leave(const std::string& socket) {
  const auto response = sys::http_call(socket, "DELETE", "/peer", "", kLeaveTimeoutSeconds);
  if (!response.ok() || response.value().status / 100 != 2) {
    const std::string why = response.ok() ? response.value().body : response.error().what;
    fmt::print(stderr,
               "weft: reset: addresses not handed over ({}); other hosts, if there are any, keep "
               "them until weft rmpeer\n",
               why.substr(0, why.find('\n')));
  }
}

// Their interfaces go with the bridge, and Docker cannot end a network whose driver is gone.
void warn_of_containers(const std::string& socket) {
  const auto response = sys::http_call(socket, "GET", "/attach", "", kLeaveTimeoutSeconds);
  boost::system::error_code wrong;
  const json::value answer =
      json::parse(response.ok() ? response.value().body : std::string(), wrong);
  const auto count = [&](const char* pointer) {
    const json::value* const all = answer.find_pointer(pointer, wrong);
    return all != nullptr && all->is_array() ? all->as_array().size() : 0;
  };
  const std::size_t attached = count("/attached");
  const std::size_t endpoints = count("/endpoints");
  if (attached + endpoints > 0) {
    fmt::print(stderr,
               "weft: warning: {} containers lose their interface on weft's network{}\n",
               attached + endpoints,
               endpoints == 0 ? ""
                              : "; Docker removes those of its own, and their networks, only while "
                                "an agent runs");
  }
}

Result<Ok> reset(const Settings& settings) {
  const std::string& run_dir = settings.text("run-dir");
  const StatePlace state = WEFT_TRY(place_state(settings));
  const std::string socket = control_socket_in(run_dir);
  end_keeper(socket);
  if (running_agent(socket).ok()) {
    warn_of_containers(socket);
    leave(socket);
    (void)WEFT_TRY(stop_agent(socket));
  }
  const Leavings left = WEFT_TRY(find_leavings(settings, state.store));
  const auto netdev = WEFT_TRY(sys::open_netdev());
  for (const std::string& bridge : left.bridges) {
    (void)WEFT_TRY(router::DatapathService::reset(*netdev, bridge));
    (void)WEFT_TRY(sys::remove_bridged_unchanged(bridge));
  }
  (void)WEFT_TRY(sys::remove_dns_accept());
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    (void)WEFT_TRY(remove_file(state.store + suffix));
  }
  (void)WEFT_TRY(remove_socket(socket));
  (void)WEFT_TRY(remove_socket(engine_socket_in(run_dir)));
  for (const std::string& plugin : left.plugin_sockets) {
    (void)WEFT_TRY(remove_socket(plugin));
  }
  const sys::HostPaths host = host_paths(settings);
  plugin::proxy::remove_wait_program(host.here(wait_folder(state.folder, host)));
  remove_directory(state.folder);
  remove_directory(run_dir);
  return Ok{};
}

}  // namespace

ExitCode run_reset(const Settings& settings) {
  const auto done = reset(settings);
  if (done.ok()) {
    return ExitCode::Ok;
  }
  fmt::print(stderr, "weft: reset: {}\n", done.error().what);
  return done.error().code == Errc::Unavailable ? ExitCode::AlreadyRunning : ExitCode::Failure;
}

}  // namespace weft::agent
