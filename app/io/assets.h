// The web UI's files, built by Vite, compressed, and linked into the program (cmake/Ui.cmake makes
// the source that defines them). Immutable.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weft::app {

struct Asset {
  std::string_view path;  // "/index.html", "/assets/main-4f2a.js"
  std::string_view content_type;
  std::string_view etag;               // Quoted, as HTTP has it.
  std::span<const std::uint8_t> gzip;  // The content, as Content-Encoding: gzip.
};

std::span<const Asset> assets();

// "/" is "/index.html". Null if there is no such file.
const Asset* find_asset(std::string_view path);

}  // namespace weft::app
