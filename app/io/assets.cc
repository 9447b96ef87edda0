#include "app/io/assets.h"

#include <algorithm>

namespace weft::app {

const Asset* find_asset(std::string_view path) {
  const std::string_view wanted = path == "/" ? std::string_view("/index.html") : path;
  const std::span<const Asset> all = assets();
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const Asset& asset) { return asset.path == wanted; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace weft::app
