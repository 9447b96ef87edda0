// Weave's control API, as its scripts call it on 127.0.0.1:6784: paths, forms, status codes and
// texts (docs/openapi.yaml). Pure but for what the hooks do. The address calls are in
// agent/ipam/call.h, names in agent/dns/dns_api.h.
//
//   GET    /status[/targets|/connections|/peers|/dns|/ipam]   text
//   GET    /report[?format=TEMPLATE]                          JSON, or what the template makes of
//   it GET    /metrics POST   /connect, /forget peer=HOST…[&replace=true] POST
//   /expose/ADDRESS/LEN[?skipNAT=true], DELETE GET    /proxyaddrs 404: there is no Docker API proxy
//
// A browser is not a client: requests that name another host than this one, or an origin, are
// refused, so that no web page reaches the API through somebody's browser.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "agent/attach/attach_api.h"
#include "agent/control_api.h"
#include "sys/http_server.h"

namespace weft::agent {

// Nothing if the request may be answered: by anybody, or by those on this host.
std::optional<sys::HttpResponse> refuse_browser(const sys::HttpRequest& request);

sys::HttpResponse handle_weave(const sys::HttpRequest& request,
                               const ControlHooks& hooks,
                               const AttachHooks& attach);

// What the read-only listener answers: status, report and metrics (as the text of a scrape).
sys::HttpResponse handle_status_only(const sys::HttpRequest& request,
                                     const std::function<AgentStatus()>& status,
                                     const std::function<std::string()>& metrics);

// Every call there is, for the test that holds docs/openapi.yaml to it.
struct WeaveRoute {
  std::string_view method;
  std::string_view path;  // Parameters in braces.
};
std::span<const WeaveRoute> weave_routes();

}  // namespace weft::agent
