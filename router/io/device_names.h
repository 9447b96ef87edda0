// What the data path's own devices are called, behind the bridge's name.
#pragma once

#include <string_view>

namespace weft::router {

inline constexpr std::string_view kTapSuffix = "-tap";  // The longest.
inline constexpr std::string_view kVxlanSuffix = "-vx";
inline constexpr std::string_view kSealPortSuffix = "-sp";
inline constexpr std::string_view kSealEndSuffix = "-se";
inline constexpr std::string_view kLanePortSuffix = "-lp";
inline constexpr std::string_view kLaneEndSuffix = "-le";

// Weave's name of a port that leads to another bridge of the host, which this one's name follows.
inline constexpr std::string_view kJoinedPortPrefix = "vethwebl";

}  // namespace weft::router
