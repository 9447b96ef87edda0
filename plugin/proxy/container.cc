#include "plugin/proxy/container.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "plugin/proxy/pattern.h"

namespace weft::plugin::proxy {

namespace json = boost::json;

namespace {

constexpr std::string_view kWaitFolder = "/w";
constexpr std::string_view kWait = "/w/w";
constexpr std::string_view kWaitWithoutMulticast = "/w/w-nomcast";
constexpr std::string_view kVariable = "WEAVE_CIDR=";

// sethostname(2) takes no more.
constexpr std::size_t kHostNameMax = 64;

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = find(object, key);
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->as_string()))
                                                : "";
}

// A list of words, or one word, as Docker takes commands.
std::vector<std::string> words_at(const json::object& object, std::string_view key) {
  std::vector<std::string> words;
  const json::value* value = find(object, key);
  if (value != nullptr && value->is_string()) {
    words.emplace_back(std::string_view(value->as_string()));
  }
  if (value != nullptr && value->is_array()) {
    for (const json::value& word : value->as_array()) {
      if (word.is_string()) {
        words.emplace_back(std::string_view(word.as_string()));
      }
    }
  }
  return words;
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* value = find(object, key);
  return value != nullptr ? value->if_object() : nullptr;
}

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error || !value.is_object() ? std::nullopt : std::optional(std::move(value.as_object()));
}

json::array to_array(const std::vector<std::string>& words) {
  json::array array;
  for (const std::string& word : words) {
    array.emplace_back(word);
  }
  return array;
}

// Where a container has no network of its own, or one that somebody chose, there is nothing to add.
bool is_open_to_weft(std::string_view network_mode) {
  return network_mode.empty() || network_mode == "default" || network_mode == "bridge"
         || network_mode == "none";
}

// What the variable says. Nothing: it is not there.
std::optional<std::string> variable_in(const std::vector<std::string>& environment) {
  for (const std::string& one : environment) {
    if (one.starts_with(kVariable)) {
      return one.substr(kVariable.size());
    }
  }
  return std::nullopt;
}

bool is_wait(std::string_view word) {
  return word == kWait || word == kWaitWithoutMulticast;
}

std::string without_dot(std::string_view domain) {
  return std::string(domain.substr(0, domain.size() - (domain.ends_with('.') ? 1 : 0)));
}

}  // namespace

std::optional<CreateRequest> CreateRequest::parse(std::string_view body, const Options& options) {
  auto object = parse_object(body);
  if (!object) {
    return std::nullopt;
  }
  const json::object* const host = object_at(*object, "HostConfig");
  if (!is_open_to_weft(host != nullptr ? text_at(*host, "NetworkMode") : "")) {
    return std::nullopt;
  }
  const auto wanted = variable_in(words_at(*object, "Env"));
  if (wanted == "none" || (!wanted && !options.default_allocation)) {
    return std::nullopt;
  }
  return CreateRequest(*std::move(object));
}

std::optional<std::string> CreateRequest::image() const {
  const std::string name = text_at(body_, "Image");
  const bool is_known = !words_at(body_, "Entrypoint").empty();
  return is_known || name.empty() ? std::nullopt : std::optional(name);
}

// As Docker does it: what the request leaves open is the image's, and the command of an image only
// follows its own entry point.
Result<bool> CreateRequest::set_entrypoint(std::string_view image, const Options& options) {
  std::vector<std::string> entrypoint = words_at(body_, "Entrypoint");
  std::vector<std::string> command = words_at(body_, "Cmd");
  if (entrypoint.empty() && !image.empty()) {
    const auto described = parse_object(image);
    if (!described) {
      return Error{Errc::Invalid, "what the engine says of the image is no JSON object"};
    }
    if (const json::object* const config = object_at(*described, "Config")) {
      entrypoint = words_at(*config, "Entrypoint");
      command = command.empty() ? words_at(*config, "Cmd") : command;
    }
  }
  if (entrypoint == std::vector<std::string>{""}) {  // How Docker is told: none.
    entrypoint.clear();
  }
  if (entrypoint.empty() && command.empty()) {
    return false;
  }
  if (entrypoint.empty() || !is_wait(entrypoint.front())) {  // An image may have been made of one.
    entrypoint.insert(entrypoint.begin(),
                      std::string(options.multicast_route ? kWait : kWaitWithoutMulticast));
  }
  body_["Entrypoint"] = to_array(entrypoint);
  body_["Cmd"] = to_array(command);
  return true;
}

