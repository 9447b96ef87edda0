// The versions of the CNI specification, in their order.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace weft::plugin::cni {

enum class Version : std::uint8_t { V010, V020, V030, V031, V040, V100, V110 };

inline constexpr std::array<std::string_view, 7> kVersionNames{
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

constexpr std::string_view name_of(Version version) {
  return kVersionNames[static_cast<std::size_t>(version)];
}
static_assert(name_of(Version::V110) == "1.1.0");

// An absent version is the first one, as in libcni. Errc::Conflict for one that is not ours.
Result<Version> parse_version(std::string_view text);

}  // namespace weft::plugin::cni
