#include "agent/dns/dns_api.h"

#include <charconv>
#include <optional>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

using sys::HttpResponse;
using Form = std::map<std::string, std::string>;

HttpResponse text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

HttpResponse done() {
  return text(204, "");
}

HttpResponse refusal(const Error& error) {
  const bool is_asked_wrong = error.code == Errc::Invalid;
  return text(is_asked_wrong ? 400 : 500, error.what + "\n");
}

// Without the domain's final dot nobody's scripts would work; Weave printed it.
std::string domain_of(const dns::DnsStatus& status) {
  return status.domain.to_string();
}

std::optional<int> digit(char c) {
  int value = 0;
  const auto [end, error] = std::from_chars(&c, &c + 1, value, 16);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::string decode_percent(std::string_view encoded) {
  std::string out;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '%' && i + 2 < encoded.size()) {
      const auto high = digit(encoded[i + 1]);
      const auto low = digit(encoded[i + 2]);
      if (high && low) {
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    out += encoded[i] == '+' ? ' ' : encoded[i];
  }
  return out;
}

// "/name/ID/ADDRESS" without "/name".
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  path.remove_prefix(std::string_view("/name").size());
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    parts.push_back(decode_percent(part));
    path.remove_prefix(part.size());
  }
  return parts;
}

std::string value_of(const Form& form, const std::string& key) {
  const auto at = form.find(key);
  return at == form.end() ? "" : at->second;
}

Result<std::uint16_t> parse_port(const std::string& text) {
  std::uint16_t port = 0;
  if (text.empty()) {
    return port;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Error{Errc::Invalid, fmt::format("port \"{}\" (expected 0 to 65535)", text)};
  }
  return port;
}

Result<HttpResponse> add_name(const std::vector<std::string>& parts,
                              const Form& form,
                              const DnsHooks& hooks) {
  if (parts.size() != 2) {
    return text(404, "no such path (expected /name/ID/ADDRESS)\n");
  }
  NameRequest request{.owner = parts[0], .address = {}, .fqdn = value_of(form, "fqdn")};
  request.address = WEFT_TRY(Ip::parse(parts[1]));
  request.port = WEFT_TRY(parse_port(value_of(form, "port")));
  request.check_alive = value_of(form, "check-alive") == "true";
  if (!request.fqdn.empty()) {
    WEFT_TRY(hooks.add(request));
  }
  return done();
}

Result<HttpResponse> remove_names(const std::vector<std::string>& parts,
                                  const Form& form,
                                  const DnsHooks& hooks) {
  if (parts.size() > 2) {
    return text(404, "no such path (expected /name[/ID[/ADDRESS]])\n");
  }
  dns::Names::Filter filter;
  if (!parts.empty() && !parts[0].empty()) {
    filter.owner = parts[0];
  }
  if (parts.size() == 2) {
    filter.address = WEFT_TRY(Ip::parse(parts[1]));
  }
  if (const std::string fqdn = value_of(form, "fqdn"); !fqdn.empty()) {
    filter.name = WEFT_TRY(dns::Name::parse(fqdn));
  }
  hooks.remove(filter);
  return done();
}

HttpResponse get(std::string_view path, const dns::DnsStatus& status) {
  if (path == "/domain") {
    return text(200, domain_of(status));
  }
  if (path == "/name") {
    return {.status = 200,
            .content_type = "application/json",
            .body = json::serialize(names_json(status))};
  }
  if (path == "/dns-address" || path == "/dns-address-port") {
    if (!status.address) {
      return text(503, "DNS does not listen: " + status.reason + "\n");
    }
    return text(
        200,
        path == "/dns-address" ? status.address->address.to_string() : status.address->to_string());
  }
  return text(404, fmt::format("no such path: {}\n", path));
}

HttpResponse respond(const sys::HttpRequest& request,
                     std::string_view path,
                     const DnsHooks& hooks) {
  const bool is_name = path.starts_with("/name");
  if (request.method == "GET") {
    return get(path, hooks.status());
  }
  if (!is_name || (request.method != "PUT" && request.method != "DELETE")) {
    return text(405, fmt::format("method {} is not for {}\n", request.method, path));
  }
  Form form = parse_form(request.body);
  if (const std::size_t query = request.target.find('?'); query != std::string::npos) {
    form.merge(parse_form(std::string_view(request.target).substr(query + 1)));
  }
  const auto response = request.method == "PUT" ? add_name(parts_of(path), form, hooks)
                                                : remove_names(parts_of(path), form, hooks);
  return response.ok() ? response.value() : refusal(response.error());
}

}  // namespace

bool is_dns_path(std::string_view path) {
  return path == "/domain" || path == "/dns-address" || path == "/dns-address-port"
         || path == "/name" || path.starts_with("/name/");
}

HttpResponse handle_dns(const sys::HttpRequest& request, const DnsHooks* hooks) {
  const std::string_view path =
      std::string_view(request.target).substr(0, request.target.find('?'));
  if (hooks == nullptr) {
    return text(404, "DNS is off (--no-dns)\n");
  }
  return respond(request, path, *hooks);
}

std::map<std::string, std::string> parse_form(std::string_view text) {
  std::map<std::string, std::string> form;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    form.emplace(decode_percent(pair.substr(0, equals)), decode_percent(value));
  }
  return form;
}

// The fields Weave listed. Records have no version of their own, and what was withdrawn is not kept
// here, so those two say so.
json::array names_json(const dns::DnsStatus& status) {
  json::array names;
  for (const dns::Names::Listed& listed : status.names) {
    json::object name{{"Hostname", listed.entry.name.to_string()},
                      {"Origin", listed.origin.to_string()},
                      {"ContainerID", listed.owner},
                      {"Address", listed.entry.address.to_string()},
                      {"Version", 0},
                      {"Tombstone", 0},
                      {"Suspended", listed.suspended}};
    if (listed.entry.port != 0) {
      name["Port"] = listed.entry.port;
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace weft::agent
