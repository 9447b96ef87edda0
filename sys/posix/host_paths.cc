#include "sys/posix/host_paths.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

namespace weft::sys {
namespace {

namespace fs = std::filesystem;

// As many as the kernel follows (path_resolution(7)).
constexpr int kLinksMax = 40;

// Steps still to be taken, the next one last.
void push_steps(const fs::path& path, std::vector<fs::path>& steps) {
  const std::vector<fs::path> parts(path.begin(), path.end());
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->empty() && *part != "/" && *part != ".") {
      steps.push_back(*part);
    }
  }
}

}  // namespace

std::string HostPaths::here(std::string_view path) const {
  constexpr std::string_view kProc = "/proc/";
  if (path.starts_with(kProc)) {
    return fmt::format("{}/{}", proc, path.substr(kProc.size()));
  }
  if (root.empty()) {
    return std::string(path);
  }
  std::vector<fs::path> steps;
  push_steps(path, steps);
  fs::path inside;  // Where we are, without the root and without links.
  int followed = 0;
  while (!steps.empty()) {
    const fs::path step = steps.back();
    steps.pop_back();
    if (step == "..") {
      inside = inside.parent_path();
      continue;
    }
    std::error_code error;
    const fs::path target = fs::read_symlink(fs::path(root) / inside / step, error);
    if (error || ++followed > kLinksMax) {
      inside /= step;
      continue;
    }
    if (target.is_absolute()) {
      inside.clear();
    }
    push_steps(target, steps);
  }
  return (fs::path(root) / inside).string();
}

std::string HostPaths::of_process(std::uint32_t pid, std::string_view file) const {
  return fmt::format("{}/{}/{}", proc, pid, file);
}

Result<Ok> ensure_sysctls_are_writable(const HostPaths& host) {
  constexpr const char* kSysctls = "/proc/sys";
  struct statvfs about {};
  if (host.root.empty() || ::statvfs(kSysctls, &about) != 0 || (about.f_flag & ST_RDONLY) == 0) {
    return Ok{};
  }
  const std::string source = host.here(kSysctls);
  if (::mount(source.c_str(), kSysctls, nullptr, MS_BIND, nullptr) != 0) {
    const int error = errno;
    return Error{Errc::Os,
                 fmt::format("{} is read-only, and {} cannot be put in its place: {}",
                             kSysctls,
                             source,
                             std::strerror(error)),
                 error};
  }
  return Ok{};
}

}  // namespace weft::sys
