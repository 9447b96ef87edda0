// What a browser or a script asks the UI's server for, taken apart and judged: whether it may ask
// at all (guard), and what it asks for (target). Pure and total: any bytes give an answer.
#pragma once

#include <cstdint>
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

// Splits off what is before the separator; what is left starts behind it.
std::string_view take_until(std::string_view& text, char separator);

// By which names requests may call this host.
enum class Names : std::uint8_t {
  Addresses,  // An address, or localhost.
  Any,        // Whichever lead here, such as that of a reverse proxy.
};

// Requests must come from a page of ours, since browsers attach no same-origin rule to WebSockets.
// Where there is no login they must also name this host by an address: a page elsewhere must not
// read through a name that resolves to us (DNS rebinding). `origin` is empty if none was sent.
Result<Ok> check_origin(std::string_view host, std::string_view origin, Names names);

}  // namespace weft::app
