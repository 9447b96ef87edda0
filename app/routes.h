// What the UI's server answers below /api, and how errors look: the one table that requests are
// told apart by, and that docs/openapi-ui.yaml is held to. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::app {

enum class Call : std::uint8_t {
  About,
  Probes,
  Report,
  Topologies,
  Topology,
  Node,
  Reach,
  Stream,  // A WebSocket.
  Visitor,
  Control,
  Pipe,  // A WebSocket.
  PipeCheck,
  PipeEnd,
  Login,
  Logout,
};

struct Route {
  std::string_view method;
  std::string_view path;  // "/api/topology/{topology}": parts in braces may be anything.
  Call call;
};

std::span<const Route> routes();

// `path` is decoded (app/request.h). HEAD is as GET. Errc::NotFound: no such path; Errc::Invalid:
// not with this method.
Result<Call> find_call(std::string_view method, const std::vector<std::string>& path);

// The body of every answer below /api that is no success: what is wrong as a JSON string, which is
// how Scope says it.
std::string error_body(std::string_view what);

}  // namespace weft::app
