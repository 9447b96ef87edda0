// The version of this build, from CMakeLists.txt.
#pragma once

#include <string_view>

namespace weft::agent {

inline constexpr std::string_view kVersion = WEFT_VERSION;

}  // namespace weft::agent
