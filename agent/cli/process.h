// Processes: waiting for another one by its pidfd (Linux 5.3; no polling of ids that may be
// reused), beginning this one anew, and what it was started with.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"

namespace weft::agent {

class ProcessHandle {
 public:
  // Errc::NotFound if there is no such process.
  static Result<ProcessHandle> open(int pid);
  ProcessHandle(ProcessHandle&& other) noexcept;
  ProcessHandle& operator=(ProcessHandle&&) = delete;
  ~ProcessHandle();

  // True once it has ended; false after `timeout`.
  bool wait_end(std::chrono::milliseconds timeout) const;

 private:
  explicit ProcessHandle(int file) : file_(file) {}

  int file_;
};

// This program with these arguments again, as the same process, with no more open files than the
// standard streams. Returns only if it cannot.
Error restart_process();

// A variable of this process's environment.
std::optional<std::string> environment(const std::string& name);

}  // namespace weft::agent
