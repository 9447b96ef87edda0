#include "agent/cli/process.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::agent {

Result<ProcessHandle> ProcessHandle::open(int pid) {
  const auto file = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (file < 0) {
    const int error = errno;
    return Error{error == ESRCH ? Errc::NotFound : Errc::Os,
                 fmt::format("process {}: {}", pid, std::strerror(error)),
                 error};
  }
  return ProcessHandle(file);
}

ProcessHandle::ProcessHandle(ProcessHandle&& other) noexcept
    : file_(std::exchange(other.file_, -1)) {}

ProcessHandle::~ProcessHandle() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

bool ProcessHandle::wait_end(std::chrono::milliseconds timeout) const {
  pollfd wanted{.fd = file_, .events = POLLIN, .revents = 0};
  return ::poll(&wanted, 1, static_cast<int>(timeout.count())) > 0;
}

Error restart_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string words{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < words.size(); at += std::strlen(words.data() + at) + 1) {
    arguments.push_back(words.data() + at);
  }
  if (arguments.empty()) {
    return Error{Errc::Os, "/proc/self/cmdline cannot be read"};
  }
  arguments.push_back(nullptr);
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  // Not every library opens its files to be closed here.
  if (::syscall(SYS_close_range, kFirst, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
    ::execv("/proc/self/exe", arguments.data());
  }
  const int error = errno;
  return Error{Errc::Os, fmt::format("restart: {}", std::strerror(error)), error};
}

std::optional<std::string> environment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace weft::agent
