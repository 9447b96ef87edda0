// A regular file in the file system of a container, by way of one of its processes: it is what the
// container sees, mounts of its own included, whatever this process may write to elsewhere.
//
// The container is not trusted: no symbolic link leads out of its root, and nothing but a regular
// file is opened. Linux 5.6.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::sys {

// `root` is a folder that somebody else's root is reached by, such as /proc/4711/root; `path` is
// absolute there.
Result<std::string> read_in_root(const std::string& root, const std::string& path);
// In place, as the file may be mounted there by itself.
Result<Ok> write_in_root(const std::string& root, const std::string& path, std::string_view text);

}  // namespace weft::sys
