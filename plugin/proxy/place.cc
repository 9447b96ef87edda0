#include "plugin/proxy/place.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::plugin::proxy {
namespace {

Result<Place> parse_place(std::string_view text, Clients clients) {
  constexpr std::string_view kTcp = "tcp://";
  constexpr std::string_view kUnix = "unix://";
  const std::string_view path = text.starts_with(kUnix) ? text.substr(kUnix.size()) : text;
  if (path.starts_with('/')) {
    return Place{.tcp = {}, .path = std::string(path)};
  }
  const Endpoint at =
      WEFT_TRY(Endpoint::parse(text.starts_with(kTcp) ? text.substr(kTcp.size()) : text));
  if (!at.address.is_loopback() && clients == Clients::Anybody) {
    return Error{Errc::Invalid,
                 fmt::format("{} is reached from other hosts, who could command the Docker engine "
                             "(expected certificates of clients, a loopback address or the path "
                             "of a Unix socket)",
                             text)};
  }
  return Place{.tcp = at, .path = {}};
}

}  // namespace

std::string Place::to_string() const {
  return tcp ? fmt::format("tcp://{}", tcp->to_string()) : fmt::format("unix://{}", path);
}

Result<std::vector<Place>> parse_places(std::string_view text, Clients clients) {
  std::vector<Place> places;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    Place place = WEFT_TRY(parse_place(one, clients));
    places.push_back(std::move(place));
  }
  return places;
}

}  // namespace weft::plugin::proxy