json::object& CreateRequest::host_config() {
  json::value& host = body_["HostConfig"];
  if (!host.is_object()) {
    host = json::object();
  }
  return host.as_object();
}

void CreateRequest::add_mount(const Options& options) {
  std::vector<std::string> binds = words_at(host_config(), "Binds");
  std::erase_if(binds, [](const std::string& bind) {
    return bind.ends_with(fmt::format(":{}", kWaitFolder))
           || bind.find(fmt::format(":{}:", kWaitFolder)) != std::string::npos;
  });
  binds.push_back(fmt::format("{}:{}:ro", options.wait_folder, kWaitFolder));
  host_config()["Binds"] = to_array(binds);
}

void CreateRequest::add_dns(const Options& options) {
  std::vector<std::string> servers = words_at(host_config(), "Dns");
  servers.push_back(options.dns_server);
  host_config()["Dns"] = to_array(servers);
  if (words_at(host_config(), "DnsSearch").empty()) {
    // No list where the host name has a domain: resolvers then search that, which may be below
    // ours.
    host_config()["DnsSearch"] = to_array({has_domain() ? std::string(".") : options.dns_domain});
  }
}

bool CreateRequest::has_domain() {
  return text_at(host_config(), "UTSMode") != "host"
         && (!text_at(body_, "Domainname").empty()
             || text_at(body_, "Hostname").find('.') != std::string::npos);
}

void CreateRequest::set_hostname(std::string_view name, const Options& options) {
  if (!text_at(body_, "Hostname").empty() || text_at(host_config(), "UTSMode") == "host") {
    return;
  }
  std::string host(name);
  const json::object* const labels = object_at(body_, "Labels");
  const std::string label = labels != nullptr && !options.hostname_label.empty()
                                ? text_at(*labels, options.hostname_label)
                                : "";
  host = label.empty() ? host : label;
  if (!host.empty()) {
    // A name for which it takes too long is left as it is.
    host =
        replace_matches(host, options.hostname_match, options.hostname_replacement).value_or(host);
  }
  const std::string domain = without_dot(options.dns_domain);
  if (!host.empty() && host.size() + 1 + domain.size() <= kHostNameMax) {
    body_["Hostname"] = host;
    body_["Domainname"] = domain;
  }
}

Result<std::optional<std::string>> CreateRequest::rewrite(std::string_view name,
                                                          std::string_view image,
                                                          const Options& options) {
  const bool is_run = WEFT_TRY(set_entrypoint(image, options));
  if (!is_run) {
    return std::optional<std::string>();
  }
  add_mount(options);
  if (!options.dns_server.empty()) {
    set_hostname(name, options);
    add_dns(options);
  }
  return std::optional(json::serialize(body_));
}

std::optional<Proxied> parse_proxied(std::string_view body) {
  const auto container = parse_object(body);
  const json::object* const config = container ? object_at(*container, "Config") : nullptr;
  const json::object* const state = container ? object_at(*container, "State") : nullptr;
  if (config == nullptr || state == nullptr) {
    return std::nullopt;
  }
  const std::vector<std::string> entrypoint = words_at(*config, "Entrypoint");
  if (entrypoint.empty() || !is_wait(entrypoint.front())) {
    return std::nullopt;
  }
  const json::value* const running = find(*state, "Running");
  const json::value* const pid = find(*state, "Pid");
  boost::system::error_code is_none;
  Proxied proxied{.is_running = running != nullptr && running->is_bool() && running->as_bool(),
                  .pid = pid != nullptr ? pid->to_number<std::uint32_t>(is_none) : 0,
                  .addresses = {}};
  std::string_view rest;
  const auto wanted = variable_in(words_at(*config, "Env"));
  rest = wanted ? std::string_view(*wanted) : rest;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (!word.empty()) {
      proxied.addresses.emplace_back(word);
    }
  }
  return proxied;
}

bool is_waiting(std::string_view command_line) {
  return is_wait(command_line.substr(0, command_line.find('\0')));
}

}  // namespace weft::plugin::proxy
