// The control API on <run-dir>/weft.sock: requests in, JSON out. Pure but for what the hooks do.
//
//   GET  /ready                      {"pid": 1, "version": "…", "peers_reachable": 2}
//   GET  /status[/PART]              PART as in agent/status.h
//   GET  /report                     the same under the names that Weave's users know
//   GET  /metrics                    in the text format of Prometheus
//   POST /connect, /forget           {"peers": ["host", …], "replace": false}
//   POST /reload                     reads the password file again
//   POST /stop
//   GET  /api/…                      the topology, as the UI gets it (app/app.h)
//   /name, /domain, /dns-…           agent/dns/dns_api.h
//
// A failure answers {"error": "…"} with a status of 4xx or 5xx and changes nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/dns/dns_api.h"
#include "agent/status.h"
#include "base/result.h"
#include "sys/http_server.h"

namespace weft::agent {

struct TargetsCall {
  std::vector<std::string> peers{};  // As written; they parse.
  bool replace = false;              // Of connect: these and no others.

  friend bool operator==(const TargetsCall&, const TargetsCall&) = default;
};

struct ControlHooks {
  std::function<AgentStatus()> status;
  std::function<std::size_t()> peers_reachable;  // Without ourselves. Cheap, for who asks often.
  std::function<std::string()> metrics;
  std::function<Result<Ok>(const TargetsCall& call)> connect;
  std::function<Result<Ok>(const TargetsCall& call)> forget;
  std::function<Result<Ok>()> reload;
  std::function<void()> stop;     // Must return; the answer is sent first.
  std::optional<DnsHooks> dns{};  // Nothing with --no-dns.
};

sys::HttpResponse handle_control(const sys::HttpRequest& request, const ControlHooks& hooks);

// The body of /connect and /forget.
Result<TargetsCall> parse_targets_body(std::string_view body);
std::string to_body(const TargetsCall& call);

// What a listener for metrics alone answers.
sys::HttpResponse handle_metrics(const sys::HttpRequest& request,
                                 const std::function<std::string()>& text);

}  // namespace weft::agent
