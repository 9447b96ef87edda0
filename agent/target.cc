#include "agent/target.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/address.h"
#include "router/connector.h"

namespace weft::agent {

namespace {

// RFC 1035: 253 characters of text are what fits 255 octets on the wire.
constexpr std::size_t kHostNameMax = 253;

bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= kHostNameMax && text.front() != '-' && text.front() != '.'
         && std::all_of(text.begin(), text.end(), [](char c) {
              return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.'
                     || c == '_';
            });
}

bool is_port(std::string_view text) {
  constexpr std::size_t kDigitsMax = 5;
  if (text.empty() || text.size() > kDigitsMax || text.front() == '0') {
    return false;
  }
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65535;
}

Error malformed(std::string_view text) {
  constexpr std::size_t kShownMax = 64;
  return Error{Errc::Invalid,
               fmt::format("peer \"{}\" (expected HOST or HOST:PORT, an IPv6 address in brackets)",
                           text.substr(0, kShownMax))};
}

}  // namespace

Result<std::string> parse_target(std::string_view text) {
  // A bare IPv6 address has no port that could be meant.
  if (Ipv6::parse(text).ok()) {
    return fmt::format("[{}]", text);
  }
  std::string_view host = text;
  std::string_view port;
  const std::size_t bracket = text.find(']');
  if (text.starts_with('[') && bracket != std::string_view::npos) {
    host = text.substr(0, bracket + 1);
    port = text.substr(bracket + 1);
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  const bool host_valid = host.starts_with('[') ? Ipv6::parse(host.substr(1, host.size() - 2)).ok()
                                                : is_host_name(host);
  const bool port_valid = port.empty() || (port.front() == ':' && is_port(port.substr(1)));
  if (!host_valid || !port_valid) {
    return malformed(text);
  }
  return std::string(text);
}

bool is_same_target(const std::string& a, const std::string& b, std::uint16_t default_port) {
  const auto left = router::Target::parse(a, default_port);
  const auto right = router::Target::parse(b, default_port);
  return left.ok() && right.ok() && left.value() == right.value();
}

}  // namespace weft::agent
