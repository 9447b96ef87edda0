#include "plugin/cni/owner.h"

#include <array>

#include <fmt/format.h>

namespace weft::plugin::cni {
namespace {

constexpr std::string_view kMark = "cni";

}  // namespace

std::string to_string(const Owner& owner) {
  return fmt::format(
      "{}:{}:{}:{}", owner.attachment.container, kMark, owner.network, owner.attachment.interface);
}

std::optional<Owner> parse_owner(std::string_view text) {
  std::array<std::string_view, 4> parts;
  for (std::size_t at = 0; at < parts.size(); ++at) {
    const std::size_t colon = text.find(':');
    const bool is_last = at + 1 == parts.size();
    if ((colon == std::string_view::npos) != is_last) {
      return std::nullopt;
    }
    parts[at] = text.substr(0, colon);
    text.remove_prefix(is_last ? text.size() : colon + 1);
  }
  if (parts[1] != kMark || !is_identifier(parts[0]) || !is_identifier(parts[2])
      || !is_interface_name(parts[3])) {
    return std::nullopt;
  }
  return Owner{
      .attachment = {.container = std::string(parts[0]), .interface = std::string(parts[3])},
      .network = std::string(parts[2])};
}

}  // namespace weft::plugin::cni
