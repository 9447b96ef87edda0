#include "agent/cli/options/values.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "agent/cli/options.h"
#include "agent/ipam/init.h"
#include "base/address.h"
#include "base/log.h"
#include "base/netdev.h"
#include "base/peer_name.h"
#include "dns/message.h"

namespace weft::agent {
namespace {

Error expected(std::string_view text, std::string_view what) {
  return Error{Errc::Invalid, fmt::format("\"{}\" (expected {})", text, what)};
}

Result<std::uint32_t> parse_number(std::string_view text, std::uint32_t min, std::uint32_t max) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return expected(text, fmt::format("a number from {} to {}", min, max));
  }
  return number;
}

Result<std::string> checked_flag(const std::string& text) {
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (text == yes) {
      return std::string("true");
    }
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (text == no) {
      return std::string("false");
    }
  }
  return expected(text, "true or false");
}

// Network and broadcast address, and two to give out.
constexpr unsigned kHostBitsMin = 2;

Result<Ok> check_block(const std::string& text, const Cidr& block) {
  if (!block.is_network()) {
    return expected(text,
                    fmt::format("no bits behind the prefix: {}", block.network().to_string()));
  }
  if (block.prefix() + kHostBitsMin > block.address().bits()) {
    return expected(text,
                    fmt::format("at least 4 addresses: a prefix of at most /{}",
                                block.address().bits() - kHostBitsMin));
  }
  return Ok{};
}

// "10.32.0.0/12", or with a block of IPv6 behind it: "10.32.0.0/12,fd00:32::/48".
Result<std::string> checked_blocks(const std::string& text) {
  if (text == "off") {
    return text;
  }
  const std::size_t comma = std::min(text.find(','), text.size());
  const auto v4 = Cidr::parse(std::string_view(text).substr(0, comma));
  if (!v4.ok() || !v4.value().is_v4()) {
    return expected(text, "an IPv4 block such as 10.32.0.0/12");
  }
  WEFT_TRY(check_block(text, v4.value()));
  if (comma < text.size()) {
    const auto v6 = Cidr::parse(std::string_view(text).substr(comma + 1));
    if (!v6.ok() || v6.value().is_v4()) {
      return expected(text, "behind the comma an IPv6 block such as fd00:32::/48");
    }
    WEFT_TRY(check_block(text, v6.value()));
  }
  return text;
}

// The 68 bytes every IPv4 link carries (RFC 791), the 65,535 of the largest packet.
constexpr std::uint32_t kMtuMin = 68;
constexpr std::uint32_t kMtuMax = 65535;

// As many peers as a mesh knows (router::Mesh::Options::peers_max).
constexpr std::uint32_t kCountMax = 4096;

Result<std::string> checked_number(const std::string& text,
                                   std::string_view prefix,
                                   std::uint32_t min,
                                   std::uint32_t max) {
  const auto number = parse_number(std::string_view(text).substr(prefix.size()), min, max);
  return number.ok() ? Result<std::string>(text)
                     : expected(text, fmt::format("{}a number from {} to {}", prefix, min, max));
}

Result<std::string> checked_domain(const std::string& text) {
  const auto name = dns::Name::parse(text);
  return name.ok() && !name.value().is_root() ? Result<std::string>(text)
                                              : expected(text, "a domain such as weft.local");
}

Result<std::string> checked_seconds(const std::string& text) {
  constexpr std::uint32_t kDay = 86400;
  const std::string_view number =
      std::string_view(text).substr(0, text.size() - (text.ends_with('s') ? 1 : 0));
  const auto seconds = parse_number(number, 1, kDay);
  return seconds.ok() ? Result<std::string>(text)
                      : expected(text, fmt::format("seconds from 1 to {}", kDay));
}

Result<std::string> checked_interface(const std::string& text) {
  // The kernel's rule (dev_valid_name) less the characters nobody means.
  const bool valid = !text.empty() && text.size() <= kInterfaceNameMax && text.front() != '.'
                     && std::all_of(text.begin(), text.end(), [](char c) {
                          return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'
                                 || c == '_' || c == '.';
                        });
  if (!valid) {
    return expected(text, "an interface name of at most 15 characters");
  }
  return text;
}

}  // namespace

Result<std::string> checked_value(ValueKind kind, const std::string& text) {
  switch (kind) {
    case ValueKind::Flag:
      return checked_flag(text);
    case ValueKind::Text:
    case ValueKind::List:
      return text;
    case ValueKind::Path:
    case ValueKind::HostPath:
      return text.starts_with('/') ? Result<std::string>(text) : expected(text, "an absolute path");
    case ValueKind::Port:
      return checked_number(text, "", 1, 65535);
    case ValueKind::Count:
      return checked_number(text, "", 0, kCountMax);
    case ValueKind::Endpoint:
      return Endpoint::parse(text).ok() ? Result<std::string>(text)
                                        : expected(text, "ADDRESS:PORT");
    case ValueKind::Listen:
      return text == "off" || Endpoint::parse(text).ok()
                 ? Result<std::string>(text)
                 : expected(text, "an address and a port such as 127.0.0.1:4040, or off");
    case ValueKind::Ip:
      return Ip::parse(text).ok() ? Result<std::string>(text)
                                  : expected(text, "an IPv4 or IPv6 address");
    case ValueKind::Cidr:
      return checked_blocks(text);
    case ValueKind::PeerName:
      return PeerName::parse(text).ok() ? Result<std::string>(text)
                                        : expected(text, "a name such as 7a:01:02:03:04:05");
    case ValueKind::Mtu:
      return text == "0" ? Result<std::string>(text) : checked_number(text, "", kMtuMin, kMtuMax);
    case ValueKind::Interface:
      return checked_interface(text);
    case ValueKind::IpallocInit:
      (void)WEFT_TRY(parse_ipam_init(text));
      return text;
    case ValueKind::Domain:
      return checked_domain(text);
    case ValueKind::Place:
      return parse_listen(text, dns::kPort).ok() ? Result<std::string>(text)
                                                 : expected(text, "an address, or address:port");
    case ValueKind::ListenAt:
      return text == "off" || text.starts_with('/') || text.starts_with(kRemoteScheme)
                     || Endpoint::parse(text).ok()
                 ? Result<std::string>(text)
                 : expected(text, "an address and a port, the path of a Unix socket, or off");
    case ValueKind::Seconds:
      return checked_seconds(text);
    case ValueKind::Controls:
      return text == "off" || text == "login" || text == "loopback"
                 ? Result<std::string>(text)
                 : expected(text, "off, login or loopback");
    case ValueKind::OnOffAuto:
      return text == "on" || text == "off" || text == "auto" ? Result<std::string>(text)
                                                             : expected(text, "on, off or auto");
    case ValueKind::LogLevel:
      (void)WEFT_TRY(log::parse_level(text));
      return text;
  }
  return Error{Errc::Invalid, "unknown kind of option"};
}

std::uint32_t seconds_of(std::string_view text) {
  if (text.ends_with('s')) {
    text.remove_suffix(1);
  }
  return parse_number(text, 0, std::numeric_limits<std::uint32_t>::max()).value();
}

Result<Endpoint> parse_listen(std::string_view text, std::uint16_t default_port) {
  if (const auto address = Ip::parse(text); address.ok()) {
    return Endpoint{address.value(), default_port};
  }
  return Endpoint::parse(text);
}

}  // namespace weft::agent
