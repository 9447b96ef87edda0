// The control API on <run-dir>/weft.sock: requests in, JSON out. Pure but for what the hooks do.
//
//   GET  /ready                      {"pid": 1, "version": "…"}
//   GET  /status[/PART]              PART as in agent/status.h
//   POST /connect, /forget           {"peers": ["host", …]}
//   POST /stop
//
// A failure answers {"error": "…"} with a status of 4xx or 5xx and changes nothing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/status.h"
#include "base/result.h"
#include "sys/http_server.h"

namespace weft::agent {

struct ControlHooks {
  std::function<AgentStatus()> status;
  std::function<Result<Ok>(const std::vector<std::string>& targets)> connect;
  std::function<Result<Ok>(const std::vector<std::string>& targets)> forget;
  std::function<void()> stop;  // Must return; the answer is sent first.
};

sys::HttpResponse handle_control(const sys::HttpRequest& request, const ControlHooks& hooks);

// {"peers": […]} into targets as the mesh takes them.
Result<std::vector<std::string>> parse_peers_body(std::string_view body);
std::string peers_body(const std::vector<std::string>& peers);

}  // namespace weft::agent
