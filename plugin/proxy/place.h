// Where the Docker API proxy listens. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace weft::plugin::proxy {

// One of the two.
struct Place {
  std::optional<Endpoint> tcp{};
  std::string path{};  // Of a Unix socket.

  std::string to_string() const;  // As DOCKER_HOST has it.

  friend bool operator==(const Place&, const Place&) = default;
};

// Whether who comes by TCP shows a certificate.
enum class Clients : std::uint8_t { Anybody, Certified };

// "unix:///PATH", "/PATH", "tcp://ADDRESS:PORT" or "ADDRESS:PORT", separated by commas.
// Errc::Invalid also for an address at which anybody from other hosts would be served.
Result<std::vector<Place>> parse_places(std::string_view text, Clients clients = Clients::Anybody);

}  // namespace weft::plugin::proxy
