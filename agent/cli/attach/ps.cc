#include <algorithm>
#include <cstdio>
#include <map>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/attach/attach.h"
#include "agent/cli/attach/container.h"
#include "agent/cli/client.h"
#include "agent/cli/json_text.h"
#include "dns/names.h"
#include "plugin/cni/owner.h"
#include "sys/http_server.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

constexpr int kCallTimeoutSeconds = 5;

// Of an engine's id, as Docker's own ps shows it.
constexpr std::size_t kIdSize = 64;
constexpr std::size_t kShownIdSize = 12;

// What one container has on weft's networks.
struct Line {
  std::string mac;
  std::vector<std::string> addresses;
};
using Lines = std::map<std::string, Line>;  // By the container's id.

// Throws where the agent says something else than agent/attach/attach_api.h.
void read_attached(const json::value& answer, Lines& lines) {
  for (const json::value& one : answer.at("attached").as_array()) {
    const std::string id = text_of(one.at("id"));
    const auto owner = plugin::cni::parse_owner(id);
    Line& line = lines[owner ? owner->attachment.container : id];
    line.mac = line.mac.empty() ? text_of(one.at("mac")) : line.mac;
    for (const json::value& address : one.at("addresses").as_array()) {
      line.addresses.push_back(text_of(address));
    }
  }
  Line& host = lines[dns::kExposeOwner];  // There also while nothing is exposed, as in Weave.
  host.mac = text_of(answer.at("bridge_mac"));
  for (const json::value& one : answer.at("exposed").as_array()) {
    host.addresses.push_back(text_of(one.at("address")));
  }
}

// Docker says whose the endpoints are.
void read_endpoints(const json::value& answer, const json::value& containers, Lines& lines) {
  std::map<std::string, std::string> ours;  // MACs by endpoint.
  for (const json::value& one : answer.at("endpoints").as_array()) {
    ours.emplace(text_of(one.at("id")), text_of(one.at("mac")));
  }
  for (const json::value& container : containers.as_array()) {
    const json::value& networks = container.at("NetworkSettings").at("Networks");
    for (const auto& [name, network] : networks.as_object()) {
      const auto found = ours.find(text_of(network.at("EndpointID")));
      if (found == ours.end()) {
        continue;
      }
      Line& line = lines[text_of(container.at("Id"))];
      line.mac = line.mac.empty() ? found->second : line.mac;
      line.addresses.push_back(fmt::format("{}/{}",
                                           std::string_view(network.at("IPAddress").as_string()),
                                           network.at("IPPrefixLen").to_number<int>()));
    }
  }
}

Result<Lines> read_lines(const Settings& settings) {
  const std::string text = WEFT_TRY(ask_agent(settings, "GET", "/attach", kCallTimeoutSeconds));
  const auto containers =
      sys::http_call(engine_socket(settings), "GET", "/containers/json", "", kCallTimeoutSeconds);
  try {
    const json::value answer = json::parse(text);
    Lines lines;
    read_attached(answer, lines);
    if (containers.ok() && containers.value().status == 200) {
      read_endpoints(answer, json::parse(containers.value().body), lines);
    }
    return lines;
  } catch (const std::exception& error) {
    return Error{Errc::Conflict, fmt::format("answer of the agent or Docker: {}", error.what())};
  }
}

void print(const std::string& id, const Line& line) {
  std::string text = id.size() == kIdSize ? id.substr(0, kShownIdSize) : id;
  text += " " + line.mac;
  for (const std::string& address : line.addresses) {
    text += " " + address;
  }
  fmt::print("{}\n", text);
}

Result<Ok> print_all(const Settings& settings) {
  const Lines lines = WEFT_TRY(read_lines(settings));
  if (settings.arguments().empty()) {
    print(dns::kExposeOwner, lines.at(dns::kExposeOwner));
    for (const auto& [id, line] : lines) {
      if (id != dns::kExposeOwner) {
        print(id, line);
      }
    }
    return Ok{};
  }
  std::string unknown;
  for (const std::string& word : settings.arguments()) {
    std::string id = word;
    // Those of no engine, such as namespaces, are known by what is listed alone.
    if (!lines.contains(word)) {
      const auto container = require_container(settings, word);
      id = container.ok() ? container.value().id : "";
      unknown += container.ok() ? "" : (unknown.empty() ? "" : "; ") + container.error().what;
    }
    if (const auto found = lines.find(id); found != lines.end()) {
      print(id, found->second);
    }
  }
  return unknown.empty() ? Result<Ok>(Ok{}) : Error{Errc::NotFound, unknown};
}

}  // namespace

ExitCode run_ps(const Settings& settings) {
  const auto done = print_all(settings);
  return done.ok() ? ExitCode::Ok : report(done.error());
}

}  // namespace weft::agent
