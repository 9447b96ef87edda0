// What a browser or a script asks the UI's server for, taken apart and judged: whether it may ask
// at all (guard), and what it asks for (target). Pure and total: any bytes give an answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/topology.h"
#include "base/address.h"
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
// read through a name that resolves to us (DNS rebinding). What was not sent is empty.
struct Asker {
  std::string_view host;    // As the request names us.
  std::string_view origin;  // The page that asks.
  // What the browser calls the host, where a proxy that we trust says so; else empty.
  std::string_view forwarded_host{};
};
Result<Ok> check_origin(const Asker& asker, Names names);

// Who asked a proxy: the last address of X-Forwarded-For that is none of the proxies'. `from` if
// the connection is not a proxy's, or where the header names nobody else.
Ip client_behind(const Ip& from, std::string_view forwarded_for, std::span<const Cidr> proxies);

// The last item of a list in a header: what the nearest proxy has put there.
std::string_view last_item(std::string_view list);

}  // namespace weft::app
