// Where this host's files are: in their own places or, for an agent that runs in a container, below
// the folder that the host's root is mounted at. What the container has of its own, such as
// /proc/self, is not asked for here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::sys {

struct HostPaths {
  std::string root{};          // In front of the host's absolute paths; empty: nothing is.
  std::string proc = "/proc";  // A proc file system of the host's PID namespace.

  // How to reach what the host calls `path`, an absolute path. Symbolic links are followed as on
  // the host, where an absolute one does not lead out of its root. What is below /proc is in
  // `proc`.
  std::string here(std::string_view path) const;

  // "ns/net" of a process of the host.
  std::string of_process(std::uint32_t pid, std::string_view file) const;

  friend bool operator==(const HostPaths&, const HostPaths&) = default;
};

// Container runtimes hide /proc/sys behind a read-only mount. Where that is so, the host's is put
// in its place, in this mount namespace alone. Nothing to do without a root of the host's.
Result<Ok> ensure_sysctls_are_writable(const HostPaths& host);

}  // namespace weft::sys
