#include "sys/posix/code_pages.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include <sys/mman.h>

namespace weft::sys {

std::size_t release_code_pages() {
  std::ifstream maps("/proc/self/maps");
  std::size_t released = 0;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t first = 0;
    std::uintptr_t end = 0;
    char permissions[5] = {};
    int path = 0;
    // "first-end permissions offset device inode path" (proc(5)).
    if (std::sscanf(line.c_str(),
                    "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n",
                    &first,
                    &end,
                    permissions,
                    &path)
        != 3) {
      continue;
    }
    // Nobody has written to pages that can be run: what is dropped is what the file has.
    const bool is_code = std::string(permissions) == "r-xp" && path > 0
                         && static_cast<std::size_t>(path) < line.size()
                         && line[static_cast<std::size_t>(path)] == '/';
    if (is_code
        && ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED) == 0) {  // NOLINT
      released += end - first;
    }
  }
  return released;
}

}  // namespace weft::sys
