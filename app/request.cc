#include "app/request.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "base/address.h"
#include "base/bytes.h"

namespace weft::app {
namespace {

// With the plus sign as a blank where forms encode so.
Result<std::string> decode(std::string_view text, bool plus_is_blank) {
  std::string encoded(text);
  if (plus_is_blank) {
    std::replace(encoded.begin(), encoded.end(), '+', ' ');
  }
  auto decoded = decode_percent(encoded);
  if (!decoded) {
    return Error{Errc::Invalid, "a percent sign without two hexadecimal digits"};
  }
  return *std::move(decoded);
}

// "host", "host:port", "[v6]:port" without the port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_trusted_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return lower == "localhost" || Ip::parse(lower).ok();
}

}  // namespace

std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  return taken;
}

Result<Target> parse_target(std::string_view target) {
  if (target.size() > kTargetMax) {
    return Error{Errc::Invalid,
                 fmt::format("target of {} bytes (at most {})", target.size(), kTargetMax)};
  }
  if (!target.starts_with('/')) {
    return Error{Errc::Invalid, "target that does not begin with a slash"};
  }
  target = target.substr(0, target.find('#'));
  std::string_view query = target;
  std::string_view path = take_until(query, '?');
  Target parsed;
  path.remove_prefix(1);
  while (!path.empty()) {
    parsed.path.push_back(WEFT_TRY(decode(take_until(path, '/'), false)));
  }
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string key = WEFT_TRY(decode(take_until(value, '='), true));
    if (!key.empty()) {
      parsed.query.insert_or_assign(key, WEFT_TRY(decode(value, true)));
    }
  }
  return parsed;
}

Result<Ok> check_origin(const Asker& asker, Names names) {
  if (names == Names::Addresses && !is_trusted_name(without_port(asker.host))) {
    return Error{Errc::Denied, "the request names this host by neither an address nor localhost"};
  }
  if (asker.origin.empty()) {
    return Ok{};
  }
  const std::string_view ours = asker.forwarded_host.empty() ? asker.host : asker.forwarded_host;
  const std::size_t scheme = asker.origin.find("://");
  if (scheme == std::string_view::npos || asker.origin.substr(scheme + 3) != ours) {
    return Error{Errc::Denied, "the request comes from a page of another origin"};
  }
  return Ok{};
}

std::string_view last_item(std::string_view list) {
  const std::size_t comma = list.rfind(',');
  std::string_view item = comma == std::string_view::npos ? list : list.substr(comma + 1);
  item.remove_prefix(std::min(item.find_first_not_of(" \t"), item.size()));
  const std::size_t end = item.find_last_not_of(" \t");
  return item.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

Ip client_behind(const Ip& from, std::string_view forwarded_for, std::span<const Cidr> proxies) {
  const auto is_proxy = [&](const Ip& address) {
    return std::any_of(
        proxies.begin(), proxies.end(), [&](const Cidr& proxy) { return proxy.contains(address); });
  };
  Ip client = from;
  while (is_proxy(client) && !forwarded_for.empty()) {
    const auto before = Ip::parse(last_item(forwarded_for));
    if (!before.ok()) {
      break;
    }
    client = before.value();
    const std::size_t comma = forwarded_for.rfind(',');
    forwarded_for = forwarded_for.substr(0, comma == std::string_view::npos ? 0 : comma);
  }
  return client;
}

}  // namespace weft::app
