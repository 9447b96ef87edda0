#include "plugin/proxy/io/wait_program.h"

#include <array>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

// Made by the build; WEFT_WAIT_PROGRAM is its path.
asm(R"(
  .section .rodata
  .balign 16
weft_wait_begin:
  .incbin ")" WEFT_WAIT_PROGRAM R"("
weft_wait_end:
  .byte 0
  .previous
)");
extern "C" const char weft_wait_begin[];
extern "C" const char weft_wait_end[];

namespace weft::plugin::proxy {

namespace fs = std::filesystem;

namespace {

constexpr std::array kNames{"w", "w-nomcast"};

}  // namespace

std::string_view wait_program() {
  return {weft_wait_begin, static_cast<std::size_t>(weft_wait_end - weft_wait_begin)};
}

Result<Ok> install_wait_program(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  // Of whatever user a container is.
  fs::permissions(folder, fs::perms(0755), error);
  for (const char* const name : kNames) {
    const fs::path path = fs::path(folder) / name;
    fs::path fresh = path;
    fresh += ".new";
    std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
    file << wait_program();
    file.close();
    if (!file) {
      return Error{Errc::Os, fmt::format("cannot write {}", fresh.string())};
    }
    fs::permissions(fresh, fs::perms(0755), error);
    fs::rename(fresh, path, error);
    if (error) {
      return Error{Errc::Os, fmt::format("cannot write {}: {}", path.string(), error.message())};
    }
  }
  return Ok{};
}

void remove_wait_program(const std::string& folder) {
  std::error_code ignored;
  for (const char* const name : kNames) {
    fs::remove(fs::path(folder) / name, ignored);
  }
  fs::remove(folder, ignored);
}

}  // namespace weft::plugin::proxy
