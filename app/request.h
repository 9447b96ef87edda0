// What a browser or a script asks the UI's server for, taken apart and judged: whether it may ask
// at all (guard), and what it asks for (target). Pure and total: any bytes give an answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/topology.h"
#include "base/result.h"

namespace weft::app {

// The longest node id (a container's, percent-encoded) and a few options fit ten times.
inline constexpr std::size_t kTargetMax = 4096;

struct Target {
  std::vector<std::string> path;  // Decoded parts; a part may hold any byte, '/' too.
  Choice query;                   // Decoded; of a repeated key the last counts.

  friend bool operator==(const Target&, const Target&) = default;
};

Result<Target> parse_target(std::string_view target);

// Requests must name this host by an address or as localhost, and come from a page of ours: a page
// elsewhere must neither read through a name that resolves to us (DNS rebinding) nor open a
// WebSocket, to which browsers attach no same-origin rule. `origin` is empty if none was sent.
Result<Ok> check_origin(std::string_view host, std::string_view origin);

}  // namespace weft::app
