#include "plugin/cni/version.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::plugin::cni {

Result<Version> parse_version(std::string_view text) {
  if (text.empty()) {
    return Version::V010;
  }
  const auto* const found = std::find(kVersionNames.begin(), kVersionNames.end(), text);
  if (found == kVersionNames.end()) {
    return Error{Errc::Conflict,
                 fmt::format("cniVersion {} (expected {} to {})",
                             text,
                             kVersionNames.front(),
                             kVersionNames.back())};
  }
  return static_cast<Version>(found - kVersionNames.begin());
}

}  // namespace weft::plugin::cni
