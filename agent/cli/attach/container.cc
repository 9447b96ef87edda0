#include "agent/cli/attach/container.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "agent/config.h"
#include "agent/http/form.h"
#include "sys/guest/guest.h"
#include "sys/http_server.h"

namespace weft::agent {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// Engines answer from memory; longer means that one of them hangs.
constexpr int kCallTimeoutSeconds = 5;

// Podman's service answers Docker's API; it is there where the operator has enabled podman.socket.
constexpr const char* kPodmanSocket = "/run/podman/podman.sock";

// Where containerd's shims keep the pid of each container's first process: NAMESPACE/ID/init.pid.
constexpr const char* kContainerdTasks = "/run/containerd/io.containerd.runtime.v2.task";

std::string netns_of(std::int64_t pid) {
  return fmt::format("/proc/{}/ns/net", pid);
}

Result<Container> bare_namespace(const sys::HostPaths& host, const std::string& path) {
  const std::uint64_t identity = WEFT_TRY(sys::netns_identity(host.here(path)));
  Container container;
  container.id = fmt::format("netns:{}", identity);
  container.netns = path;
  return container;
}

Result<Container> parse_inspect(const std::string& word, const std::string& text) {
  try {
    const json::value body = json::parse(text);
    Container container;
    container.id = std::string(body.at("Id").as_string());
    const json::value& config = body.at("Config");
    container.host_name = std::string(config.at("Hostname").as_string());
    if (const json::value* domain = config.as_object().if_contains("Domainname")) {
      container.domain_name = std::string(domain->as_string());
    }
    // `-h web.example.org`: engines of today leave it in one.
    if (const std::size_t dot = container.host_name.find('.');
        container.domain_name.empty() && dot != std::string::npos && dot > 0) {
      container.domain_name = container.host_name.substr(dot + 1);
      container.host_name.resize(dot);
    }
    container.name = std::string(body.at("Name").as_string());
    container.name.erase(0, container.name.starts_with('/') ? 1 : 0);
    const json::value& state = body.at("State");
    const auto pid = state.at("Pid").to_number<std::int64_t>();
    if (state.at("Running").as_bool() && pid > 0) {
      container.netns = netns_of(pid);
      const json::value* const hosts = body.as_object().if_contains("HostsPath");
      const bool has_hosts = hosts != nullptr && !hosts->as_string().empty();
      container.root = has_hosts ? fmt::format("/proc/{}/root", pid) : "";
    }
    return container;
  } catch (const std::exception& error) {
    return Error{Errc::Conflict, fmt::format("the engine says of {}: {}", word, error.what())};
  }
}

Result<Container> ask_engine(const std::string& socket, const std::string& word) {
  const auto response =
      WEFT_TRY(sys::http_call(socket,
                              "GET",
                              fmt::format("/containers/{}/json", encode_percent(word)),
                              "",
                              kCallTimeoutSeconds));
  constexpr unsigned kBadGateway = 502;  // Of our own relay, which says why.
  if (response.status == kBadGateway) {
    return Error{Errc::Unavailable, response.body};
  }
  if (response.status != 200) {
    return Error{Errc::NotFound, fmt::format("no such container: {}", word)};
  }
  return parse_inspect(word, response.body);
}

std::optional<Container> find_task(const sys::HostPaths& host, const std::string& word) {
  std::error_code error;
  std::optional<Container> found;
  for (const auto& space : fs::directory_iterator(host.here(kContainerdTasks), error)) {
    // Docker's own containers are there as well, and Docker has been asked.
    if (!space.is_directory(error) || space.path().filename() == "moby") {
      continue;
    }
    for (const auto& task : fs::directory_iterator(space.path(), error)) {
      const std::string id = task.path().filename().string();
      std::int64_t pid = 0;
      std::ifstream(task.path() / "init.pid") >> pid;
      if (word.empty() || !id.starts_with(word) || pid <= 0) {
        continue;
      }
      if (found && id != word) {
        return std::nullopt;  // Two begin so.
      }
      found.emplace();
      found->id = id;
      found->name = id;
      found->netns = netns_of(pid);
    }
  }
  return found;
}

}  // namespace

std::string Container::fqdn() const {
  return domain_name.empty() ? name : fmt::format("{}.{}.", host_name, domain_name);
}

std::string engine_socket(const Settings& settings) {
  std::string relayed = engine_socket_in(settings.text("run-dir"));
  std::error_code ignored;
  const bool is_there = !settings.is_given("docker-socket") && fs::exists(relayed, ignored);
  return is_there ? relayed : settings.text("docker-socket");
}

Result<Container> find_container(const Settings& settings, const std::string& word) {
  constexpr std::string_view kPid = "pid:";
  constexpr std::string_view kNetns = "netns:";
  const sys::HostPaths host = host_paths(settings);
  if (word.starts_with(kPid)) {
    return bare_namespace(host, fmt::format("/proc/{}/ns/net", word.substr(kPid.size())));
  }
  if (word.starts_with(kNetns)) {
    return bare_namespace(host, "/run/netns/" + word.substr(kNetns.size()));
  }
  if (word.starts_with('/')) {
    return bare_namespace(host, word);
  }
  Result<Container> asked = ask_engine(engine_socket(settings), word);
  if (asked.ok()) {
    return asked;
  }
  if (auto podman = ask_engine(host.here(kPodmanSocket), word); podman.ok()) {
    return podman;
  }
  if (auto task = find_task(host, word)) {
    return *std::move(task);
  }
  return asked;
}

Result<Container> require_container(const Settings& settings, const std::string& word) {
  Result<Container> container = find_container(settings, word);
  if (container.ok() || container.error().code != Errc::Unavailable) {
    return container;
  }
  return Error{Errc::NotFound,
               fmt::format("no such container: {} (Docker does not answer: {}; neither Podman nor "
                           "containerd has it)",
                           word,
                           container.error().what)};
}

}  // namespace weft::agent
