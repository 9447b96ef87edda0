#include "agent/http/weave_api.h"

#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "agent/cli/json_text.h"
#include "agent/dns/dns_api.h"
#include "agent/http/form.h"
#include "agent/http/template.h"
#include "agent/http/weave_text.h"
#include "agent/metrics.h"
#include "agent/report.h"
#include "router/connector.h"

namespace weft::agent {
namespace {

using sys::HttpRequest;
using sys::HttpResponse;

// As many peers as one call may name: what a command line takes.
constexpr std::size_t kPeersMax = 200;
// A template that somebody typed.
constexpr std::size_t kTemplateMax = 16 * 1024;

constexpr std::array kRoutes{
    WeaveRoute{"GET", "/status"},
    WeaveRoute{"GET", "/status/targets"},
    WeaveRoute{"GET", "/status/connections"},
    WeaveRoute{"GET", "/status/peers"},
    WeaveRoute{"GET", "/status/dns"},
    WeaveRoute{"GET", "/status/ipam"},
    WeaveRoute{"GET", "/report"},
    WeaveRoute{"GET", "/metrics"},
    WeaveRoute{"GET", "/proxyaddrs"},
    WeaveRoute{"POST", "/connect"},
    WeaveRoute{"POST", "/forget"},
    WeaveRoute{"POST", "/expose/{ip}/{len}"},
    WeaveRoute{"DELETE", "/expose/{ip}/{len}"},
    WeaveRoute{"DELETE", "/peer"},
    WeaveRoute{"DELETE", "/peer/{name}"},
    WeaveRoute{"GET", "/ring"},
    WeaveRoute{"GET", "/ipinfo/defaultsubnet"},
    WeaveRoute{"GET", "/ipinfo/tracker"},
    WeaveRoute{"GET", "/ip"},
    WeaveRoute{"GET", "/ip/{id}"},
    WeaveRoute{"GET", "/ip/{id}/{ip}/{len}"},
    WeaveRoute{"POST", "/ip/{id}"},
    WeaveRoute{"POST", "/ip/{id}/{ip}/{len}"},
    WeaveRoute{"PUT", "/ip/{id}/{ip}/{len}"},
    WeaveRoute{"DELETE", "/ip/{id}"},
    WeaveRoute{"DELETE", "/ip/{id}/{ip}"},
    WeaveRoute{"GET", "/domain"},
    WeaveRoute{"GET", "/dns-address"},
    WeaveRoute{"GET", "/dns-address-port"},
    WeaveRoute{"GET", "/name"},
    WeaveRoute{"DELETE", "/name"},
    WeaveRoute{"DELETE", "/name/{id}"},
    WeaveRoute{"PUT", "/name/{id}/{ip}"},
    WeaveRoute{"DELETE", "/name/{id}/{ip}"},
};

HttpResponse text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

HttpResponse no_page() {
  return text(404, "404 page not found\n");
}

std::string_view path_of(const HttpRequest& request) {
  return std::string_view(request.target).substr(0, request.target.find('?'));
}

HttpResponse report(const HttpRequest& request, const AgentStatus& status) {
  const auto form = parse_request_form(request.target, "");
  if (!form.ok()) {
    return text(400, form.error().what + "\n");
  }
  const std::vector<std::string> formats = values_of(form.value(), "format");
  const boost::json::value value = to_report(status);
  if (formats.empty() && !form.value().empty()) {
    return text(400, "a report takes one format, or none\n");
  }
  if (formats.empty()) {
    return {.status = 200, .content_type = "application/json", .body = pretty(value)};
  }
  if (formats.size() > 1 || formats.front().size() > kTemplateMax) {
    return text(400, "a report takes one format, of at most 16 KiB\n");
  }
  auto rendered = render_template(formats.front(), value);
  if (rendered.ok()) {
    return text(200, std::move(rendered).value());
  }
  return text(rendered.error().code == Errc::Invalid ? 400 : 500, rendered.error().what + "\n");
}

HttpResponse proxy_addresses(const HttpRequest& request, const AgentStatus& status) {
  if (status.proxy_addresses.empty()) {
    return no_page();
  }
  if (request.method != "GET") {
    return text(405, "");
  }
  std::string lines;
  for (const std::string& address : status.proxy_addresses) {
    lines += address + "\n";
  }
  return text(200, std::move(lines));
}

HttpResponse status_page(std::string_view path, const AgentStatus& status) {
  constexpr std::string_view kStatus = "/status";
  path.remove_prefix(std::min(path.size(), kStatus.size() + 1));
  const auto part = parse_status_part(path);
  return part.ok() ? text(200, weave_status_text(status, part.value())) : no_page();
}

// Those that parse are taken although others do not.
HttpResponse change_targets(const HttpRequest& request,
                            const std::function<Result<Ok>(const TargetsCall& call)>& change) {
  const auto form = parse_request_form(request.target, request.body);
  if (!form.ok()) {
    return text(400, form.error().what + "\n");
  }
  TargetsCall call{.peers = {}, .replace = flag_of(form.value(), "replace")};
  std::string errors;
  for (std::string& peer : values_of(form.value(), "peer")) {
    const auto target = router::Target::parse(peer, 0);
    if (target.ok() && call.peers.size() < kPeersMax) {
      call.peers.push_back(std::move(peer));
    } else {
      errors += (target.ok() ? peer + ": too many peers" : target.error().what) + "\n";
    }
  }
  if (!call.peers.empty() || call.replace) {
    if (const auto changed = change(call); !changed.ok()) {
      return text(500, changed.error().what + "\n");
    }
  }
  return errors.empty() ? text(200, "") : text(400, std::move(errors));
}

bool is_local_name(std::string_view host) {
  if (host.starts_with('[')) {
    return host.substr(0, host.find(']') + 1) == "[::1]";
  }
  host = host.substr(0, host.find(':'));
  const auto address = Ip::parse(host);
  return host == "localhost"
         || (address.ok() && address.value().is_v4()
             && Cidr::parse("127.0.0.0/8").value().contains(address.value()));
}

}  // namespace

std::optional<HttpResponse> refuse_browser(const HttpRequest& request) {
  const bool is_local = request.host.empty() || is_local_name(request.host);
  if (request.origin.empty() && is_local) {
    return std::nullopt;
  }
  return text(403, "this API is not for web pages (Origin, or a Host that is not this one)\n");
}

HttpResponse handle_status_only(const HttpRequest& request,
                                const std::function<AgentStatus()>& status,
                                const std::function<std::string()>& metrics) {
  const std::string_view path = path_of(request);
  const bool is_status = path == "/status" || path.starts_with("/status/");
  if (!is_status && path != "/report" && path != "/metrics") {
    return no_page();
  }
  if (request.method != "GET") {
    return text(405, "");
  }
  if (path == "/metrics") {
    return handle_metrics(request, metrics);
  }
  return path == "/report" ? report(request, status()) : status_page(path, status());
}

HttpResponse handle_weave(const HttpRequest& request,
                          const ControlHooks& hooks,
                          const AttachHooks& attach) {
  const std::string_view path = path_of(request);
  if (is_dns_path(path)) {
    return handle_dns(request, hooks.dns ? &*hooks.dns : nullptr);
  }
  if (path.starts_with("/expose/")) {
    return handle_attach(request, attach);
  }
  if (path == "/proxyaddrs") {
    return proxy_addresses(request, hooks.status());
  }
  if (path == "/connect" || path == "/forget") {
    if (request.method != "POST") {
      return text(405, "");
    }
    return change_targets(request, path == "/connect" ? hooks.connect : hooks.forget);
  }
  return handle_status_only(request, hooks.status, hooks.metrics);
}

std::span<const WeaveRoute> weave_routes() {
  return kRoutes;
}

}  // namespace weft::agent
