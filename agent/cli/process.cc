#include "agent/cli/process.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
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

}  // namespace weft::agent
