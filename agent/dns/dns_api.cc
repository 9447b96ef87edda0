#include "agent/dns/dns_api.h"

#include <charconv>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "agent/http/form.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

using sys::HttpResponse;

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

Result<HttpResponse> respond(const sys::HttpRequest& request,
                             std::string_view path,
                             const DnsHooks& hooks) {
  const bool is_name = path.starts_with("/name");
  if (request.method == "GET") {
    return get(path, hooks.status());
  }
  if (!is_name || (request.method != "PUT" && request.method != "DELETE")) {
    return text(405, fmt::format("method {} is not for {}\n", request.method, path));
  }
  const Form form = WEFT_TRY(parse_request_form(request.target, request.body));
  std::vector<std::string> parts = WEFT_TRY(path_segments(request.target));
  parts.erase(parts.begin());  // "name".
  return request.method == "PUT" ? add_name(parts, form, hooks) : remove_names(parts, form, hooks);
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
  const auto response = respond(request, path, *hooks);
  return response.ok() ? response.value() : refusal(response.error());
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
